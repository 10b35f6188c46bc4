use half::f16;

use super::super::packing::{InputWeights, pack_projection, pack_recurrent};
use super::super::recurrent_shape::{Room, Shape, terms};
use super::super::store::halves;
use super::reference::Layer;
use super::*;

const CELLS: [Cell; 3] =
    [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }];
const FEATURES: usize = 5;

/// Which steps count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mask {
    None,
    /// Rows of different lengths, padded on the right; the first row is padding only.
    Right,
    Left,
    Scattered,
}

/// Where the recurrent weights are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    /// Where the rule puts them.
    AsChosen,
    /// Read at every step.
    Streamed,
    /// As many as workgroup memory takes.
    InWorkgroup,
    InRegisters,
    /// A group in registers, one in workgroup memory, the others read at every step.
    Everywhere,
}

/// A bidirectional layer and what it runs on.
#[derive(Clone, Copy, Debug)]
struct Case {
    cell: Cell,
    units: usize,
    batch: usize,
    time: usize,
    mask: Mask,
    zero_output_for_mask: bool,
    states: bool,
    bias: bool,
    activation: [ActivationKind; 2],
    half: bool,
    held: Held,
}

impl Case {
    fn new(cell: Cell, units: usize, batch: usize, time: usize) -> Case {
        let activation = [ActivationKind::Tanh, ActivationKind::Sigmoid];
        let (mask, zero_output_for_mask, states, bias) = (Mask::None, false, false, true);
        Case {
            cell,
            units,
            batch,
            time,
            mask,
            zero_output_for_mask,
            states,
            bias,
            activation,
            half: false,
            held: Held::AsChosen,
        }
    }

    fn counts(&self, row: usize, t: usize) -> bool {
        let length = row * 5 % (self.time + 1);
        match self.mask {
            Mask::None => true,
            Mask::Right => t < length,
            Mask::Left => t >= self.time - length,
            Mask::Scattered => !(row * 7 + t * 3).is_multiple_of(4),
        }
    }

    fn config(&self) -> RecurrentConfig {
        RecurrentConfig {
            cell: self.cell,
            units: self.units as u32,
            activation: self.activation[0].into(),
            recurrent_activation: self.activation[1].into(),
        }
    }

    fn shape(&self, room: Room) -> Shape {
        let (units, half) = (self.units as u32, self.half);
        let streamed = Shape::streamed(units, half, room);
        let groups = streamed.length(units, half) / terms(half);
        let with = |in_registers, in_workgroup| {
            let shape = |rows| Shape { rows, in_registers, in_workgroup, ..streamed };
            let fits =
                |shape: &Shape| shape.bytes(self.cell, units, half) <= u64::from(room.memory);
            [4, 2, 1].map(shape).into_iter().find(fits)
        };
        match self.held {
            Held::AsChosen => Shape::new(self.cell, units, half, room),
            Held::Streamed => streamed,
            // Compilers take long where there are many more than the rule allows.
            Held::InRegisters => with(groups.min(32), 0).expect("the states fit"),
            Held::InWorkgroup => {
                let most = (0..=groups).rev().find_map(|groups| with(0, groups));
                most.expect("the states fit")
            }
            Held::Everywhere => with(1, 1.min(groups - 1)).or(with(1, 0)).expect("it is little"),
        }
    }
}

/// Weights of one direction, in Keras's form.
struct Direction {
    kernel: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Option<Vec<f32>>,
    h: Vec<f32>,
    c: Vec<f32>,
}

impl Direction {
    fn new(case: &Case, seed: u64) -> Direction {
        let mut numbers = Numbers(seed);
        let width = case.cell.gates() as usize * case.units;
        let rows = if case.cell == (Cell::Gru { reset_after: true }) { 2 } else { 1 };
        let scale = 1.0 / (case.units as f32).sqrt();
        let states = if case.states { 1.0 } else { 0.0 };
        // Weights that are kept as f16 are such numbers to begin with.
        let weights = |numbers: &mut Numbers, count, scale| {
            let mut weights = numbers.take(count, scale);
            if case.half {
                weights.iter_mut().for_each(|w| *w = f16::from_f32(*w).to_f32());
            }
            weights
        };
        Direction {
            kernel: numbers.take(FEATURES * width, 0.5),
            recurrent: weights(&mut numbers, case.units * width, scale),
            bias: case.bias.then(|| weights(&mut numbers, rows * width, 0.5)),
            h: numbers.take(case.batch * case.units, states),
            c: numbers.take(case.batch * case.units, states),
        }
    }
}

/// Runs a case on the device and compares every output with the reference.
fn check(device: &Arc<GpuDevice>, case: Case) {
    let Case { units, batch, time, .. } = case;
    let directions = [Direction::new(&case, 11), Direction::new(&case, 23)];
    let x = Numbers(5).take(batch * time * FEATURES, 1.0);

    let inputs = [0, 1].map(|d: usize| InputWeights {
        kernel: &directions[d].kernel,
        bias: directions[d].bias.as_deref(),
    });
    let projection = pack_projection(case.cell, FEATURES, units, &inputs).unwrap();
    let packed = [0, 1].map(|d: usize| {
        let Direction { recurrent, bias, .. } = &directions[d];
        let packed = pack_recurrent(case.cell, units, recurrent, bias.as_deref()).unwrap();
        if case.half { halves("recurrent", &packed).unwrap() } else { packed }
    });
    let mut builder = WeightsBuilder::new(device);
    let dense = builder.push("projection", &[&projection.kernel, &projection.bias]).unwrap();
    let mut recurrent = builder.push("recurrent", &[&packed[0], &packed[1]]).unwrap();
    recurrent.iter_mut().for_each(|weights| weights.half = case.half);
    let weights = builder.finish(device).unwrap();

    let mut layout = Layout::default();
    let x_at = layout.input(&x);
    let steps = batch * time;
    let projected = layout.region(steps * projection.columns);
    let (sequence, last) = (layout.region(steps * 2 * units), layout.region(batch * 2 * units));
    let mask: Vec<u32> =
        (0..steps).map(|i| u32::from(case.counts(i / time.max(1), i % time.max(1)))).collect();
    let mask = (case.mask != Mask::None).then(|| layout.input(&mask));
    let mut finals = Vec::new();
    let width = (projection.columns / 2) as u32;
    let calls: Vec<_> = [0u32, 1]
        .map(|d| {
            let direction = &directions[d as usize];
            let mut call = RecurrentDirection::new(projected + d * width, recurrent[d as usize]);
            call.backward = d == 1;
            call.sequence = Some(sequence + d * units as u32);
            call.last = Some(last + d * units as u32);
            call.final_h = Some(layout.region(batch * units));
            finals.extend(call.final_h);
            let is_lstm = case.cell == Cell::Lstm;
            if is_lstm {
                call.final_c = Some(layout.region(batch * units));
                finals.extend(call.final_c);
            }
            if case.states {
                call.initial_h = Some(layout.input(&direction.h));
                call.initial_c = is_lstm.then(|| layout.input(&direction.c));
            }
            call
        })
        .into();
    let scratch = case.config().scratch_words(device, batch as u32, 2);
    let scratch = (scratch > 0).then(|| layout.region(scratch as usize));

    let mut recorder = Recorder::new(device);
    let columns = projection.columns as u32;
    let mut op = MatMul::dense(steps as u32, FEATURES as u32, columns, x_at, dense[0], projected);
    op.bias = Some(dense[1]);
    recorder.matmul("projection", &op).unwrap();
    let layer = Recurrent {
        config: case.config(),
        batch: batch as u32,
        time: time as u32,
        directions: &calls,
        mask,
        zero_output_for_mask: case.zero_output_for_mask,
        projected_stride: columns,
        sequence_stride: 2 * units as u32,
        last_stride: 2 * units as u32,
        scratch,
    };
    match case.held {
        Held::AsChosen => recorder.recurrent("layer", &layer).unwrap(),
        _ => {
            let shape = case.shape(Room::of(&device.limits));
            recorder.recurrent_shaped("layer", &layer, shape).unwrap();
        }
    }
    let calls = recorder.finish();
    assert!(calls.len() <= 2, "one dispatch for the projection, one for the layer");

    let mut regions = vec![(sequence, steps * 2 * units), (last, batch * 2 * units)];
    regions.extend(finals.iter().map(|&offset| (offset, batch * units)));
    let found = run(device, &weights, calls, &layout, &regions).unwrap();
    let expected = expected(&case, &directions, &x);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_close(&format!("{case:?}, output {i}"), found, expected);
    }
}

/// Sequence, last output and the final states of both directions.
fn expected(case: &Case, directions: &[Direction; 2], x: &[f32]) -> Vec<Vec<f64>> {
    let &Case { units, batch, time, .. } = case;
    let mut sequence = vec![0.0; batch * time * 2 * units];
    let mut last = vec![0.0; batch * 2 * units];
    let mut finals = Vec::new();
    for (d, direction) in directions.iter().enumerate() {
        let layer = Layer {
            cell: case.cell,
            units,
            features: FEATURES,
            activation: case.activation,
            kernel: &direction.kernel,
            recurrent: &direction.recurrent,
            bias: direction.bias.as_deref(),
            backward: d == 1,
            zero_output_for_mask: case.zero_output_for_mask,
        };
        let (mut h, mut c) = (Vec::new(), Vec::new());
        for row in 0..batch {
            let mask: Vec<bool> = (0..time).map(|t| case.counts(row, t)).collect();
            let state = row * units..(row + 1) * units;
            let x = &x[row * time * FEATURES..][..time * FEATURES];
            let out = layer.run(x, &mask, &direction.h[state.clone()], &direction.c[state]);
            for (t, output) in out.sequence.iter().enumerate() {
                let at = ((row * time + t) * 2 + d) * units;
                sequence[at..at + units].copy_from_slice(output);
            }
            last[(row * 2 + d) * units..][..units].copy_from_slice(&out.last);
            h.extend(out.h);
            c.extend(out.c);
        }
        finals.push(h);
        if case.cell == Cell::Lstm {
            finals.push(c);
        }
    }
    [vec![sequence, last], finals].concat()
}

#[test]
fn ragged_sizes_in_both_directions() {
    let Some(device) = device(false) else { return };
    for cell in CELLS {
        for units in [1, 3, 16, 17, 64, 128] {
            for (batch, time) in [(0, 3), (1, 0), (1, 1), (2, 7), (9, 7), (1, 40)] {
                check(&device, Case::new(cell, units, batch, time));
            }
        }
    }
}

#[test]
fn webgpu_default_limits_suffice() {
    let Some(device) = device(true) else { return };
    for cell in CELLS {
        for units in [3, 64, 130, 300] {
            check(&device, Case::new(cell, units, 2, 5));
        }
    }
}

#[test]
fn masks_and_states() {
    let Some(device) = device(false) else { return };
    for cell in CELLS {
        for mask in [Mask::Right, Mask::Left, Mask::Scattered] {
            for states in [false, true] {
                for zero_output_for_mask in [false, true] {
                    let case = Case::new(cell, 17, 9, 7);
                    check(&device, Case { mask, states, zero_output_for_mask, ..case });
                }
            }
        }
    }
}

/// Sizes with masks and states, weights of both types, under both limits.
fn check_held(held: Held, sizes: &[usize]) {
    for limits in [false, true] {
        let Some(device) = device(limits) else { return };
        // Smaller layers have the same workgroups under both.
        let sizes = sizes.iter().copied().filter(|&units| !limits || units >= 64);
        for (at, (units, cell)) in
            sizes.flat_map(|units| CELLS.map(|cell| (units, cell))).enumerate()
        {
            for half in [false, true] {
                let mask = [Mask::Right, Mask::Left, Mask::Scattered, Mask::None][at % 4];
                let case = Case { mask, states: true, half, held, ..Case::new(cell, units, 3, 5) };
                check(&device, case);
            }
        }
    }
}

const RAGGED: [usize; 11] = [1, 2, 3, 7, 16, 31, 32, 33, 64, 100, 128];

#[test]
fn weights_read_at_every_step() {
    check_held(Held::Streamed, &RAGGED);
}

#[test]
fn weights_held_in_workgroup_memory() {
    check_held(Held::InWorkgroup, &RAGGED);
}

#[test]
fn weights_held_in_registers() {
    check_held(Held::InRegisters, &RAGGED);
}

#[test]
fn weights_held_in_part() {
    check_held(Held::Everywhere, &[1, 2, 17, 33, 64, 128]);
}

/// llvmpipe ends loops after so many rounds without an error.
#[test]
fn the_longest_sequence_that_is_not_refused_is_walked_to_its_end() {
    let Some(device) = device(false) else { return };
    if device.max_rounds() == u64::MAX {
        return;
    }
    for held in [Held::Streamed, Held::InWorkgroup, Held::InRegisters, Held::Everywhere] {
        for (cell, batch) in CELLS.into_iter().flat_map(|cell| [(cell, 1), (cell, 65)]) {
            let case = Case { held, half: true, ..Case::new(cell, 5, batch, 1) };
            let shape = case.shape(Room::of(&device.limits));
            let rows = if batch == 1 { 1 } else { shape.rows };
            let fits = |time: &usize| {
                shape.rounds(cell, 5, true, rows, *time as u32) <= device.max_rounds()
            };
            let time = (1..).take_while(fits).last().expect("one step fits");
            check(&device, Case { time, ..case });
        }
    }
}

#[test]
fn large_batches_share_workgroups() {
    let Some(device) = device(false) else { return };
    for cell in CELLS {
        for units in [5, 33] {
            for held in [Held::Streamed, Held::InWorkgroup, Held::InRegisters, Held::Everywhere] {
                let case = Case { held, half: units == 5, ..Case::new(cell, units, 67, 4) };
                check(&device, Case { mask: Mask::Scattered, states: true, ..case });
            }
        }
    }
}

#[test]
fn states_above_workgroup_memory_go_to_the_arena() {
    let Some(device) = device(true) else { return };
    for cell in CELLS {
        let case = Case::new(cell, 1400, 1, 3);
        assert!(case.config().scratch_words(&device, 1, 2) > 0);
        check(&device, Case { mask: Mask::Scattered, states: true, ..case });
    }
}

#[test]
fn other_activations_and_no_bias() {
    let Some(device) = device(false) else { return };
    use ActivationKind::*;
    for cell in CELLS {
        for activation in [[Relu6, HardSigmoid], [Softsign, HardSigmoidKeras2], [Elu, Sigmoid]] {
            check(&device, Case { activation, bias: false, ..Case::new(cell, 6, 2, 5) });
        }
    }
}

#[test]
fn go_backwards_can_keep_the_order_of_processing() {
    let Some(device) = device(false) else { return };
    let (units, time) = (4usize, 3usize);
    let mut builder = WeightsBuilder::new(&device);
    let recurrent = builder.push("r", &[&vec![0.25; units * 3 * units + 3 * units]]).unwrap();
    let weights = builder.finish(&device).unwrap();
    let mut layout = Layout::default();
    let projected = layout.input(&Numbers(2).take(time * 3 * units, 1.0));
    let results: Vec<Vec<f32>> = [false, true]
        .map(|store_as_processed| {
            let sequence = layout.region(time * units);
            let mut direction = RecurrentDirection::new(projected, recurrent[0]);
            direction.backward = true;
            direction.store_as_processed = store_as_processed;
            direction.sequence = Some(sequence);
            let case = Case::new(Cell::Gru { reset_after: true }, units, 1, time);
            let layer = Recurrent {
                config: case.config(),
                batch: 1,
                time: time as u32,
                directions: &[direction],
                mask: None,
                zero_output_for_mask: false,
                projected_stride: 3 * units as u32,
                sequence_stride: units as u32,
                last_stride: 0,
                scratch: None,
            };
            let mut recorder = Recorder::new(&device);
            recorder.recurrent("gru", &layer).unwrap();
            let outputs = [(sequence, time * units)];
            run(&device, &weights, recorder.finish(), &layout, &outputs).unwrap().remove(0)
        })
        .into();
    let reversed: Vec<f32> = results[0].chunks(units).rev().flatten().copied().collect();
    assert_eq!(results[1], reversed);
}

#[test]
fn a_hundred_lengths_need_one_set_of_pipelines() {
    if device(false).is_none() {
        return;
    }
    // A device of its own, whose pipelines no other test adds to.
    let device = GpuDevice::open(DevicePreference::Any).unwrap();
    let record = |batch: u32, time: u32| {
        let mut recorder = Recorder::new(&device);
        let weight = WeightRef { buffer: 0, offset: 0, half: false };
        let config = Case::new(Cell::Lstm, 8, 1, 1).config();
        recorder
            .embedding(
                "embedding",
                &Embedding {
                    count: batch * time,
                    width: 4,
                    vocabulary: 10,
                    table: weight,
                    ids: 0,
                    output: 100_000,
                    mask: None,
                },
            )
            .unwrap();
        let dense = MatMul::dense(batch * time, 4, 32, 100_000, weight, 200_000);
        recorder.matmul("projection", &dense).unwrap();
        let layer = Recurrent {
            config,
            batch,
            time,
            directions: &[RecurrentDirection::new(200_000, weight)],
            mask: None,
            zero_output_for_mask: false,
            projected_stride: 32,
            sequence_stride: 8,
            last_stride: 8,
            scratch: None,
        };
        recorder.recurrent("lstm", &layer).unwrap();
        assert_eq!(recorder.finish().len(), 3);
    };
    // Short and long inputs take two kernels for the matrix product.
    record(1, 1);
    record(1, 100);
    let created = device.pipelines_created();
    assert_eq!(created, 4);
    for time in 1..=100 {
        record(1, time);
        record(time, 3);
    }
    assert_eq!(device.pipelines_created(), created);
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let Some(device) = device(false) else { return };
    let mut recorder = Recorder::new(&device);
    let direction = RecurrentDirection::new(0, WeightRef { buffer: 0, offset: 0, half: false });
    let with_c = RecurrentDirection { final_c: Some(0), ..direction.clone() };
    let elsewhere = RecurrentDirection {
        recurrent: WeightRef { buffer: 1, offset: 0, half: false },
        ..direction.clone()
    };
    let wrong: [&[RecurrentDirection]; 4] = [
        &[],
        &[with_c],
        &[direction.clone(), elsewhere],
        &[direction.clone(), direction.clone(), direction.clone()],
    ];
    for directions in wrong {
        let layer = Recurrent {
            config: Case::new(CELLS[1], 4, 1, 1).config(),
            batch: 1,
            time: 1,
            directions,
            mask: None,
            zero_output_for_mask: false,
            projected_stride: 12,
            sequence_stride: 4,
            last_stride: 4,
            scratch: None,
        };
        let result = recorder.recurrent("gru", &layer);
        assert!(matches!(result, Err(GpuError::Arguments { .. })), "{result:?}");
    }
    assert!(pack_recurrent(Cell::Lstm, 4, &[0.0; 63], None).is_err());
}
