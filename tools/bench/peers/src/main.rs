//! tract and rten, for tools/bench: a JSON object a line in, one out (see sides/worker.py).

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rten_tensor::prelude::*;
use serde_json::{Value, json};
use tract_onnx::prelude::*;

// glibc's allocator lets both swing by a factor of 2 between processes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;
type Run = Box<dyn FnMut() -> Result<Vec<f32>, Failure>>;

/// Ids `[batch, time]`.
struct Ids {
    shape: [usize; 2],
    values: Vec<i32>,
}

impl Ids {
    /// Reads ids-BATCH.bin: 32-bit integers, the least byte first.
    fn read(folder: &Path, batch: usize, time: usize) -> Result<Ids, Failure> {
        let bytes = std::fs::read(folder.join(format!("ids-{batch}.bin")))?;
        let values = bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        Ok(Ids { shape: [batch, time], values: values.collect() })
    }
}

fn tract(file: &Path, ids: Ids) -> Result<Run, Failure> {
    let model = tract_onnx::onnx()
        .model_for_path(file)?
        .with_input_fact(0, i32::fact(ids.shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let input = Tensor::from_shape(&ids.shape, &ids.values)?;
    Ok(Box::new(move || {
        let outputs = model.run(tvec!(input.clone().into()))?;
        let output = outputs.first().ok_or("no output")?;
        Ok(output.to_plain_array_view::<f32>()?.iter().copied().collect())
    }))
}

fn rten(file: &Path, ids: Ids, threads: usize) -> Result<Run, Failure> {
    let model = rten::Model::load_file(file)?;
    let pool = Arc::new(rten::ThreadPool::with_num_threads(threads));
    let input = rten_tensor::NdTensor::from_data(ids.shape, ids.values);
    Ok(Box::new(move || {
        let options = rten::RunOptions::default().with_thread_pool(Some(Arc::clone(&pool)));
        let output = model.run_one(input.view().into(), Some(options))?;
        let output: rten_tensor::Tensor<f32> = output.try_into()?;
        Ok(output.to_vec())
    }))
}

fn load(request: &Value, threads: usize) -> Result<Run, Failure> {
    let number = |value: &Value| value.as_u64().map(|n| n as usize).ok_or("a number is missing");
    let folder = Path::new(request["folder"].as_str().ok_or("no folder")?);
    let ids = Ids::read(folder, number(&request["batch"])?, number(&request["spec"]["time"])?)?;
    let file = folder.join("model.onnx");
    match request["side"].as_str() {
        Some("tract") => tract(&file, ids),
        Some("rten") => rten(&file, ids, threads),
        _ => Err("the sides are tract and rten".into()),
    }
}

fn answer(
    request: &Value,
    threads: usize,
    loaded: &mut HashMap<String, Run>,
) -> Result<Value, Failure> {
    let side = request["side"].as_str().unwrap_or_default();
    match request["do"].as_str() {
        Some("load") => {
            let mut run = load(request, threads)?;
            let numbers = run()?;
            loaded.insert(side.to_owned(), run);
            Ok(json!({ "numbers": numbers }))
        }
        Some("time") => {
            let run = loaded.get_mut(side).ok_or("nothing is loaded")?;
            let mut taken = Vec::new();
            for _ in 0..request["runs"].as_u64().unwrap_or(1) {
                let began = Instant::now();
                run()?;
                taken.push(began.elapsed().as_secs_f64() * 1e3);
            }
            Ok(json!({ "ms": taken }))
        }
        Some("close") => {
            loaded.clear();
            Ok(json!({}))
        }
        _ => Err("a request is load, time or close".into()),
    }
}

fn main() -> Result<(), Failure> {
    let threads: usize = std::env::args().nth(1).unwrap_or_default().parse()?;
    tract_linalg::multithread::set_default_executor(
        tract_linalg::multithread::Executor::multithread(threads),
    );
    let mut loaded = HashMap::new();
    let mut stdout = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let done = answer(&request, threads, &mut loaded);
        let done = done.unwrap_or_else(|error| {
            let text = error.to_string();
            json!({ "error": text.lines().next().unwrap_or_default() })
        });
        writeln!(stdout, "{done}")?;
        stdout.flush()?;
    }
    Ok(())
}
