//! Times every documented model (`models/*.json`): compiling, planning again, running.
//!
//! `cargo bench --bench models [-- NAME…]`
//!
//! - compile: from the Graph that was read to a Session that has planned batch 1, with all weights
//!   packed: the first run of a new model less an ordinary run.
//! - replan: the first run at another length less an ordinary run at that length.
//! - run: the median of ordinary runs.
//!
//! The `fma` line says what one core does at best in the same run, so that figures of different
//! machines can be compared.

use std::time::{Duration, Instant};

use seqfuse::graph::{Bindings, Dim, Graph, Symbol};
use seqfuse::{DType, Format, Model, Options, ReadOptions, Session, Tensor, Tensors};

type Failure = Box<dyn std::error::Error>;

/// What a symbolic time stands for.
const LENGTH: usize = 100;

fn main() -> Result<(), Failure> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let mut files: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    println!("fma: {:.0} GFLOP/s on one core", fma_peak());
    println!(
        "{:<20} {:>11} {:>11} {:>11} {:>11}",
        "model", "compile ms", "replan ms", "run B=1 ms", "B=32 ms"
    );
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let vocabulary = (0..98).map(|index| format!("w{index}")).collect();
        let options = ReadOptions { vocabulary: Some(vocabulary), ..ReadOptions::default() };
        let bytes = std::fs::read(&path)?;
        let model = Model::from_bytes_with(&bytes, Format::Description, &options)
            .or_else(|_| Model::from_bytes(&bytes, Format::Description))?;
        let row = measure(model.graph())?;
        print!("{name:<20}");
        for duration in row {
            match duration {
                Some(duration) => print!(" {:>11.3}", duration.as_secs_f64() * 1e3),
                None => print!(" {:>11}", "fixed"),
            }
        }
        println!();
    }
    Ok(())
}

/// Compile, replan, run at batch 1 and at batch 32.
fn measure(graph: &Graph) -> Result<[Option<Duration>; 4], Failure> {
    let ids = id_limit(graph);
    let inputs = |batch, length| inputs(graph, batch, length, ids);
    let (one, many) = (inputs(1, LENGTH)?, inputs(32, LENGTH)?);
    let mut compiles = Vec::new();
    for _ in 0..9 {
        let model = Model::from_graph(graph.clone());
        let mut outputs = Tensors::new();
        let started = Instant::now();
        let mut session = model.session(&Options::new())?;
        session.run_into(&one, &mut outputs)?;
        let first = started.elapsed();
        let steady = steady(&mut session, &one, 5)?;
        compiles.push(first.saturating_sub(steady));
    }
    let model = Model::from_graph(graph.clone());
    let mut session = model.session(&Options::new())?;
    let run_one = steady(&mut session, &one, 200)?;
    let run_many = steady(&mut session, &many, 50)?;
    let replan = match graph.input_symbols().len() > 1 {
        true => Some(replan(&mut session, &inputs)?),
        false => None,
    };
    Ok([Some(median(compiles)), replan, Some(run_one), Some(run_many)])
}

fn replan(
    session: &mut Session,
    inputs: &dyn Fn(usize, usize) -> Result<Tensors, Failure>,
) -> Result<Duration, Failure> {
    let mut times = Vec::new();
    let mut outputs = Tensors::new();
    for length in 60..75 {
        let inputs = inputs(1, length)?;
        let started = Instant::now();
        session.run_into(&inputs, &mut outputs)?;
        let first = started.elapsed();
        times.push(first.saturating_sub(steady(session, &inputs, 5)?));
    }
    Ok(median(times))
}

/// The median of at most `count` runs, or of those that fit into two seconds.
fn steady(session: &mut Session, inputs: &Tensors, count: usize) -> Result<Duration, Failure> {
    let mut outputs = Tensors::new();
    session.run_into(inputs, &mut outputs)?;
    let begun = Instant::now();
    let mut times = Vec::with_capacity(count);
    while times.len() < count && (times.len() < 7 || begun.elapsed() < Duration::from_secs(2)) {
        let started = Instant::now();
        session.run_into(inputs, &mut outputs)?;
        times.push(started.elapsed());
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The number of rows of the smallest table that ids look up.
fn id_limit(graph: &Graph) -> i64 {
    let tables = graph.variables().iter().filter(|v| v.name.ends_with("embeddings"));
    tables.map(|variable| variable.value.shape()[0] as i64).min().unwrap_or(2)
}

fn inputs(graph: &Graph, batch: usize, length: usize, ids: i64) -> Result<Tensors, Failure> {
    let mut tensors = Tensors::new();
    let mut bindings = Bindings::new();
    for symbol in graph.input_symbols() {
        bindings.bind(&symbol, if symbol == Symbol::new("batch") { batch } else { length });
    }
    for input in graph.inputs() {
        let ty = graph.ty(input.value);
        let shape = ty.dims.iter().map(|dim: &Dim| dim.eval(&bindings));
        let shape: Vec<usize> = shape.collect::<Result<_, _>>()?;
        let count = shape.iter().product::<usize>();
        let numbers = (0..count as i64).map(|index| index * 7 + 1);
        let tensor = match ty.dtype {
            DType::F32 => Tensor::new(shape, vec![1.0f32; count])?,
            DType::I32 => {
                Tensor::new(shape, numbers.map(|n| (n % ids) as i32).collect::<Vec<_>>())?
            }
            DType::I64 => Tensor::new(shape, numbers.map(|n| n % ids).collect::<Vec<_>>())?,
            DType::Bool => Tensor::new(shape, vec![true; count])?,
            DType::Str => {
                let text = |index: i64| format!("w{} w{} w{} unknown", index % 9, index % 5, index);
                Tensor::new(shape, numbers.map(text).collect::<Vec<_>>())?
            }
            other => return Err(format!("no documented model takes {other}").into()),
        };
        tensors.insert(input.name.clone(), tensor);
    }
    Ok(tensors)
}

/// What one core does at best: a product that fits the caches, through the `matmul` kernel.
fn fma_peak() -> f64 {
    use seqfuse_kernels::activation::Activation;
    use seqfuse_kernels::matmul::{Size, matmul};
    use seqfuse_kernels::{Cpu, Isa, Pool};
    let (pool, size) = (Pool::new(1), Size { rows: 512, depth: 512, columns: 512 });
    let cpu = Cpu { isa: Isa::detect(), pool: &pool };
    let (x, w, mut y) = (vec![0.5; 1 << 18], vec![0.25; 1 << 18], vec![0.0; 1 << 18]);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        matmul(cpu, size, &x, &w, None, Activation::Linear, &mut y);
        best = best.min(started.elapsed());
    }
    2.0 * 512f64.powi(3) / best.as_secs_f64() / 1e9
}
