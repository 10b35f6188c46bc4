//! Times the steps of training a model, start-up and the first steps left out.
//!
//! `cargo run --release --example train_speed -- MODEL DATA.npz [STEPS [BATCH [THREADS]]]`
//!
//! MODEL is a file with compile settings (`.keras`, `.h5`, or a description), DATA.npz holds `x`
//! and `y` as for `seqfuse train`. Takes the rows in the order of the file, as often as it needs
//! to. Prints one line of JSON: the median, the fastest and the mean step in milliseconds, how many
//! were timed, and the mean loss of the first epoch. A step is all that lies between the ends of two
//! batches: gathering rows, the step itself, metrics.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use seqfuse::train::callback::LambdaCallback;
use seqfuse::train::files::{self, DataOptions, fit_targets};
use seqfuse::train::{TrainConfig, Trainer};
use seqfuse::{Model, Options};

/// Steps that are not timed: they plan, and touch memory for the first time.
const WARM_UP: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
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
    let config = TrainConfig::new()
        .options(Options::new().threads(threads))
        .batch_size(batch)
        .shuffle(false)
        .epochs((WARM_UP + steps + 1).div_ceil(batches));
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
    Ok(())
}
