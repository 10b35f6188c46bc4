//! Times training of recurrent layers:
//! `cargo run --release -p seqfuse-kernels --example recurrent_training_speed`.

use seqfuse_kernels::matmul::{Size, matmul};
use seqfuse_kernels::recurrent::training::{Steps, StepsBackward, StepsCall};
use seqfuse_kernels::{Activation, Cpu, Isa, Pool, gru, lstm, simple_rnn};
use std::time::Instant;

/// The median of repeated runs, in seconds.
fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|index| ((index * 7919 % 2003) as f32 / 1001.5 - 1.0) * 0.1).collect()
}

#[derive(Clone, Copy, Debug)]
enum Layer {
    Lstm,
    GruAfter,
    GruBefore,
    Simple,
}

/// Seconds of the forward and of the backward pass.
fn layer(cpu: Cpu<'_>, layer: Layer, size: [usize; 3]) -> (f64, f64) {
    let [batch, time, units] = size;
    let isa = cpu.isa;
    let (gates, lengths) = match layer {
        Layer::Lstm => (
            4,
            [
                lstm::training::saved_len(batch, time, units),
                lstm::training::workspace_len(isa, size, 0),
                lstm::training::backward_workspace_len(isa, size, 0),
            ],
        ),
        Layer::GruAfter | Layer::GruBefore => {
            let after = matches!(layer, Layer::GruAfter);
            (
                3,
                [
                    gru::training::saved_len(after, batch, time, units),
                    gru::training::workspace_len(after, isa, size, 0),
                    gru::training::backward_workspace_len(after, isa, size, 0),
                ],
            )
        }
        Layer::Simple => (
            1,
            [
                simple_rnn::training::saved_len(batch, time, units),
                simple_rnn::training::workspace_len(isa, size, 0),
                simple_rnn::training::backward_workspace_len(isa, size, 0),
            ],
        ),
    };
    let [saved, workspace, backward_workspace] = lengths;
    let columns = gates * units;
    let (products, kernel) = (values(batch * time * columns), values(units * columns));
    let steps = Steps {
        batch,
        time,
        units,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        backward: false,
        zero_output_for_mask: false,
        mask: None,
        recurrent_kernel: &kernel,
        recurrent_dropout: None,
    };
    let mut sequence = vec![0.0; batch * time * units];
    let mut kept = vec![0.0; batch * time * columns];
    let mut saved = vec![0.0; saved];
    let mut workspace = vec![0.0; workspace.max(backward_workspace)];
    let forward = median(|| {
        let call = StepsCall {
            steps,
            products: &products,
            recurrent_bias: None,
            initial_h: None,
            initial_c: None,
            sequence: Some(&mut sequence),
            last: None,
            final_h: None,
            final_c: None,
            gates: &mut kept,
            saved: &mut saved,
            workspace: &mut workspace,
        };
        match layer {
            Layer::Lstm => lstm::training::forward(cpu, call),
            Layer::GruAfter => gru::training::forward(cpu, true, call),
            Layer::GruBefore => gru::training::forward(cpu, false, call),
            Layer::Simple => simple_rnn::training::forward(cpu, call),
        }
    });
    let d_sequence = values(batch * time * units);
    let (mut d_products, mut d_kernel) = (products, vec![0.0; units * columns]);
    let backward = median(|| {
        let call = StepsBackward {
            steps,
            gates: &kept,
            saved: &saved,
            d_sequence: Some(&d_sequence),
            d_last: None,
            d_final_h: None,
            d_final_c: None,
            d_products: Some(&mut d_products),
            d_recurrent_kernel: Some(&mut d_kernel),
            d_recurrent_bias: None,
            d_initial_h: None,
            d_initial_c: None,
            workspace: &mut workspace,
        };
        match layer {
            Layer::Lstm => lstm::training::backward(cpu, call),
            Layer::GruAfter => gru::training::backward(cpu, true, call),
            Layer::GruBefore => gru::training::backward(cpu, false, call),
            Layer::Simple => simple_rnn::training::backward(cpu, call),
        }
    });
    (forward, backward)
}

fn main() {
    let (batch, time) = (64, 100);
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        for isa in Isa::available() {
            let cpu = Cpu { isa, pool: &pool };
            for units in [32, 128] {
                let (rows, columns) = (batch * time, 4 * units);
                let (x, w) = (values(rows * units), values(units * columns));
                let mut y = vec![0.0; rows * columns];
                let size = Size { rows, depth: units, columns };
                let seconds =
                    median(|| matmul(cpu, size, &x, &w, None, Activation::Linear, &mut y));
                let rate = 2.0 * (rows * units * columns) as f64 / seconds / 1e9;
                println!("{isa:?} {threads} threads: product {rows}x{units}x{columns}: {rate:.1}");
                for (kind, gates) in [
                    (Layer::Lstm, 4),
                    (Layer::GruAfter, 3),
                    (Layer::GruBefore, 3),
                    (Layer::Simple, 1),
                ] {
                    let (forward, backward) = layer(cpu, kind, [batch, time, units]);
                    // One product a step forward; for h and for the kernel backward.
                    let flop = 2.0 * (rows * units * gates * units) as f64;
                    println!(
                        "{isa:?} {threads} threads: {kind:?} of {units} units: forward {:.2} ms, \
                         {:.1} GFLOP/s; backward {:.2} ms, {:.1} GFLOP/s",
                        forward * 1e3,
                        flop / forward / 1e9,
                        backward * 1e3,
                        2.0 * flop / backward / 1e9
                    );
                }
            }
        }
    }
}
