//! Times LSTM layers: `cargo run --release -p seqfuse-kernels --example recurrent_speed`.

use seqfuse_kernels::lstm::{self, LstmDirection, LstmWeights};
use seqfuse_kernels::matmul::{Size, matmul};
use seqfuse_kernels::recurrent::RecurrentCall;
use seqfuse_kernels::{Activation, Cpu, Isa, Pool};
use std::time::Instant;

/// The median of repeated runs, in seconds.
fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..31)
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

fn lstm_layer(cpu: Cpu<'_>, input: usize, units: usize, batch: usize, time: usize) -> f64 {
    let (kernel, recurrent) = (values(input * 4 * units), values(units * 4 * units));
    let bias = values(4 * units);
    let weights = LstmWeights::pack(cpu.isa, input, units, &kernel, &recurrent, Some(&bias));
    let x = values(batch * time * input);
    let mut sequence = vec![0.0; batch * time * units];
    let mut workspace = vec![0.0; weights.workspace_len(1, batch, time)];
    median(|| {
        let call = RecurrentCall {
            batch,
            time,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            zero_output_for_mask: false,
            x: &x,
            mask: None,
            directions: &mut [LstmDirection::new(&weights, false)],
            sequence: Some(&mut sequence),
            last: None,
            workspace: &mut workspace,
        };
        lstm::forward(cpu, call);
    })
}

fn main() {
    let time = 100;
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        for isa in Isa::available() {
            let cpu = Cpu { isa, pool: &pool };
            for (input, units) in [(64, 128), (128, 64)] {
                for batch in [1, 32] {
                    let seconds = lstm_layer(cpu, input, units, batch, time);
                    let flop = 2.0 * (batch * time * (input + units) * 4 * units) as f64;
                    println!(
                        "{isa:?} {threads} threads: LSTM {input} -> {units}, batch {batch}: \
                         {:.3} ms, {:.1} GFLOP/s",
                        seconds * 1e3,
                        flop / seconds / 1e9
                    );
                }
            }
            for (rows, depth, columns) in
                [(1, 128, 512), (4, 128, 512), (128, 64, 256), (3200, 64, 512), (512, 512, 512)]
            {
                let (x, w) = (values(rows * depth), values(depth * columns));
                let mut y = vec![0.0; rows * columns];
                let size = Size { rows, depth, columns };
                let linear = Activation::Linear;
                let seconds = median(|| {
                    for _ in 0..10 {
                        matmul(cpu, size, &x, &w, None, linear, &mut y);
                    }
                }) / 10.0;
                let rate = 2.0 * (rows * depth * columns) as f64 / seconds / 1e9;
                println!("{isa:?} {threads} threads: {rows}x{depth}x{columns}: {rate:.1} GFLOP/s");
            }
            let mut data = values(4096);
            for activation in
                [Activation::Tanh, Activation::Sigmoid, Activation::Gelu { approximate: false }]
            {
                let seconds = median(|| activation.apply(isa, &mut data));
                println!("{isa:?}: {}: {:.2} ns a value", activation.name(), seconds / 4.096e-6);
            }
        }
    }
}
