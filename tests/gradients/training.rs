//! The pass for training: what it makes of layers computes what they do, and their noise acts.

use std::sync::Arc;

use seqfuse::graph::{Graph, Operator, Tensor, ValueId, VariableKind};
use seqfuse::ops::recurrent::{CellSlots, MASK};
use seqfuse::ops::*;
use seqfuse::passes::{TRAINING_STEP, differentiate, for_inference, for_training};
use seqfuse::{Model, Options, Tensors};

use super::build::Builder;

fn run(graph: &Graph, step: i64) -> Tensors {
    let model = Model::from_graph(graph.clone());
    let mut session = model.session(&Options::new()).expect("a session");
    let step = Tensor::new([2], vec![5, step]).expect("two numbers");
    let inputs = graph.inputs().iter().map(|input| (input.name.clone(), step.clone()));
    session.run(&inputs.collect()).expect("it runs")
}

fn values<'a>(tensors: &'a Tensors, name: &str) -> &'a [f32] {
    tensors.get(name).and_then(Tensor::as_f32).expect("an f32 output")
}

/// Adds all outputs of a node as outputs of the Graph.
fn node(b: &mut Builder, op: impl Operator, inputs: Vec<Option<ValueId>>) {
    for (index, value) in b.node(op, inputs).into_iter().enumerate() {
        b.graph.add_output(format!("output{index}"), value).expect("a new name");
    }
}

/// Checks that the Graph for training gives what the model gives.
fn same(b: &Builder, what: &str) {
    let training = for_training(&b.graph).expect("it can be trained");
    training.verify().expect("a valid Graph");
    let (expected, found) = (run(&b.graph, 0), run(&training, 0));
    for name in expected.names() {
        let pairs = values(&expected, name).iter().zip(values(&found, name));
        for (expected, found) in pairs {
            let off = (expected - found).abs();
            assert!(off < 1e-5, "{what}: {name} is {found}, not {expected}");
        }
    }
}

/// `x`, a mask or none, and for each direction weights and perhaps states.
fn slots(
    b: &mut Builder,
    cell: CellSlots,
    gates: usize,
    bias: &[usize],
    direction: Direction,
    whole: bool,
) -> Vec<Option<ValueId>> {
    let (features, units) = (5, 4);
    let mut slots = vec![None; cell.count(direction)];
    slots[0] = Some(b.p(&[3, 6, features]));
    let pattern = [true, true, false, true, true, false, false];
    slots[MASK] = whole.then(|| b.mask(&[3, 6], &pattern));
    for side in 0..direction.count() {
        slots[cell.kernel(side)] = Some(b.p(&[features, gates * units]));
        slots[cell.recurrent_kernel(side)] = Some(b.p(&[units, gates * units]));
        if whole {
            slots[cell.bias(side)] = Some(b.p(bias));
            for state in 0..cell.states {
                slots[cell.state(side, state)] = Some(b.p(&[3, units]));
            }
        }
    }
    slots
}

#[test]
fn recurrent_layers_come_apart_into_steps_that_give_the_same() {
    let (activation, recurrent_activation) = (Activation::Tanh, Activation::Sigmoid);
    for direction in [Direction::Forward, Direction::Backward, Direction::Bidirectional] {
        for whole in [false, true] {
            let what = format!("{direction:?}, with all that it can take: {whole}");
            let (units, zero_output_for_mask) = (4, whole);
            let (dropout, recurrent_dropout, implementation) = (0.0, 0.0, 2);
            let mut b = Builder::new();
            let inputs = slots(&mut b, Lstm::SLOTS, 4, &[16], direction, whole);
            let lstm = Lstm {
                units,
                direction,
                activation,
                recurrent_activation,
                zero_output_for_mask,
                dropout,
                recurrent_dropout,
                implementation,
            };
            node(&mut b, lstm, inputs);
            same(&b, &format!("LSTM, {what}"));
            for reset_after in [false, true] {
                let mut b = Builder::new();
                let bias: &[usize] = if reset_after { &[2, 12] } else { &[12] };
                let inputs = slots(&mut b, Gru::SLOTS, 3, bias, direction, whole);
                let gru = Gru {
                    units,
                    direction,
                    activation,
                    recurrent_activation,
                    reset_after,
                    zero_output_for_mask,
                    dropout,
                    recurrent_dropout,
                    implementation,
                };
                node(&mut b, gru, inputs);
                same(&b, &format!("GRU {reset_after}, {what}"));
            }
            let mut b = Builder::new();
            let inputs = slots(&mut b, SimpleRnn::SLOTS, 1, &[4], direction, whole);
            let rnn = SimpleRnn {
                units,
                direction,
                activation,
                zero_output_for_mask,
                dropout,
                recurrent_dropout,
            };
            node(&mut b, rnn, inputs);
            same(&b, &format!("SimpleRNN, {what}"));
        }
    }
}

#[test]
fn fused_activations_come_off_where_their_derivative_needs_the_argument() {
    let mut b = Builder::new();
    let inputs = [b.p(&[2, 3]), b.p(&[3, 4]), b.p(&[4])].map(Some).to_vec();
    node(&mut b, Dense { contract: 1, activation: Activation::Silu }, inputs);
    same(&b, "dense");
    let names = |graph: &Graph| -> Vec<&'static str> {
        graph.nodes().iter().map(|node| node.op.name()).collect()
    };
    let training = for_training(&b.graph).expect("it can be trained");
    assert_eq!(names(&training), ["dense", "activate"]);
    let mut b = Builder::new();
    let inputs = [b.p(&[2, 3]), b.p(&[3, 4])].map(Some).to_vec();
    node(&mut b, Dense { contract: 1, activation: Activation::Relu }, inputs);
    let training = for_training(&b.graph).expect("it can be trained");
    assert_eq!(names(&training), ["dense"]);
}

/// The LSTM of both kinds of dropout, in a Graph of its own.
fn dropping(dropout: f32, recurrent_dropout: f32, implementation: u8) -> Graph {
    let mut b = Builder::new();
    let inputs = slots(&mut b, Lstm::SLOTS, 4, &[16], Direction::Bidirectional, true);
    let lstm = Lstm {
        units: 4,
        direction: Direction::Bidirectional,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        zero_output_for_mask: false,
        dropout,
        recurrent_dropout,
        implementation,
    };
    node(&mut b, lstm, inputs);
    b.graph
}

#[test]
fn dropout_of_recurrent_layers_acts_in_training_alone_and_with_every_step_anew() {
    let plain = run(&dropping(0.0, 0.0, 2), 0);
    for (dropout, recurrent_dropout, implementation, streams) in
        [(0.4, 0.0, 2, 2), (0.4, 0.0, 1, 8), (0.0, 0.4, 2, 2), (0.4, 0.4, 2, 10)]
    {
        let graph = dropping(dropout, recurrent_dropout, implementation);
        assert_eq!(run(&graph, 0), plain, "inference does not drop");
        let training = for_training(&graph).expect("it can be trained");
        assert!(training.inputs().iter().any(|input| input.name == TRAINING_STEP));
        let found: Vec<u32> = training
            .nodes()
            .iter()
            .filter_map(|node| node.op.downcast_ref::<Dropout>()?.stream)
            .collect();
        assert_eq!(found, (0..streams).collect::<Vec<u32>>());
        let first = run(&training, 0);
        assert_eq!(first, run(&training, 0), "one step draws the same numbers each time");
        assert_ne!(first, run(&training, 1), "another step draws others");
        assert_ne!(values(&first, "output0"), values(&plain, "output0"));
    }
}

#[test]
fn dropped_attention_gives_the_scores_that_its_layer_asks_for() {
    for dropped_scores in [false, true] {
        let mut b = Builder::new();
        let inputs = [b.p(&[2, 3, 2, 4]), b.p(&[2, 5, 2, 4]), b.p(&[2, 5, 2, 4])];
        let attention = Attention {
            scale: 0.5,
            causal: false,
            sliding_window: None,
            masked_row: MaskedRow::Uniform,
            dropout: 0.5,
            dropped_scores,
        };
        node(&mut b, attention, inputs.map(Some).to_vec());
        let plain = run(&b.graph, 0);
        let trained = run(&for_training(&b.graph).expect("it can be trained"), 0);
        assert_ne!(values(&plain, "output0"), values(&trained, "output0"));
        let zeros = values(&trained, "output1").iter().filter(|&&score| score == 0.0).count();
        assert_eq!(zeros > 0, dropped_scores, "{zeros} scores are dropped");
    }
}

/// Batch normalization of 6 rows, its statistics Variables.
fn batch_norm(frozen: bool) -> Graph {
    let mut b = Builder::new();
    let x = b.within(&[6, 3], -1.0, 3.0);
    let (gamma, beta) = (b.p(&[3]), b.p(&[3]));
    let mut statistic = |name: &str, value: f32| {
        let tensor = Arc::new(Tensor::new([3], vec![value; 3]).expect("three numbers"));
        let id = b.graph.add_variable(name, VariableKind::Statistic, tensor).expect("a new name");
        b.graph.read(id)
    };
    let (mean, variance) = (statistic("mean", 0.5), statistic("variance", 2.0));
    let norm = BatchNorm { axis: 1, epsilon: 1e-3, momentum: 0.9, frozen };
    let inputs = [x, gamma, beta, mean, variance].map(Some).to_vec();
    node(&mut b, norm, inputs);
    b.graph
}

#[test]
fn batch_normalization_moves_its_statistics_unless_it_is_frozen() {
    let frozen = for_training(&batch_norm(true)).expect("it can be trained");
    assert!(frozen.updates().is_empty());
    let inference = for_inference(&batch_norm(false)).expect("it can run");
    assert_eq!(run(&frozen, 0), run(&inference, 0), "a frozen layer trains as it infers");
    let mut training = for_training(&batch_norm(false)).expect("it can be trained");
    assert_ne!(run(&training, 0), run(&inference, 0));
    assert_eq!(training.updates().len(), 2);
    for (index, (_, value)) in training.updates().to_vec().into_iter().enumerate() {
        training.add_output(format!("moved{index}"), value).expect("a new name");
    }
    let found = run(&training, 0);
    let x = training.variables()[0].value.as_f32().expect("numbers").to_vec();
    for channel in 0..3 {
        let column: Vec<f64> = x.iter().skip(channel).step_by(3).map(|&x| x.into()).collect();
        let mean = column.iter().sum::<f64>() / 6.0;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0;
        for (name, old, new) in [("moved0", 0.5, mean), ("moved1", 2.0, variance)] {
            let off = f64::from(values(&found, name)[channel]) - (0.9 * old + 0.1 * new);
            assert!(off.abs() < 1e-6, "{name} of channel {channel} is off by {off}");
        }
    }
}

#[test]
fn a_layer_that_is_called_twice_moves_its_statistics_twice() {
    let mut graph = batch_norm(false);
    let first = graph.nodes()[0].clone();
    let again = graph.add_node("again", first.op, first.inputs).expect("it fits");
    graph.add_output("again", again[0]).expect("a new name");
    let mut training = for_training(&graph).expect("it can be trained");
    assert_eq!(training.updates().len(), 2);
    let value = training.updates()[0].1;
    training.add_output("moved", value).expect("a new name");
    let x = training.variables()[0].value.as_f32().expect("numbers").to_vec();
    let mean = x.iter().step_by(3).map(|&x| f64::from(x)).sum::<f64>() / 6.0;
    let expected = 0.9 * (0.9 * 0.5 + 0.1 * mean) + 0.1 * mean;
    let found = f64::from(values(&run(&training, 0), "moved")[0]);
    assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
}

#[test]
fn what_has_no_derivative_is_refused_by_name() {
    let mut b = Builder::new();
    let inputs = slots(&mut b, SimpleRnn::SLOTS, 1, &[4], Direction::Forward, false);
    let rnn = SimpleRnn {
        units: 4,
        direction: Direction::Forward,
        activation: Activation::Tanh,
        zero_output_for_mask: false,
        dropout: 0.0,
        recurrent_dropout: 0.0,
    };
    let sum = Reduce { kind: ReduceKind::Sum, first: 0, count: 2, keepdims: false };
    let kernel = inputs[2].expect("a kernel");
    let last = b.node(rnn, inputs)[1];
    let loss = b.add(sum, &[last])[0];
    let error = differentiate(&mut b.graph, loss, &[kernel]).expect_err("refused").to_string();
    assert!(error.contains("node `node` (simple_rnn)"), "{error}");
}
