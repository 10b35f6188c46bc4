//! Times recurrent layers and prints them as fractions of what the machine can do:
//! `cargo run --release -p seqfuse-kernels --example recurrent_speed [part of a name]`.
//!
//! Limits are measured in the same run: fused multiply-adds in registers, and reads of as many
//! bytes as the recurrent weights have. A layer's limit is the larger of FLOP by the first (2 for
//! each multiply-add of a product) and bytes by the second (recurrent weights once a step and
//! [`ROWS`] rows). Times are the least of many runs.

use seqfuse_kernels::isa::{Kernel, Simd};
use seqfuse_kernels::recurrent::{Direction, RecurrentCall};
use seqfuse_kernels::{Activation, Cpu, Isa, Pool, gru, lstm, simple_rnn};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long each layer is run.
const BUDGET: Duration = Duration::from_millis(400);
/// Rows that share a pass over the weights.
const ROWS: usize = 32;

/// The least time of repeated runs, in seconds.
fn least(mut run: impl FnMut()) -> f64 {
    run();
    let (started, mut best) = (Instant::now(), f64::MAX);
    while started.elapsed() < BUDGET {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Multiplies and adds in registers.
struct Peak(usize);

impl Kernel for Peak {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (a, b) = (simd.splat(black_box(0.999)), simd.splat(black_box(0.001)));
        let mut sums = [simd.splat(1.0); 12];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, a, b);
            }
        }
        let mut out = [0.0; 16];
        for sum in sums {
            simd.store(sum, &mut out);
            black_box(&mut out);
        }
    }
}

/// Reads all of a slice.
struct Read<'a>(&'a [f32]);

impl Kernel for Read<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut sums = [simd.splat(0.0); 8];
        for values in self.0.chunks_exact(8 * S::LANES) {
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = simd.add(*sum, simd.load(&values[vector * S::LANES..]));
            }
        }
        let mut out = [0.0; 16];
        for sum in sums {
            simd.store(sum, &mut out);
            black_box(&mut out);
        }
    }
}

/// GFLOP/s of all threads.
fn peak(cpu: Cpu<'_>) -> f64 {
    let (threads, steps) = (cpu.pool.threads(), 100_000);
    let run = || cpu.pool.for_each(threads, &|_| cpu.isa.run(Peak(steps)));
    (threads * steps * 12 * 2 * cpu.isa.lanes()) as f64 / least(run) / 1e9
}

/// GB/s of all threads that read their parts of so many values again and again.
fn bandwidth(cpu: Cpu<'_>, values: usize) -> f64 {
    let threads = cpu.pool.threads();
    let part = (values / threads).next_multiple_of(8 * 16);
    let data = vec![1.0; part * threads + 16];
    let data = &data[data.as_ptr().align_offset(64)..][..part * threads];
    let rounds = (1 << 20) / part + 1;
    let run = || {
        cpu.pool.for_each(threads, &|index| {
            for _ in 0..rounds {
                cpu.isa.run(Read(black_box(&data[index * part..(index + 1) * part])));
            }
        });
    };
    (4 * part * threads * rounds) as f64 / least(run) / 1e9
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|index| ((index * 7919 % 2003) as f32 / 1001.5 - 1.0) * 0.1).collect()
}

/// A layer: kind, input, units, steps, directions.
#[derive(Clone, Copy)]
struct Layer(&'static str, usize, usize, usize, usize);

impl Layer {
    fn gates(&self) -> usize {
        match self.0 {
            "lstm" => 4,
            "simple" => 1,
            _ => 3,
        }
    }

    /// The least time of a batch, in seconds.
    fn time(&self, cpu: Cpu<'_>, batch: usize, masked: bool) -> f64 {
        let &Layer(kind, input, units, time, directions) = self;
        let columns = self.gates() * units;
        let (kernel, recurrent) = (values(input * columns), values(units * columns));
        let x = values(batch * time * input);
        let padding = |index: usize| u8::from(index % time < time - 1 - index / time % 3);
        let mask: Option<Vec<u8>> = masked.then(|| (0..batch * time).map(padding).collect());
        let mut sequence = vec![0.0; batch * time * directions * units];
        macro_rules! time {
            ($weights:expr, $forward:path) => {{
                let weights = $weights;
                let mut workspace = vec![0.0; weights.workspace_len(directions, batch, time)];
                least(|| {
                    let both = [false, true].map(|backward| Direction::new(&weights, backward));
                    let mut both = both;
                    let call = RecurrentCall {
                        batch,
                        time,
                        activation: Activation::Tanh,
                        recurrent_activation: Activation::Sigmoid,
                        zero_output_for_mask: false,
                        x: &x,
                        mask: mask.as_deref(),
                        directions: &mut both[..directions],
                        sequence: Some(&mut sequence),
                        last: None,
                        workspace: &mut workspace,
                    };
                    $forward(cpu, call);
                })
            }};
        }
        let (isa, k, r) = (cpu.isa, &kernel, &recurrent);
        match kind {
            "lstm" => time!(lstm::LstmWeights::pack(isa, input, units, k, r, None), lstm::forward),
            "simple" => time!(
                simple_rnn::SimpleRnnWeights::pack(isa, input, units, k, r, None),
                simple_rnn::forward
            ),
            _ => {
                let after = kind == "gru";
                time!(gru::GruWeights::pack(isa, (input, units), after, k, r, None), gru::forward)
            }
        }
    }
}

const LAYERS: &[Layer] = &[
    Layer("lstm", 64, 128, 100, 1),
    Layer("lstm", 128, 64, 100, 1),
    Layer("lstm", 64, 64, 200, 2),
    Layer("lstm", 512, 512, 100, 1),
    Layer("gru", 64, 128, 100, 1),
    Layer("gru", 128, 64, 100, 1),
    Layer("gru", 16, 32, 120, 2),
    Layer("gru-reset-before", 64, 128, 100, 1),
    Layer("simple", 64, 128, 100, 1),
];

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        let cpu = Cpu { isa: Isa::detect(), pool: &pool };
        let flops = peak(cpu);
        println!("{:?}, {threads} threads: {flops:.0} GFLOP/s", cpu.isa);
        for layer in LAYERS {
            let &Layer(kind, input, units, time, directions) = layer;
            let name = format!("{kind} {input} -> {units}, {time} steps, {directions} directions");
            if !name.contains(&wanted) {
                continue;
            }
            let weights = directions * units * units * layer.gates();
            let read = bandwidth(cpu, weights);
            for (batch, masked) in [(1, false), (32, false), (32, true)] {
                let seconds = layer.time(cpu, batch, masked);
                let depth = input + units;
                let flop = 2.0 * (directions * batch * time * depth * layer.gates() * units) as f64;
                let bytes = (4 * weights * time * batch.div_ceil(ROWS)) as f64;
                let limit = (flop / flops).max(bytes / read) / 1e9;
                println!(
                    "{name}, batch {batch}{}: {:.3} ms, {:.0} GFLOP/s, {:.0} of {read:.0} GB/s, \
                     {:.0} % of the limit",
                    if masked { ", masked" } else { "" },
                    seconds * 1e3,
                    flop / seconds / 1e9,
                    bytes / seconds / 1e9,
                    100.0 * limit / seconds
                );
            }
        }
    }
}
