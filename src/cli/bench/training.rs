//! The times of whole steps of training.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use super::measure::{FEWEST, Times, WARM_UP};
use super::{BenchArgs, Sized};
use crate::Model;
use crate::cli::error::CliError;
use crate::cli::random::{self, Random};
use crate::graph::{Bindings, DType, Data, DimError, Graph, Output, Tensor, Work};
use crate::runtime::Tensors;
use crate::train::callback::LambdaCallback;
use crate::train::{CompileConfig, Dataset, LossFunction, TrainConfig, Trainer};

/// Batches of data; training goes through them again and again.
const BATCHES: usize = 4;
/// More epochs than are waited for: the time ends it.
const EPOCHS: usize = 1_000_000;

/// Times steps, from the end of one batch to the end of the next: gathering rows, forward, backward,
/// optimizer, metrics.
pub(super) fn measure(
    args: &BenchArgs,
    model: &Model,
    sized: &Sized,
) -> Result<(Times, Result<Work, DimError>), CliError> {
    let mut config = TrainConfig::new()
        .options(args.device.options())
        .batch_size(sized.batch)
        .shuffle(false)
        .epochs(EPOCHS);
    if let Some(loss) = &args.loss {
        config = config.loss(loss.as_str());
    }
    if let Some(optimizer) = &args.optimizer {
        config = config.optimizer(optimizer.as_str());
    }
    let ends = Rc::new(RefCell::new(Vec::new()));
    let (clock, budget, began) = (Rc::clone(&ends), args.budget(), RefCell::new(None));
    let timer = LambdaCallback::new().on_batch_end(move |_, _, context| {
        let mut ends = clock.borrow_mut();
        ends.push(Instant::now());
        let warm = ends.len() >= WARM_UP;
        let began = *began.borrow_mut().get_or_insert_with(Instant::now);
        if !warm {
            return Ok(());
        }
        if ends.len() > WARM_UP + FEWEST && began.elapsed() >= budget {
            context.stop();
        }
        Ok(())
    });
    let mut trainer = Trainer::new(model, &config)?.callback(timer);
    let data = data(model.graph(), trainer.compile(), sized)?;
    let work = trainer.step_graph(&data)?.work(&sized.bindings);
    trainer.fit(&data)?;
    let ends = ends.borrow();
    let pairs = ends.windows(2).skip(WARM_UP - 1);
    let taken = pairs.map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
    Ok((Times::new(taken), work))
}

/// Random inputs, and targets that the losses take.
fn data(graph: &Graph, compile: &CompileConfig, sized: &Sized) -> Result<Dataset, CliError> {
    let rows = BATCHES * sized.batch;
    let mut bindings = Bindings::new();
    for (symbol, size) in sized.bindings.iter() {
        let is_batch = crate::cli::sizes::batch_symbol(graph).as_ref() == Some(symbol);
        bindings.bind(symbol, if is_batch { rows } else { size });
    }
    let inputs = random::inputs(graph, &bindings)?;
    let mut numbers = Random::new();
    let names: Vec<String> = graph.outputs().iter().map(|output| output.name.clone()).collect();
    let outputs = compile.for_outputs(&names)?;
    let mut targets = Tensors::new();
    for (output, settings) in graph.outputs().iter().zip(&outputs) {
        if let Some(loss) = &settings.loss {
            let sparse = matches!(loss.function, LossFunction::SparseCrossentropy { .. });
            targets.insert(&*output.name, target(graph, output, &bindings, sparse, &mut numbers)?);
        }
    }
    Ok(Dataset::new(inputs, targets)?)
}

/// Class ids for `sparse`; else rows of which one place holds 1, or a number that is 0 or 1.
fn target(
    graph: &Graph,
    output: &Output,
    bindings: &Bindings,
    sparse: bool,
    numbers: &mut Random,
) -> Result<Tensor, CliError> {
    let shape = graph.ty(output.value).eval(bindings)?;
    let classes = shape.last().copied().unwrap_or(1).max(1);
    let rows = shape.iter().product::<usize>() / classes;
    let mut class = |limit: usize| numbers.below(limit as u64) as usize;
    if sparse {
        let ids: Vec<i32> = (0..rows).map(|_| class(classes) as i32).collect();
        return Ok(Tensor::new(&shape[..shape.len().saturating_sub(1)], ids)?);
    }
    let mut tensor = Tensor::zeros(DType::F32, shape);
    let Data::F32(values) = tensor.data_mut() else { return Ok(tensor) };
    for row in values.chunks_mut(classes) {
        let chosen = if classes == 1 { class(2) } else { class(classes) };
        if classes == 1 {
            row[0] = chosen as f32;
        } else if let Some(place) = row.get_mut(chosen) {
            *place = 1.0;
        }
    }
    Ok(tensor)
}
