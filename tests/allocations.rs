//! A run at sizes seen before allocates nothing but the packing buffers of the `gemm` crate.
//!
//! The counter sees the whole process, so this file holds one test.

mod common;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use seqfuse::{Options, Session, Tensors};
use seqfuse_kernels::activation::Activation;
use seqfuse_kernels::matmul::{Size, matmul};
use seqfuse_kernels::{Cpu, Isa, Pool};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn count(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

/// The least of some counts: what other threads of the process allocate only adds.
fn least(counted: impl FnMut() -> usize) -> usize {
    std::iter::repeat_with(counted).take(5).min().expect("five counts")
}

fn run(session: &mut Session, sizes: &[(usize, usize)], outputs: &mut Tensors) -> usize {
    let inputs: Vec<Tensors> = sizes.iter().map(|&(b, t)| common::memory::ids(b, t)).collect();
    count(|| {
        inputs.iter().for_each(|inputs| session.run_into(inputs, outputs).expect("it runs"));
    })
}

/// What the products of [`common::memory::classifier`] allocate by themselves at these sizes: the
/// projections of both directions, padded as the kernel pads them, and the last layer.
fn products(pool: &Pool, sizes: &[(usize, usize)]) -> usize {
    let isa = Isa::detect();
    let cpu = Cpu { isa, pool };
    let columns = 4 * 5usize.next_multiple_of(isa.lanes());
    let mut sizes_of = Vec::new();
    for &(batch, time) in sizes {
        let projection = Size { rows: batch * time, depth: 6, columns };
        sizes_of.extend([projection, projection, Size { rows: batch, depth: 10, columns: 1 }]);
    }
    let mut y = vec![0.0; 1 << 16];
    let (x, w) = (vec![0.5; 1 << 16], vec![0.5; 1 << 16]);
    count(|| {
        for size in sizes_of {
            let (x, w) = (&x[..size.rows * size.depth], &w[..size.depth * size.columns]);
            let y = &mut y[..size.rows * size.columns];
            matmul(cpu, size, x, w, None, Activation::Linear, y);
        }
    })
}

#[test]
fn the_second_run_at_the_same_sizes_allocates_nothing() {
    let model = common::memory::classifier();
    for threads in [1, 2] {
        let mut session = model.session(&Options::new().threads(threads)).expect("a session");
        let pool = Pool::new(threads);
        let mut outputs = Tensors::new();
        // So few rows that no product goes through `gemm`, and many.
        for sizes in [[(2, 2), (1, 4)], [(5, 40), (3, 9)]] {
            run(&mut session, &sizes, &mut outputs);
            products(&pool, &sizes);
            let counted = least(|| run(&mut session, &sizes, &mut outputs));
            let expected = least(|| products(&pool, &sizes));
            assert_eq!(counted, expected, "{threads} threads, sizes {sizes:?}");
        }
        let counted = least(|| run(&mut session, &[(2, 2), (1, 4)], &mut outputs));
        assert_eq!(counted, 0, "{threads} threads");
    }
}
