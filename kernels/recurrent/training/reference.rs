//! Training as defined: one row and one step at a time, generic over the number type.

use crate::activation::Activation;
use crate::activation::backward_reference::backward_rows;
use crate::real::Real;
use crate::recurrent::reference::activate;

/// A recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// Gates i f g o.
    Lstm,
    /// Gates z r g.
    Gru {
        /// Whether the reset gate acts behind the recurrent product.
        reset_after: bool,
    },
    /// One gate.
    Simple,
}

impl Cell {
    /// How many gates it has.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::Simple => 1,
        }
    }
}

/// Sizes and attributes of one direction, as in [`Steps`](super::Steps).
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The cell.
    pub cell: Cell,
    /// Rows of the batch.
    pub batch: usize,
    /// Steps of each row.
    pub time: usize,
    /// Units of the layer.
    pub units: usize,
    /// The activation of the candidate and of the output.
    pub activation: Activation,
    /// The activation of the gates.
    pub recurrent_activation: Activation,
    /// Whether time runs from the last step to the first.
    pub backward: bool,
    /// Whether masked steps output zeros.
    pub zero_output_for_mask: bool,
    /// Which steps are real, `[batch, time]`.
    pub mask: Option<&'a [u8]>,
}

/// What a direction takes, or the gradients of it. States that are empty are zeros.
#[derive(Clone, Debug, Default)]
pub struct Values<T> {
    /// `[batch, time, gates * units]`.
    pub products: Vec<T>,
    /// `[units, gates * units]`.
    pub recurrent_kernel: Vec<T>,
    /// `[gates * units]`, or empty.
    pub recurrent_bias: Vec<T>,
    /// `[batch, units]`.
    pub initial_h: Vec<T>,
    /// `[batch, units]`.
    pub initial_c: Vec<T>,
    /// `[gates, batch, units]`, `[1, batch, units]` or empty; it has no gradient.
    pub recurrent_dropout: Vec<T>,
}

/// What a direction gives, or the gradients of it.
#[derive(Clone, Debug, Default)]
pub struct Outputs<T> {
    /// `[batch, time, units]`.
    pub sequence: Vec<T>,
    /// `[batch, units]`.
    pub last: Vec<T>,
    /// `[batch, units]`.
    pub final_h: Vec<T>,
    /// `[batch, units]`; zeros where the cell has no c.
    pub final_c: Vec<T>,
}

/// One step of one row with all that its gradient needs.
struct Step<T> {
    c_before: Vec<T>,
    h_before: Vec<T>,
    /// Of each gate: dropout factors, left factor, sum and activated value.
    factors: Vec<Vec<T>>,
    left: Vec<Vec<T>>,
    sums: Vec<Vec<T>>,
    values: Vec<Vec<T>>,
    /// The candidate's recurrent product.
    inner: Vec<T>,
    h: Vec<T>,
    c: Vec<T>,
}

impl Layer<'_> {
    fn gate_activation(&self, gate: usize) -> Activation {
        match (self.cell, gate) {
            (Cell::Simple, _) | (_, 2) => self.activation,
            _ => self.recurrent_activation,
        }
    }

    fn step_at(&self, index: usize) -> usize {
        if self.backward { self.time - 1 - index } else { index }
    }

    fn is_active(&self, row: usize, t: usize) -> bool {
        self.mask.is_none_or(|mask| mask[row * self.time + t] != 0)
    }

    /// A row of `[batch, units]` values, zeros if there are none.
    fn row<T: Real>(&self, values: &[T], row: usize) -> Vec<T> {
        match values {
            [] => vec![T::zero(); self.units],
            values => values[row * self.units..(row + 1) * self.units].to_vec(),
        }
    }

    fn factors<T: Real>(&self, values: &Values<T>, gate: usize, row: usize) -> Vec<T> {
        let set = self.batch * self.units;
        match &values.recurrent_dropout[..] {
            [] => vec![T::one(); self.units],
            one if one.len() == set => self.row(one, row),
            all => self.row(&all[gate * set..], row),
        }
    }

    /// The recurrent product of one gate, its bias included.
    fn product<T: Real>(&self, values: &Values<T>, gate: usize, left: &[T]) -> Vec<T> {
        let columns = self.cell.gates() * self.units;
        let column = |unit: usize| {
            let at = gate * self.units + unit;
            let bias = values.recurrent_bias.get(at).copied().unwrap_or_default();
            let kernel = |k: usize| values.recurrent_kernel[k * columns + at];
            left.iter().enumerate().map(|(k, &left)| left * kernel(k)).sum::<T>() + bias
        };
        (0..self.units).map(column).collect()
    }

    fn step<T: Real>(&self, values: &Values<T>, row: usize, t: usize, h: &[T], c: &[T]) -> Step<T> {
        let gates = self.cell.gates();
        let x = &values.products[(row * self.time + t) * gates * self.units..];
        let mut step = Step {
            c_before: c.to_vec(),
            h_before: h.to_vec(),
            factors: (0..gates).map(|gate| self.factors(values, gate, row)).collect(),
            left: Vec::new(),
            sums: Vec::new(),
            values: Vec::new(),
            inner: Vec::new(),
            h: Vec::new(),
            c: c.to_vec(),
        };
        for gate in 0..gates {
            let mut left = multiplied(h, &step.factors[gate]);
            if self.cell == (Cell::Gru { reset_after: false }) && gate == 2 {
                left = multiplied(&left, &step.values[1]);
            }
            let mut sums = self.product(values, gate, &left);
            if self.cell == (Cell::Gru { reset_after: true }) && gate == 2 {
                step.inner = sums.clone();
                sums = multiplied(&sums, &step.values[1]);
            }
            for (sum, &x) in sums.iter_mut().zip(&x[gate * self.units..]) {
                *sum += x;
            }
            step.values.push(activate(self.gate_activation(gate), &sums));
            step.left.push(left);
            step.sums.push(sums);
        }
        let v = &step.values;
        match self.cell {
            Cell::Simple => step.h = v[0].clone(),
            Cell::Gru { .. } => {
                let mix = |u: usize| v[0][u] * h[u] + (T::one() - v[0][u]) * v[2][u];
                step.h = (0..self.units).map(mix).collect();
            }
            Cell::Lstm => {
                step.c = (0..self.units).map(|u| v[1][u] * c[u] + v[0][u] * v[2][u]).collect();
                step.h = multiplied(&v[3], &activate(self.activation, &step.c));
            }
        }
        step
    }

    /// Gradients of one step: adds those of the weights, writes that of `x` and turns `dh` and `dc`
    /// into those of the states before.
    fn step_back<T: Real>(
        &self,
        values: &Values<T>,
        step: &Step<T>,
        (dh, dc): (&mut Vec<T>, &mut Vec<T>),
        dx: &mut [T],
        gradients: &mut Values<T>,
    ) {
        let (units, v) = (self.units, &step.values);
        let mut d_values = vec![vec![T::zero(); units]; self.cell.gates()];
        let mut dh_before = vec![T::zero(); units];
        match self.cell {
            Cell::Simple => d_values[0] = dh.clone(),
            Cell::Gru { .. } => {
                for u in 0..units {
                    d_values[0][u] = dh[u] * (step.h_before[u] - v[2][u]);
                    d_values[2][u] = dh[u] * (T::one() - v[0][u]);
                    dh_before[u] = dh[u] * v[0][u];
                }
            }
            Cell::Lstm => {
                let q = activate(self.activation, &step.c);
                d_values[3] = multiplied(dh, &q);
                let dq = multiplied(dh, &v[3]);
                let through = backward_rows(self.activation, &step.c, &dq, dq.len());
                for u in 0..units {
                    let d = dc[u] + through[u];
                    d_values[0][u] = d * v[2][u];
                    d_values[1][u] = d * step.c_before[u];
                    d_values[2][u] = d * v[0][u];
                    dc[u] = d * v[1][u];
                }
            }
        }
        // The candidate first: the reset gate's gradient comes from it.
        for gate in (0..self.cell.gates()).rev() {
            let activation = self.gate_activation(gate);
            let mut d = {
                let d_values = &d_values[gate];
                backward_rows(activation, &step.sums[gate], d_values, d_values.len())
            };
            dx[gate * units..(gate + 1) * units].copy_from_slice(&d);
            if self.cell == (Cell::Gru { reset_after: true }) && gate == 2 {
                d_values[1] = multiplied(&d, &step.inner);
                d = multiplied(&d, &v[1]);
            }
            let mut d_left = self.product_back(values, gate, (&step.left[gate], &d), gradients);
            d_left = multiplied(&d_left, &step.factors[gate]);
            if self.cell == (Cell::Gru { reset_after: false }) && gate == 2 {
                d_values[1] = multiplied(&d_left, &step.h_before);
                d_left = multiplied(&d_left, &v[1]);
            }
            for (dh, d) in dh_before.iter_mut().zip(d_left) {
                *dh += d;
            }
        }
        *dh = dh_before;
    }

    /// Gradients of [`product`](Self::product): gives that of the left factor.
    fn product_back<T: Real>(
        &self,
        values: &Values<T>,
        gate: usize,
        (left, d): (&[T], &[T]),
        gradients: &mut Values<T>,
    ) -> Vec<T> {
        let columns = self.cell.gates() * self.units;
        let mut d_left = vec![T::zero(); self.units];
        for (u, &d) in d.iter().enumerate() {
            let at = gate * self.units + u;
            if let Some(bias) = gradients.recurrent_bias.get_mut(at) {
                *bias += d;
            }
            for k in 0..self.units {
                d_left[k] += d * values.recurrent_kernel[k * columns + at];
                gradients.recurrent_kernel[k * columns + at] += left[k] * d;
            }
        }
        d_left
    }
}

/// Runs a direction.
pub fn forward<T: Real>(layer: &Layer<'_>, values: &Values<T>) -> Outputs<T> {
    let Layer { batch, time, units, .. } = *layer;
    let mut outputs = Outputs {
        sequence: vec![T::zero(); batch * time * units],
        last: Vec::new(),
        final_h: Vec::new(),
        final_c: Vec::new(),
    };
    for row in 0..batch {
        let mut h = layer.row(&values.initial_h, row);
        let mut c = layer.row(&values.initial_c, row);
        let mut output = vec![T::zero(); units];
        for t in (0..time).map(|index| layer.step_at(index)) {
            if layer.is_active(row, t) {
                let step = layer.step(values, row, t, &h, &c);
                (h, c) = (step.h, step.c);
                output = h.clone();
            } else if layer.zero_output_for_mask {
                output.fill(T::zero());
            }
            outputs.sequence[(row * time + t) * units..][..units].copy_from_slice(&output);
        }
        outputs.last.extend(output);
        outputs.final_h.extend(h);
        outputs.final_c.extend(c);
    }
    outputs
}

/// The gradients of what [`forward`] takes, from those of what it gives (empty ones are zeros).
pub fn backward<T: Real>(layer: &Layer<'_>, values: &Values<T>, d: &Outputs<T>) -> Values<T> {
    let Layer { batch, time, units, .. } = *layer;
    let columns = layer.cell.gates() * units;
    let zeros = |len: usize| vec![T::zero(); len];
    let mut gradients = Values {
        products: zeros(values.products.len()),
        recurrent_kernel: zeros(values.recurrent_kernel.len()),
        recurrent_bias: zeros(values.recurrent_bias.len()),
        ..Values::default()
    };
    for row in 0..batch {
        let (mut h, mut c) = (layer.row(&values.initial_h, row), layer.row(&values.initial_c, row));
        let mut steps = Vec::new();
        for t in (0..time).map(|index| layer.step_at(index)) {
            let step = layer.is_active(row, t).then(|| layer.step(values, row, t, &h, &c));
            if let Some(step) = &step {
                (h, c) = (step.h.clone(), step.c.clone());
            }
            steps.push((t, step));
        }
        let (mut dh, mut dc) = (layer.row(&d.final_h, row), layer.row(&d.final_c, row));
        // The gradient of the output after the step at hand.
        let mut d_output = layer.row(&d.last, row);
        for (t, step) in steps.iter().rev() {
            if !d.sequence.is_empty() {
                add(&mut d_output, &d.sequence[(row * time + t) * units..][..units]);
            }
            if let Some(step) = step {
                add(&mut dh, &d_output);
                let mut dx = zeros(columns);
                layer.step_back(values, step, (&mut dh, &mut dc), &mut dx, &mut gradients);
                gradients.products[(row * time + t) * columns..][..columns].copy_from_slice(&dx);
            }
            // A masked step without zeros hands its output's gradient to the output before.
            if step.is_some() || layer.zero_output_for_mask {
                d_output.fill(T::zero());
            }
        }
        gradients.initial_h.extend(dh);
        gradients.initial_c.extend(dc);
    }
    gradients
}

fn multiplied<T: Real>(a: &[T], b: &[T]) -> Vec<T> {
    a.iter().zip(b).map(|(&a, &b)| a * b).collect()
}

fn add<T: Real>(to: &mut [T], from: &[T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
