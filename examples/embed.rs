//! A program that carries a model inside itself: no file, no Python, no set-up.
//!
//! `cargo run --release --example embed -- "a lovely film"`

use std::sync::Arc;

use seqfuse::{Format, Model, Options, Tensor};

/// The bytes of the model are part of the program.
static MODEL: &[u8] = include_bytes!("../models/sentiment.keras");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let texts = match given.is_empty() {
        true => vec!["a lovely film".to_owned(), "dull and much too long".to_owned()],
        false => given,
    };
    // One model serves any number of threads, each with a Session of its own.
    let model = Arc::new(Model::from_bytes(MODEL, Format::Keras)?);
    let name = model.graph().inputs()[0].name.clone();
    let workers = texts.into_iter().map(|text| {
        let (model, name) = (model.clone(), name.clone());
        std::thread::spawn(move || -> Result<(String, f32), seqfuse::RunError> {
            let mut session = model.session(&Options::new().threads(1))?;
            let outputs = session.run(&[(name, Tensor::from([text.as_str()]))].into())?;
            let score = outputs.at(0).and_then(|(_, tensor)| tensor.as_f32()?.first().copied());
            Ok((text, score.unwrap_or(f32::NAN)))
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        let (text, score) = worker.join().map_err(|_| "a worker panicked")??;
        println!("{score:.3}  {text}");
    }
    Ok(())
}
