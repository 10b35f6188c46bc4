//! Times the steps of training a model, start-up and the first steps left out.
//!
//! `cargo run --release --example train_speed -- MODEL DATA.npz [STEPS [BATCH [THREADS]]] [--profile]`
//!
//! MODEL is a file with compile settings (`.keras`, `.h5`, or a description), DATA.npz holds `x`
//! and `y` as for `seqfuse train`. Takes the rows in the order of the file, as often as it needs
//! to. Prints one line of JSON: the median, the fastest and the mean step in milliseconds, how many
//! were timed, and the mean loss of the first epoch. A step is all that lies between the ends of two
//! batches: gathering rows, the step itself, metrics. With `--profile` a table on standard error says
//! where the median step goes: by operator, and for the nodes that take most.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use seqfuse::runtime::Profile;
use seqfuse::train::callback::LambdaCallback;
use seqfuse::train::files::{self, DataOptions, fit_targets};
use seqfuse::train::{TrainConfig, Trainer};
use seqfuse::{Model, Options};

/// Steps that are not timed: they plan, and touch memory for the first time.
const WARM_UP: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut given: Vec<String> = std::env::args().skip(1).collect();
    let profiles = given.iter().position(|text| text == "--profile").map(|at| {
        given.remove(at);
        Arc::new(Mutex::new(Vec::new()))
    });
    let [model, data, numbers @ ..] = given.as_slice() else {
        return Err("usage: train_speed MODEL DATA.npz [STEPS [BATCH [THREADS]]]".into());
    };
    let number = |place: usize, default: usize| match numbers.get(place) {
        Some(text) => text.parse().map_err(|_| format!("{text}: expected a whole number")),
        None => Ok(default),
    };
    let (steps, batch, threads) = (number(0, 50)?.max(1), number(1, 64)?.max(1), number(2, 2)?);

    let model = Model::open(model)?;
    let data = files::read(Path::new(data), model.graph(), &DataOptions::default())?.data;
    let batches = data.rows().div_ceil(batch).max(1);
    let mut config = TrainConfig::new()
        .options(Options::new().threads(threads))
        .batch_size(batch)
        .shuffle(false)
        .epochs((WARM_UP + steps + 1).div_ceil(batches));
    if let Some(profiles) = &profiles {
        config = config.profile(profiles.clone());
    }
    let ends = Rc::new(RefCell::new(Vec::new()));
    let clock = ends.clone();
    let timer = LambdaCallback::new().on_batch_end(move |_, _, context| {
        let mut ends = clock.borrow_mut();
        ends.push(Instant::now());
        if ends.len() > WARM_UP + steps {
            context.stop();
        }
        Ok(())
    });
    let mut trainer = Trainer::new(&model, &config)?.callback(timer);
    let data = fit_targets(data, model.graph(), trainer.compile())?;
    let history = trainer.fit(&data)?;

    let ends = ends.borrow();
    let taken = ends.windows(2).skip(WARM_UP).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3);
    let mut taken: Vec<f64> = taken.collect();
    taken.sort_unstable_by(f64::total_cmp);
    let loss = history.iter().find(|(name, _)| *name == "loss");
    let loss = loss.and_then(|(_, values)| values.first().copied()).unwrap_or(f64::NAN);
    let line = serde_json::json!({
        "median_ms": taken.get(taken.len() / 2),
        "fastest_ms": taken.first(),
        "mean_ms": taken.iter().sum::<f64>() / taken.len().max(1) as f64,
        "steps": taken.len(),
        "first_epoch_loss": loss,
    });
    println!("{line}");
    if let Some(profiles) = profiles {
        let profiles = profiles.lock().unwrap_or_else(PoisonError::into_inner);
        print_profile(profiles.get(WARM_UP..).unwrap_or_default());
    }
    Ok(())
}

/// Says where the time of the steps goes: the medians of each node, and their sums by operator.
fn print_profile(steps: &[Profile]) {
    let Some(first) = steps.first() else { return };
    let median = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let total = median(steps.iter().map(|step| step.total_us).collect());
    let (mut by_op, mut nodes) = (BTreeMap::<&str, (f64, usize)>::new(), Vec::new());
    for (index, node) in first.nodes.iter().enumerate() {
        let of = |step: &Profile| step.nodes.get(index).map(|node| node.duration_us);
        let time = median(steps.iter().filter_map(of).collect());
        let sum = by_op.entry(node.op).or_default();
        *sum = (sum.0 + time, sum.1 + 1);
        nodes.push((time, node.op, node.node.as_str()));
    }
    let known: f64 = nodes.iter().map(|node| node.0).sum();
    let mut by_op: Vec<_> = by_op.into_iter().collect();
    by_op.sort_unstable_by(|a, b| b.1.0.total_cmp(&a.1.0));
    nodes.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    eprintln!("step {total:.0} us, {} nodes {known:.0} us", nodes.len());
    for (op, (time, count)) in by_op {
        eprintln!("{time:9.1} us {:5.1} %  {op} ({count})", time / total * 100.0);
    }
    for (time, op, name) in nodes.iter().take(12) {
        eprintln!("{time:9.1} us  {op}  {name}");
    }
}
