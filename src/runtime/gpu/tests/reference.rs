//! The references: plain loops in `f64`.

use super::super::{ActivationKind, Cell};

pub fn activate(kind: ActivationKind, alpha: f64, x: f64) -> f64 {
    use ActivationKind::*;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let elu = |alpha: f64| if x >= 0.0 { x } else { alpha * x.exp_m1() };
    match kind {
        Linear => x,
        Relu => x.max(0.0),
        Sigmoid => sigmoid(x),
        Tanh => x.tanh(),
        HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        HardSigmoidKeras2 => (0.2 * x + 0.5).clamp(0.0, 1.0),
        Elu => elu(alpha),
        Selu => 1.0507009873554805 * elu(1.6732632423543772),
        Softplus => softplus(x),
        Softsign => x / (1.0 + x.abs()),
        Silu => x * sigmoid(x),
        Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Exponential => x.exp(),
        Relu6 => x.clamp(0.0, 6.0),
        LeakyRelu => x.max(alpha * x),
        Mish => x * softplus(x).tanh(),
        LogSigmoid => -softplus(-x),
        HardSilu => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        HardTanh => x.clamp(-1.0, 1.0),
        TanhShrink => x - x.tanh(),
        SoftShrink => x.signum() * (x.abs() - alpha).max(0.0),
        HardShrink => {
            if x.abs() > alpha {
                x
            } else {
                0.0
            }
        }
        Celu => x.max(0.0) + alpha * (x.min(0.0) / alpha).exp_m1(),
        Squareplus => 0.5 * (x + (x * x + alpha).sqrt()),
        SparsePlus => match x {
            x if x <= -1.0 => 0.0,
            x if x >= 1.0 => x,
            x => 0.25 * (x + 1.0).powi(2),
        },
        SparseSigmoid => (0.5 * (x + 1.0)).clamp(0.0, 1.0),
    }
}

/// The error function by its Taylor series, and 1 where the series would need many terms.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// `[rows, inner] x [inner, columns] + bias`.
pub fn matmul(a: &[f32], b: &[f32], bias: Option<&[f32]>, sizes: [usize; 3]) -> Vec<f64> {
    let [rows, inner, columns] = sizes;
    let mut c = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let product = |k| f64::from(a[row * inner + k]) * f64::from(b[k * columns + column]);
            let sum: f64 = (0..inner).map(product).sum();
            c.push(sum + bias.map_or(0.0, |bias| f64::from(bias[column])));
        }
    }
    c
}

/// One direction of a recurrent layer in Keras's form.
pub struct Layer<'a> {
    pub cell: Cell,
    pub units: usize,
    pub features: usize,
    pub activation: [ActivationKind; 2],
    pub kernel: &'a [f32],
    pub recurrent: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub backward: bool,
    pub zero_output_for_mask: bool,
}

/// What a layer gives for one sequence.
pub struct Outputs {
    /// `[time][units]`, at the inputs' positions.
    pub sequence: Vec<Vec<f64>>,
    pub last: Vec<f64>,
    pub h: Vec<f64>,
    pub c: Vec<f64>,
}

impl Layer<'_> {
    /// `x` `[time, features]`, `mask` `[time]`.
    pub fn run(&self, x: &[f32], mask: &[bool], h: &[f32], c: &[f32]) -> Outputs {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let (mut h, mut c) = (widen(h), widen(c));
        let mut output = vec![0.0; self.units];
        let mut sequence = vec![Vec::new(); mask.len()];
        for step in 0..mask.len() {
            let t = if self.backward { mask.len() - 1 - step } else { step };
            if mask[t] {
                (h, c) = self.step(&x[t * self.features..][..self.features], &h, &c);
                output = h.clone();
            } else if self.zero_output_for_mask {
                output = vec![0.0; self.units];
            }
            sequence[t] = output.clone();
        }
        Outputs { sequence, last: output, h, c }
    }

    /// `v . w[:, column] + bias[column]` for a matrix of all gates.
    fn product(&self, v: &[f64], w: &[f32], bias: Option<&[f32]>, column: usize) -> f64 {
        let width = self.cell.gates() as usize * self.units;
        let sum: f64 =
            v.iter().enumerate().map(|(k, v)| v * f64::from(w[k * width + column])).sum();
        sum + bias.map_or(0.0, |bias| f64::from(bias[column]))
    }

    fn step(&self, x: &[f32], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let n = self.units;
        let [activation, gate] = self.activation;
        let act = |x| activate(activation, f64::from(activation.default_alpha()), x);
        let sigma = |x| activate(gate, f64::from(gate.default_alpha()), x);
        let input_bias = self.bias.map(|bias| &bias[..self.cell.gates() as usize * n]);
        let input = |column| self.product(&x, self.kernel, input_bias, column);
        let hidden = |v: &[f64], column| self.product(v, self.recurrent, None, column);
        match self.cell {
            Cell::Lstm => {
                let sum = |gate: usize, u: usize| input(gate * n + u) + hidden(h, gate * n + u);
                let new_c: Vec<f64> = (0..n)
                    .map(|u| sigma(sum(1, u)) * c[u] + sigma(sum(0, u)) * act(sum(2, u)))
                    .collect();
                ((0..n).map(|u| sigma(sum(3, u)) * act(new_c[u])).collect(), new_c)
            }
            Cell::Gru { reset_after } => {
                let recurrent_bias = |column: usize| match (reset_after, self.bias) {
                    (true, Some(bias)) => f64::from(bias[3 * n + column]),
                    _ => 0.0,
                };
                let part = |column: usize| hidden(h, column) + recurrent_bias(column);
                let z: Vec<f64> = (0..n).map(|u| sigma(input(u) + part(u))).collect();
                let r: Vec<f64> = (0..n).map(|u| sigma(input(n + u) + part(n + u))).collect();
                let rh: Vec<f64> = r.iter().zip(h).map(|(r, h)| r * h).collect();
                let candidate = |u: usize| match reset_after {
                    true => act(input(2 * n + u) + r[u] * part(2 * n + u)),
                    false => act(input(2 * n + u) + hidden(&rh, 2 * n + u)),
                };
                let new_h = (0..n).map(|u| z[u] * h[u] + (1.0 - z[u]) * candidate(u)).collect();
                (new_h, c.to_vec())
            }
        }
    }
}
