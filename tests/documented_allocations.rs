//! Every documented model that takes numbers runs without allocating, at sizes seen before.
//!
//! The counter sees the whole process, so this file holds one test.

mod common;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use seqfuse::{DType, Model, Options, Tensors};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn documented_models_allocate_nothing_at_sizes_seen_before() {
    let mut checked = 0;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let model = Model::open(&path).expect("the model opens");
        let graph = model.graph();
        if graph.inputs().iter().any(|input| graph.ty(input.value).dtype == DType::Str) {
            continue;
        }
        // At most four rows reach a product where time is open; where it is fixed, products go
        // through `gemm`, whose packing buffers are its own.
        let inputs = common::memory::zeros(graph, 1, 4);
        let fixed = graph.input_symbols().len() < 2;
        let mut session = model.session(&Options::new().threads(2)).expect("a session");
        let mut outputs = Tensors::new();
        for _ in 0..2 {
            session.run_into(&inputs, &mut outputs).expect("it runs");
        }
        let region = Region::new(ALLOCATOR);
        session.run_into(&inputs, &mut outputs).expect("it runs");
        let change = region.change();
        let products = graph
            .nodes()
            .iter()
            .filter(|node| ["dense", "lstm", "gru", "simple_rnn"].contains(&node.op.name()));
        // Two directions and at most a handful of blocks a product.
        let allowed = if fixed { 16 * products.count() } else { 0 };
        let counted = change.allocations + change.reallocations;
        assert!(counted <= allowed, "{}: {change:?}, allowed {allowed}", path.display());
        checked += 1;
    }
    assert!(checked >= 14, "only {checked} models were checked");
}
