//! The seed decides a run, the number of threads does not.

use seqfuse::Options;
use seqfuse::train::{TrainConfig, Trainer};

use super::models::{self, config, data, outcome, same};

fn train(model: &seqfuse::Model, config: &TrainConfig) -> Vec<String> {
    let mut trainer = Trainer::new(model, config).unwrap();
    let history = trainer.fit(&data(37, 30, 1)).unwrap();
    outcome(&trainer, &history)
}

#[test]
fn threads_do_not_change_a_bit() {
    for (name, model) in models::all() {
        let on = |threads| train(&model, &config().options(Options::new().threads(threads)));
        let one = on(1);
        for threads in [2, 5] {
            same(&format!("{name} on {threads} threads"), &on(threads), &one);
        }
    }
}

#[test]
fn the_seed_decides_the_run() {
    for (name, model) in models::all() {
        let with = |config: TrainConfig| train(&model, &config.epochs(2));
        let first = with(config());
        same(name, &with(config()), &first);
        assert_ne!(with(config().seed(6)), first, "{name}: another seed");
        // Without shuffling the seed decides dropout alone.
        let fixed = with(config().shuffle(false));
        assert_ne!(fixed, first, "{name}: another order");
        assert_ne!(with(config().shuffle(false).seed(6)), fixed, "{name}: other dropout");
    }
}
