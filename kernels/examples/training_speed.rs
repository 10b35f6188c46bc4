//! Times the kernels of a training step one by one, the fastest of many runs (recurrent layers:
//! `recurrent_training_speed`):
//! `cargo run --release -p seqfuse-kernels --example training_speed [-- PART_OF_NAME [THREADS]]`.
//!
//! Sizes are those of the documented models with batches of 64 rows.

use seqfuse_kernels::conv::{self, Axis, ConvBackward, ConvGradients, ConvShape, Padding, Window};
use seqfuse_kernels::matmul::{self, Size};
use seqfuse_kernels::random::{self, Noise, NoiseCall, Stream};
use seqfuse_kernels::{Activation, Cpu, Isa, Pool, embedding};
use std::time::Instant;

/// What is timed, and on what.
struct Bench<'a> {
    cpu: Cpu<'a>,
    wanted: String,
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|index| ((index * 7919 % 2003) as f32 / 1001.5 - 1.0) * 0.1).collect()
}

impl Bench<'_> {
    /// Prints the fastest run, with the work's rate.
    fn time(&self, name: &str, work: f64, unit: &str, mut run: impl FnMut()) {
        if !name.contains(&self.wanted) {
            return;
        }
        let (began, mut fastest, mut runs) = (Instant::now(), f64::INFINITY, 0);
        while runs < 10 || (began.elapsed().as_secs_f64() < 1.0 && runs < 5000) {
            let start = Instant::now();
            run();
            fastest = fastest.min(start.elapsed().as_secs_f64());
            runs += 1;
        }
        println!("{name:32} {:10.1} us  {:7.2} {unit}", fastest * 1e6, work / fastest / 1e9);
    }

    fn dense(&self, rows: usize, depth: usize, columns: usize) {
        let (cpu, size) = (self.cpu, Size { rows, depth, columns });
        let (x, w, dy) = (values(rows * depth), values(depth * columns), values(rows * columns));
        let mut y = vec![0.0; rows * columns];
        let flop = 2.0 * (rows * depth * columns) as f64;
        let title = |way: &str| format!("dense {way} {rows}x{depth}x{columns}");
        self.time(&title("forward"), flop, "GFLOP/s", || {
            matmul::matmul(cpu, size, &x, &w, None, Activation::Linear, &mut y);
        });
        let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; columns]);
        let mut room = vec![0.0; matmul::backward_workspace_len(size)];
        self.time(&title("dx"), flop, "GFLOP/s", || {
            matmul::backward(cpu, size, &x, &w, &dy, Some(&mut dx), None, None, &mut room);
        });
        self.time(&title("dw"), flop, "GFLOP/s", || {
            matmul::backward(cpu, size, &x, &w, &dy, None, Some(&mut dw), None, &mut room);
        });
        self.time(&title("db"), dy.len() as f64 * 4.0, "GB/s", || {
            matmul::backward(cpu, size, &x, &w, &dy, None, None, Some(&mut db), &mut room);
        });
    }

    fn conv(&self, time: usize, inputs: usize, filters: usize, size: usize) {
        let (cpu, batch) = (self.cpu, 64);
        let window =
            Window { size, stride: 1, dilation: 1, input_dilation: 1, padding: Padding::Valid };
        let width = Axis { len: time, window };
        let (height, groups) = (Axis::UNIT, 1);
        let shape = ConvShape { batch, height, width, inputs, filters, groups, transposed: false };
        let (x, kernel) = (values(shape.input_len()), values(shape.kernel_len()));
        let dy = values(shape.output_len());
        let mut y = vec![0.0; dy.len()];
        let mut room = vec![0.0; conv::forward_unpacked_workspace_len(&shape)];
        let flop = 2.0 * (dy.len() * size * inputs) as f64;
        let bias = values(filters);
        self.time(&format!("conv forward {time}x{inputs}x{filters}"), flop, "GFLOP/s", || {
            let call = conv::UnpackedCall {
                shape,
                x: &x,
                kernel: &kernel,
                bias: Some(&bias),
                activation: Activation::Relu,
            };
            conv::forward_unpacked(cpu, &call, &mut y, &mut room);
        });
        let mut room = vec![0.0; conv::backward_workspace_len(&shape)];
        let (mut dx, mut dk, mut db) =
            (vec![0.0; x.len()], vec![0.0; kernel.len()], vec![0.0; filters]);
        for part in 0..3 {
            let name = format!("conv d{} {time}x{inputs}x{filters}", ["x", "k", "b"][part]);
            self.time(&name, flop, "GFLOP/s", || {
                let call = ConvBackward { shape, x: &x, kernel: &kernel, dy: &dy };
                let gradients = ConvGradients {
                    x: (part == 0).then_some(&mut dx[..]),
                    kernel: (part == 1).then_some(&mut dk[..]),
                    bias: (part == 2).then_some(&mut db[..]),
                };
                conv::backward(cpu, &call, gradients, &mut room);
            });
        }
    }

    fn embedding(&self, count: usize, dim: usize, vocabulary: usize) {
        let cpu = self.cpu;
        let ids: Vec<i32> =
            (0..count).map(|index| (index * 7919 % 104_729 % vocabulary) as i32).collect();
        let dy = values(count * dim);
        let mut d_table = vec![0.0; vocabulary * dim];
        let name = format!("embedding gradient {count}x{dim}, {vocabulary}");
        self.time(&name, dy.len() as f64 * 4.0, "GB/s", || {
            embedding::gather_backward(cpu, &ids, &dy, dim, vocabulary, &mut d_table).unwrap();
        });
    }

    fn dropout(&self, len: usize) {
        let stream = Stream { seed: 1, step: 2, node: 3 };
        let (x, mut y) = (values(len), vec![0.0; len]);
        for (name, noise) in [
            ("dropout", Noise::Dropout { rate: 0.2 }),
            ("gaussian noise", Noise::GaussianNoise { stddev: 0.2 }),
        ] {
            let call = NoiseCall { stream, noise, shape: &[len], noise_shape: &[len] };
            self.time(&format!("{name} {len}"), len as f64, "G/s", || {
                random::forward(self.cpu, call, &x, &mut y);
            });
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let threads = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let pool = Pool::new(threads);
    let bench = Bench { cpu: Cpu { isa: Isa::detect(), pool: &pool }, wanted };
    for (rows, depth, columns) in
        [(6400, 64, 512), (6400, 128, 256), (12800, 64, 256), (7680, 16, 96), (9600, 64, 128)]
    {
        bench.dense(rows, depth, columns);
    }
    bench.conv(120, 16, 128, 5);
    for (count, dim, vocabulary) in [(6400, 64, 1000), (12800, 64, 8185), (7680, 16, 10000)] {
        bench.embedding(count, dim, vocabulary);
    }
    bench.dropout(819_200);
}
