//! Times the kernels that are not recurrent, old forms beside new ones:
//! `cargo run --release -p seqfuse-kernels --example dense_speed [-- THREADS [PART]]`.
//!
//! Prints GFLOP/s, and the fraction of what the processor's multipliers give, which is measured
//! first. Each figure is that of the fastest of many short rounds, in which all forms take turns,
//! so that what else the machine does meets all of them alike.

use seqfuse_kernels::aligned::Aligned;
use seqfuse_kernels::attention::{
    self, AttentionCall, AttentionOutput, AttentionShape, MaskedRow, PerScore, TrainingOutput,
};
use seqfuse_kernels::conv::{self, Axis, ConvCall, ConvShape, Window};
use seqfuse_kernels::layer_norm::{self, Form, LayerNormCall};
use seqfuse_kernels::matmul::{PackedMatrix, Size, matmul, matmul_packed};
use seqfuse_kernels::{Activation, Cpu, Isa, Kernel, Pool, Simd};
use std::time::Instant;

/// Rounds of each form.
const ROUNDS: usize = 60;

fn values(len: usize) -> Aligned {
    let mut values = Aligned::zeros(len);
    for (index, value) in values.iter_mut().enumerate() {
        *value = ((index * 7919 % 2003) as f32 / 1001.5 - 1.0) * 0.1;
    }
    values
}

/// The fastest round of each form, in seconds a call; a round repeats calls for about 0.2 ms.
fn fastest(forms: &mut [(&str, &mut dyn FnMut())]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; forms.len()];
    let mut calls = vec![1usize; forms.len()];
    for round in 0..ROUNDS {
        for (form, (_, run)) in forms.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..calls[form] {
                run();
            }
            let each = start.elapsed().as_secs_f64() / calls[form] as f64;
            if round == 0 {
                calls[form] = ((2e-4 / each) as usize).clamp(1, 1000);
            } else {
                best[form] = best[form].min(each);
            }
        }
    }
    best
}

/// Multiply-adds that wait for nothing.
struct Peak(usize);

impl Kernel for Peak {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (a, b) = (simd.splat(0.999), simd.splat(1e-3));
        let mut sums = [simd.splat(0.0); 10];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, a, b);
            }
        }
        let mut total = [0.0; 16];
        for sum in sums {
            simd.store(sum, &mut total);
        }
        total.iter().sum()
    }
}

/// The GFLOP/s of one thread.
fn peak(isa: Isa) -> f64 {
    let count = 10_000;
    let mut sink = 0.0;
    let seconds = fastest(&mut [("peak", &mut || sink += isa.run(Peak(count)))])[0];
    std::hint::black_box(sink);
    (2 * count * 10 * isa.lanes()) as f64 / seconds / 1e9
}

struct Report {
    peak: f64,
}

impl Report {
    fn line(&self, what: &str, flop: f64, forms: &mut [(&str, &mut dyn FnMut())]) {
        let names: Vec<String> = forms.iter().map(|form| form.0.to_owned()).collect();
        print!("{what:42}");
        for (name, seconds) in names.iter().zip(fastest(forms)) {
            let rate = flop / seconds / 1e9;
            let share = 100.0 * rate / self.peak;
            print!(" | {name} {:9.2} µs {rate:6.1} GFLOP/s {share:3.0} %", seconds * 1e6);
        }
        println!();
    }
}

fn dense(cpu: Cpu<'_>, report: &Report) {
    for (rows, depth, columns) in [
        (1, 64, 32),
        (1, 128, 24),
        (1, 256, 1024),
        (4, 256, 256),
        (32, 128, 24),
        (100, 16, 16),
        (100, 16, 32),
        (150, 64, 128),
        (150, 128, 64),
        (256, 256, 256),
        (256, 256, 1024),
        (256, 1024, 256),
        (1200, 64, 128),
        (1024, 256, 256),
        (1024, 256, 1024),
        (1024, 1024, 256),
    ] {
        let (x, w) = (values(rows * depth), values(depth * columns));
        let bias = values(columns);
        let packed = PackedMatrix::new(depth, columns, &w, Some(&bias));
        let (mut old, mut new) = (values(rows * columns), values(rows * columns));
        let size = Size { rows, depth, columns };
        let act = Activation::Relu;
        report.line(
            &format!("dense {rows} x {depth} x {columns}"),
            2.0 * (rows * depth * columns) as f64,
            &mut [
                ("gemm", &mut || matmul(cpu, size, &x, &w, Some(&bias), act, &mut old)),
                ("packed", &mut || matmul_packed(cpu, rows, &x, &packed, act, &mut new)),
            ],
        );
    }
}

fn convolutions(cpu: Cpu<'_>, report: &Report) {
    for (batch, time, inputs, filters, size) in [(1, 120, 16, 128, 5), (32, 120, 16, 128, 5)] {
        let window = Window { size, ..Window::UNIT };
        let width = Axis { len: time, window };
        let (height, groups, transposed) = (Axis::UNIT, 1, false);
        let shape = ConvShape { batch, height, width, inputs, filters, groups, transposed };
        let mut packed = Aligned::zeros(conv::packed_len(&shape));
        conv::pack(&shape, &values(shape.kernel_len()), &mut packed);
        let (x, bias) = (values(shape.input_len()), values(filters));
        let mut out = values(shape.output_len());
        let call = ConvCall {
            shape,
            x: &x,
            packed: &packed,
            bias: Some(&bias),
            activation: Activation::Relu,
        };
        report.line(
            &format!("conv {batch} x {time} x {inputs}, {filters} x {size}"),
            2.0 * (shape.output_len() * inputs * size) as f64,
            &mut [("forward", &mut || conv::forward(cpu, &call, &mut out))],
        );
    }
}

fn attentions(cpu: Cpu<'_>, report: &Report) {
    for (batch, time, heads, dim) in [
        (1, 100, 2, 8),
        (8, 100, 2, 8),
        (1, 150, 2, 64),
        (4, 150, 2, 64),
        (1, 256, 8, 32),
        (1, 1024, 4, 16),
    ] {
        let shape = AttentionShape {
            batch,
            queries: time,
            keys: time,
            heads,
            kv_heads: heads,
            dim,
            value_dim: dim,
        };
        let [query, key, value] = [0; 3].map(|_| values(batch * time * heads * dim));
        let mask: Vec<u8> = (0..batch * time * time).map(|i| u8::from(i % time < 70)).collect();
        let call = AttentionCall {
            shape,
            query: &query,
            key: &key,
            value: &value,
            scale: (dim as f32).powf(-0.5),
            mask: None,
            bias: None,
            causal: false,
            sliding_window: None,
            masked_row: MaskedRow::Uniform,
        };
        let per_score = PerScore::new(&mask, [batch, 1, time, time]);
        let masked = AttentionCall { mask: Some(per_score), ..call };
        let mut room = Aligned::zeros(attention::workspace_len(&shape));
        let mut other_room = room.clone();
        let mut outputs = [(); 3].map(|()| values(query.len()));
        let [first, second, third] = &mut outputs;
        let mut weights = values(batch * heads * time * time);
        report.line(
            &format!("attention {batch} x {time}, {heads} x {dim}"),
            4.0 * (batch * heads * time * time * dim) as f64,
            &mut [
                ("tiles", &mut || {
                    let out = AttentionOutput { output: first, scores: None };
                    attention::forward(cpu, &call, out, &mut room);
                }),
                ("masked", &mut || {
                    let out = AttentionOutput { output: second, scores: None };
                    attention::forward(cpu, &masked, out, &mut other_room);
                }),
                ("rows, weights kept", &mut || {
                    let out =
                        TrainingOutput { output: third, weights: &mut weights, dropped: None };
                    let mut room = Aligned::zeros(attention::workspace_len(&shape));
                    attention::forward_training(cpu, &call, None, out, &mut room);
                }),
            ],
        );
    }
}

fn norms(cpu: Cpu<'_>, report: &Report) {
    for (rows, features) in [(100, 16), (3200, 16), (150, 64), (4800, 64), (256, 256)] {
        let (x, gamma) = (values(rows * features), values(features));
        let mut out = values(x.len());
        let call = LayerNormCall {
            x: &x,
            gamma: Some(&gamma),
            beta: Some(&gamma),
            features,
            epsilon: 1e-3,
            form: Form::Standard,
        };
        // Two sums and a result of two steps each.
        report.line(
            &format!("layer norm {rows} x {features}"),
            7.0 * x.len() as f64,
            &mut [("forward", &mut || layer_norm::forward(cpu, call, &mut out))],
        );
    }
}

/// What handing an empty job over costs.
fn hand_over(cpu: Cpu<'_>) {
    let seconds = fastest(&mut [("empty", &mut || cpu.pool.for_each(2, &|_| {}))])[0];
    println!("an empty job of two blocks: {:.2} µs", seconds * 1e6);
}

/// A group of measurements.
type Part = fn(Cpu<'_>, &Report);

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let threads = given.first().and_then(|text| text.parse().ok()).unwrap_or(1);
    let part = given.get(1).map(String::as_str).unwrap_or("all");
    let pool = Pool::new(threads);
    let isa = Isa::detect();
    let cpu = Cpu { isa, pool: &pool };
    let one = peak(isa);
    println!("{isa:?}, {threads} threads; the limit of one thread is {one:.0} GFLOP/s");
    let report = Report { peak: one * threads as f64 };
    hand_over(cpu);
    let parts: [(&str, Part); 4] =
        [("dense", dense), ("conv", convolutions), ("attention", attentions), ("norm", norms)];
    for (_, run) in parts.iter().filter(|(name, _)| ["all", name].contains(&part)) {
        run(cpu, &report);
    }
}
