//! Inputs of recurrent operators in the layout of ours: weights of one direction, masks, states.

use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::formats::onnx::operators::{compose, quantize};
use crate::graph::{DType, Dim, Tensor, TensorType, ValueId};
use crate::ops::{BinaryKind, Cumsum, FullLike, Reduce, ReduceKind, Take};

/// What a node has: its inputs and sizes.
#[derive(Debug)]
pub struct Inputs {
    /// `[batch, time, features]`.
    pub x: ValueId,
    /// The width of the state.
    pub units: usize,
    /// The number of gates.
    pub gates: usize,
    /// `[directions, gates * units, features]`.
    pub w: ValueId,
    /// `[directions, gates * units, units]`.
    pub r: ValueId,
    /// `[directions, 2 * gates * units]`.
    pub b: Option<ValueId>,
    /// `[directions, 3 * units]`, in the order i o f.
    pub p: Option<ValueId>,
    /// Which steps are real, `[batch, time]`.
    pub mask: Option<ValueId>,
    /// Whether a row has steps at all, `[batch, 1]`.
    pub is_filled: Option<ValueId>,
    /// The states, `[directions, batch, units]` or with the first two axes the other way round.
    pub states: [Option<ValueId>; 2],
    /// The axis of the directions of a state.
    pub state_axis: usize,
}

/// The order in which a cell of Keras has the gates of ONNX: `i o f c` as `i f c o`.
const LSTM_ORDER: [i32; 4] = [0, 2, 3, 1];

impl Inputs {
    /// Reads the inputs of a node with `gates` gates and `directions` directions.
    ///
    /// # Errors
    /// If one is missing or has another shape than the others say.
    pub fn read(
        call: &mut Call<'_>,
        gates: usize,
        directions: usize,
        is_batch_first: bool,
    ) -> Result<Inputs, Problem> {
        let (x, _) = compose::float(call, 0, "X")?;
        let (w, _) = compose::float(call, 1, "W")?;
        let (r, _) = compose::float(call, 2, "R")?;
        Inputs::around(call, [x, w, r], gates, directions, is_batch_first)
    }

    /// The inputs of an LSTM with quantized weights, `[directions, features, 4 * units]`; `X` as its own
    /// range rounds it.
    ///
    /// # Errors
    /// If one is missing or has another shape than the others say.
    pub fn read_quantized(call: &mut Call<'_>, directions: usize) -> Result<Inputs, Problem> {
        let (x, _) = compose::float(call, 0, "X")?;
        let x = quantize::rounded_by_own_range(call, x)?;
        let mut weights = [x; 2];
        for (slot, (index, name, scale, zero)) in
            weights.iter_mut().zip([(1, "W", 8, 9), (2, "R", 10, 11)])
        {
            let given = call.value(index, name)?;
            let (scale, _) = compose::float(call, scale, "scale")?;
            let zero = call.optional_value(zero)?;
            // Of a direction, or of each column of it.
            let beside = |call: &mut Call<'_>, value: ValueId| {
                let mut dims = call.value_ty(value).dims.clone();
                if dims.len() == 1 {
                    dims.push(Dim::Known(1));
                }
                dims.insert(1.min(dims.len()), Dim::Known(1));
                compose::shaped(call, value, dims)
            };
            let scale = beside(call, scale)?;
            let zero = zero.map(|zero| beside(call, zero)).transpose()?;
            let own = quantize::centered(call, given, zero)?;
            let own = compose::product(call, own, scale)?;
            *slot = compose::turned(call, own, [0, 2, 1])?;
        }
        let [w, r] = weights;
        Inputs::around(call, [x, w, r], 4, directions, false)
    }

    /// The other inputs, around the first three.
    fn around(
        call: &mut Call<'_>,
        [x, w, r]: [ValueId; 3],
        gates: usize,
        directions: usize,
        is_batch_first: bool,
    ) -> Result<Inputs, Problem> {
        let units = call.value_ty(r).dims.get(2).and_then(Dim::known);
        let units = match (call.attributes.int("hidden_size")?, units) {
            (Some(given), Some(units)) if usize::try_from(given).ok() == Some(units) => units,
            (None, Some(units)) => units,
            (given, _) => {
                let of =
                    given.map_or(String::new(), |given| format!(" where hidden_size is {given}"));
                let found = format!("{}{of}", call.value_ty(r));
                let expected = format!("[{directions}, {gates}*hidden_size, hidden_size]");
                return Err(NodeProblem::Input { index: 2, input: "R", found, expected }.into());
            }
        };
        let rows = Dim::Known(gates * units);
        let features = call.value_ty(x).dims.get(2).cloned().unwrap_or(Dim::Known(0));
        let count = Dim::Known(directions);
        check(call, x, 0, "X", &[None, None, None])?;
        check(call, w, 1, "W", &[Some(&count), Some(&rows), Some(&features)])?;
        check(call, r, 2, "R", &[Some(&count), Some(&rows), Some(&Dim::Known(units))])?;
        let b = compose::optional_float(call, 3, "B")?;
        if let Some(b) = b {
            let both = Dim::Known(2 * gates * units);
            check(call, b, 3, "B", &[Some(&count), Some(&both)])?;
        }
        let x = if is_batch_first { x } else { compose::turned(call, x, [1, 0, 2])? };
        let (mask, is_filled) = lengths(call, x)?;
        let state_axis = usize::from(is_batch_first);
        let mut states = [None, None];
        let names: &[(usize, &'static str)] = match gates {
            4 => &[(5, "initial_h"), (6, "initial_c")],
            _ => &[(5, "initial_h")],
        };
        for (slot, &(index, name)) in states.iter_mut().zip(names) {
            let zeros = call.optional(index).and_then(|operand| operand.tensor());
            if zeros.is_some_and(|tensor| is_zero(&tensor)) {
                continue;
            }
            *slot = compose::optional_float(call, index, name)?;
            if let Some(state) = *slot {
                let mut dims = [None, None, Some(&Dim::Known(units))];
                dims[state_axis] = Some(&count);
                check(call, state, index, name, &dims)?;
            }
        }
        let p = if gates == 4 { compose::optional_float(call, 7, "P")? } else { None };
        if let Some(p) = p {
            check(call, p, 7, "P", &[Some(&count), Some(&Dim::Known(3 * units))])?;
        }
        Ok(Inputs { x, units, gates, w, r, b, p, mask, is_filled, states, state_axis })
    }

    /// Kernel, recurrent kernel and bias of a direction, as Keras has them; `apart` keeps the two biases
    /// apart.
    ///
    /// # Errors
    /// If a node cannot be added, which would be a fault of ours.
    pub fn weights(
        &self,
        call: &mut Call<'_>,
        direction: usize,
        apart: bool,
    ) -> Result<[Option<ValueId>; 3], Problem> {
        let kernel = self.kernel(call, self.w, direction)?;
        let recurrent = self.kernel(call, self.r, direction)?;
        let bias = self.b.map(|b| self.bias(call, b, direction, apart)).transpose()?;
        Ok([Some(kernel), Some(recurrent), bias])
    }

    /// `[features, gates * units]` of `[directions, gates * units, features]`.
    fn kernel(
        &self,
        call: &mut Call<'_>,
        w: ValueId,
        direction: usize,
    ) -> Result<ValueId, Problem> {
        let own = compose::part(call, w, 0, direction, Some(direction + 1))?;
        let features = call.value_ty(own).dims.get(2).cloned().unwrap_or(Dim::Known(0));
        let (gates, units) = (Dim::Known(self.gates), Dim::Known(self.units));
        let own = compose::shaped(call, own, [gates.clone(), units.clone(), features.clone()])?;
        let own = self.ordered(call, own, 0)?;
        let own = compose::shaped(call, own, [Dim::Known(self.gates * self.units), features])?;
        compose::turned(call, own, [1, 0])
    }

    fn bias(
        &self,
        call: &mut Call<'_>,
        b: ValueId,
        direction: usize,
        apart: bool,
    ) -> Result<ValueId, Problem> {
        let own = compose::part(call, b, 0, direction, Some(direction + 1))?;
        let own = compose::shaped(call, own, [2, self.gates, self.units].map(Dim::Known))?;
        let own = self.ordered(call, own, 1)?;
        let columns = self.gates * self.units;
        if apart {
            return compose::shaped(call, own, [2, columns].map(Dim::Known));
        }
        let reduce = Reduce { kind: ReduceKind::Sum, first: 0, count: 1, keepdims: false };
        let own = call.add(reduce, &[own])?;
        compose::shaped(call, own, [Dim::Known(columns)])
    }

    /// Gates along `axis` in the order of ours.
    fn ordered(&self, call: &mut Call<'_>, x: ValueId, axis: usize) -> Result<ValueId, Problem> {
        match self.gates {
            4 => taken(call, x, axis, &LSTM_ORDER),
            _ => Ok(x),
        }
    }

    /// The peepholes of a direction, `[3, units]` in the order i f o.
    ///
    /// # Errors
    /// If a node cannot be added, which would be a fault of ours.
    pub fn peepholes(
        &self,
        call: &mut Call<'_>,
        direction: usize,
    ) -> Result<Option<ValueId>, Problem> {
        let Some(p) = self.p else { return Ok(None) };
        let own = compose::part(call, p, 0, direction, Some(direction + 1))?;
        let own = compose::shaped(call, own, [3, self.units].map(Dim::Known))?;
        taken(call, own, 0, &[0, 2, 1]).map(Some)
    }

    /// The initial states of a direction, `[batch, units]`.
    ///
    /// # Errors
    /// If a node cannot be added, which would be a fault of ours.
    pub fn initial(
        &self,
        call: &mut Call<'_>,
        direction: usize,
    ) -> Result<[Option<ValueId>; 2], Problem> {
        let mut found = [None, None];
        for (slot, state) in found.iter_mut().zip(self.states) {
            let Some(state) = state else { continue };
            let own = compose::part(call, state, self.state_axis, direction, Some(direction + 1))?;
            let batch = call.value_ty(own).dims[1 - self.state_axis].clone();
            *slot = Some(compose::shaped(call, own, [batch, Dim::Known(self.units)])?);
        }
        Ok(found)
    }

    /// The final states, `[batch, units]` of each direction, in one tensor; zero for rows without steps.
    ///
    /// # Errors
    /// If a node cannot be added, which would be a fault of ours.
    pub fn finals(&self, call: &mut Call<'_>, finals: &[ValueId]) -> Result<ValueId, Problem> {
        let mut parts = Vec::with_capacity(finals.len());
        for &state in finals {
            let mut state = state;
            // Without initial states they are zero already.
            if let (Some(is_filled), [Some(_), _] | [_, Some(_)]) = (self.is_filled, self.states) {
                let zero = call.constant(Tensor::scalar(0.0f32));
                state = compose::select(call, is_filled, state, zero)?;
            }
            let mut dims = call.value_ty(state).dims.clone();
            dims.insert(self.state_axis, Dim::Known(1));
            parts.push(compose::shaped(call, state, dims)?);
        }
        match parts[..] {
            [only] => Ok(only),
            _ => call.add(crate::ops::Concat { axis: self.state_axis }, &parts),
        }
    }
}

fn taken(call: &mut Call<'_>, x: ValueId, axis: usize, order: &[i32]) -> Result<ValueId, Problem> {
    let order =
        Tensor::new([order.len()], order.to_vec()).map_err(crate::graph::GraphError::from)?;
    let order = call.constant(order);
    call.add(Take { axis }, &[x, order])
}

fn is_zero(tensor: &Tensor) -> bool {
    tensor.as_f32().is_some_and(|values| values.iter().all(|value| *value == 0.0))
}

/// Checks the sizes of an input; `None` for those that are free.
fn check(
    call: &Call<'_>,
    value: ValueId,
    index: usize,
    input: &'static str,
    sizes: &[Option<&Dim>],
) -> Result<(), Problem> {
    let ty: &TensorType = call.value_ty(value);
    let fits = ty.rank() == sizes.len()
        && ty.dims.iter().zip(sizes).all(|(dim, size)| size.is_none_or(|size| dim.may_equal(size)));
    if fits {
        return Ok(());
    }
    let sizes = sizes.iter().map(|size| size.map_or("?".to_owned(), ToString::to_string));
    let expected = format!("of sizes [{}]", sizes.collect::<Vec<_>>().join(", "));
    Err(NodeProblem::Input { index, input, found: ty.to_string(), expected }.into())
}

/// The mask `[batch, time]` that `sequence_lens` says, and whether rows have steps at all.
fn lengths(call: &mut Call<'_>, x: ValueId) -> Result<(Option<ValueId>, Option<ValueId>), Problem> {
    let Some(operand) = call.optional(4) else { return Ok((None, None)) };
    let (batch, time) = (call.value_ty(x).dims[0].clone(), call.value_ty(x).dims[1].clone());
    let known = operand.sizes();
    let is_time = |size: &crate::formats::onnx::contents::Size| match size.dim() {
        Some(dim) => dim == time,
        None => false,
    };
    if known.is_some_and(|known| known.elements.iter().all(is_time)) {
        return Ok((None, None));
    }
    let lens = call.materialize(&operand)?;
    check(call, lens, 4, "sequence_lens", &[Some(&batch)])?;
    let lens = call.cast(lens, DType::I32)?;
    let lens = compose::shaped(call, lens, [batch, Dim::Known(1)])?;
    let numbers = numbered(call, x, &time)?;
    let mask = compose::binary(call, BinaryKind::LessEqual, numbers, lens)?;
    let zero = call.constant(Tensor::scalar(0i32));
    let is_filled = compose::binary(call, BinaryKind::Greater, lens, zero)?;
    Ok((Some(mask), Some(is_filled)))
}

/// `1, 2 …` along time, `[1, time]` or `[batch, time]`.
fn numbered(call: &mut Call<'_>, x: ValueId, time: &Dim) -> Result<ValueId, Problem> {
    if let Some(time) = time.known().and_then(|time| i32::try_from(time).ok()) {
        let numbers: Vec<i32> = (1..=time).collect();
        let numbers = Tensor::new([1, numbers.len()], numbers);
        return Ok(call.constant(numbers.map_err(crate::graph::GraphError::from)?));
    }
    let of_step = Reduce { kind: ReduceKind::Sum, first: 2, count: 1, keepdims: false };
    let of_step = call.add(of_step, &[x])?;
    let one = call.constant(Tensor::scalar(1i32));
    let ones = call.add(FullLike, &[of_step, one])?;
    call.add(Cumsum { axis: 1 }, &[ones])
}
