//! What exporters spell out is put together again: the graphs that run hold the fused operators, none of
//! the loops, and give what the framework gives. What nearly is such a pattern, of `near_misses/`, stays
//! as it is and gives what it gave.
//!
//! `SEQFUSE_CASES=gru,unroll` runs the cases whose `folder/name` contains one of these only;
//! `SEQFUSE_ONNX=FOLDER` looks for `keras/`, `near_misses/` and `torch/` elsewhere than in
//! `tests/fixtures/onnx`.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seqfuse::graph::Graph;
use seqfuse::ops::{Direction, Gru, Lstm, SimpleRnn};
use seqfuse::{Model, Options, Session, Tensor, Tensors};
use serde_json::Value;

use common::check::{chain, difference, wanted};
use common::npz;

/// One of the fixtures.
struct Case {
    /// `folder/name`.
    name: String,
    /// The file without its extension.
    file: PathBuf,
    /// What must be left after raising.
    raised: Value,
}

fn folder() -> PathBuf {
    match std::env::var_os("SEQFUSE_ONNX") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx"),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in ["keras", "near_misses", "torch"] {
        let folder = folder().join(part);
        let Ok(text) = std::fs::read_to_string(folder.join("cases.json")) else {
            eprintln!("{}: no fixtures there", folder.display());
            continue;
        };
        let list: Value = serde_json::from_str(&text).expect("cases.json is JSON");
        for case in list["cases"].as_array().expect("a list of cases") {
            let name = case["name"].as_str().expect("a name");
            let (file, raised) = (folder.join(name), case["raised"].clone());
            cases.push(Case { name: format!("{part}/{name}"), file, raised });
        }
    }
    cases.retain(|case| wanted(&case.name));
    cases
}

/// How many of each fused operator there are, each direction of a recurrent one for itself.
fn fused(graph: &Graph) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for node in graph.nodes() {
        let directions = |direction: Direction| direction.count() as u64;
        let (name, count) = if let Some(op) = node.op.downcast_ref::<Lstm>() {
            ("lstm", directions(op.direction))
        } else if let Some(op) = node.op.downcast_ref::<Gru>() {
            ("gru", directions(op.direction))
        } else if let Some(op) = node.op.downcast_ref::<SimpleRnn>() {
            ("simple_rnn", directions(op.direction))
        } else {
            match node.op.name() {
                "general_lstm" => ("lstm", 1),
                "general_gru" => ("gru", 1),
                "general_rnn" => ("simple_rnn", 1),
                name => (name, 1),
            }
        };
        *counts.entry(name).or_default() += count;
    }
    counts
}

/// Cases that do not hold, and what their failure says. PyTorch writes an LSTM with projections as one
/// without, and a pool's last window at an open length is refused by name. Of the near misses, sizes of
/// other names that only repeat are refused in the run that has them, and NaN and infinities that a guard
/// or a product hides, or scores below the number that hides others, are not what they were.
const OPEN: [(&str, &str); 16] = [
    ("near_misses/attention_added_mask_of_another_batch_that_repeats", "call 2"),
    ("near_misses/attention_mask_of_another_batch_that_repeats", "call 2"),
    ("near_misses/attention_mask_of_other_heads_that_repeats", "call 2"),
    ("near_misses/attention_mask_of_other_queries_that_repeats", "call 2"),
    ("near_misses/attention_of_infinities_guarded_by_nan_without_a_mask", "call 2"),
    ("near_misses/attention_of_infinities_hidden_by_addition", "call 2"),
    ("near_misses/attention_of_scores_below_the_mask", "call 2"),
    ("near_misses/choice_between_infinities", "call 2"),
    ("near_misses/gelu_of_infinities", "call 2"),
    ("near_misses/gelu_tanh_of_infinities", "call 2"),
    ("near_misses/loop_from_a_state_that_repeats_x", "call 2"),
    ("near_misses/loop_masked_by_longer_masks", "call 2"),
    ("near_misses/loop_masked_by_masks_of_another_batch", "call 2"),
    ("near_misses/unrolled_state_that_repeats_x", "call 2"),
    ("torch/lstm_projection_dynamo", "expected of sizes [1, ?, 3]"),
    ("torch/pools_script", "ceil_mode over an axis whose size is not known is not supported"),
];

/// How many layers of this name walk both ways.
fn both_ways(graph: &Graph, name: &str) -> u64 {
    let directions = graph.nodes().iter().filter(|node| node.op.name() == name).map(|node| {
        let lstm = node.op.downcast_ref::<Lstm>().map(|op| op.direction);
        let gru = node.op.downcast_ref::<Gru>().map(|op| op.direction);
        lstm.or(gru).or(node.op.downcast_ref::<SimpleRnn>().map(|op| op.direction))
    });
    directions.filter(|direction| *direction == Some(Direction::Bidirectional)).count() as u64
}

/// What of `raised` does not hold.
fn check_form(graph: &Graph, raised: &Value) -> Result<(), String> {
    let found = fused(graph);
    let count = |name: &str| found.get(name).copied().unwrap_or(0);
    let mut wrong = Vec::new();
    if let Some(expected) = raised["fused"].as_object() {
        for (name, number) in expected {
            if number.as_u64().is_some_and(|number| number != count(name)) {
                wrong.push(format!("{} {name}, not {number}", count(name)));
            }
        }
    }
    for (name, number) in raised["bidirectional"].as_object().into_iter().flatten() {
        if number.as_u64().is_some_and(|number| number != both_ways(graph, name)) {
            wrong.push(format!("{} bidirectional {name}, not {number}", both_ways(graph, name)));
        }
    }
    for name in raised["absent"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if count(&name.to_lowercase()) > 0 {
            wrong.push(format!("{} {name} are left", count(&name.to_lowercase())));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("{}; it holds {found:?}", wrong.join(", "))),
    }
}

/// Runs every call of a case and compares.
fn check_values(session: &mut Session, arrays: &BTreeMap<String, Tensor>) -> Result<(), String> {
    for call in 1.. {
        let suffix = if call == 1 { String::new() } else { format!("@{call}") };
        let (given, expected) = (format!("in{suffix}/"), format!("out{suffix}/"));
        let part = |prefix: &str| -> Vec<(String, Tensor)> {
            let own = arrays.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
            });
            own.collect()
        };
        let outputs = part(&expected);
        if outputs.is_empty() {
            return if call == 1 { Err("no expected outputs".to_owned()) } else { Ok(()) };
        }
        let inputs: Tensors = part(&given).into_iter().collect();
        let found =
            session.run(&inputs).map_err(|error| format!("call {call}: {}", chain(&error)))?;
        for (name, tensor) in &outputs {
            let found = found.get(name).ok_or_else(|| format!("no output {name}"))?;
            difference(&format!("call {call}, {name}"), found, tensor)?;
        }
    }
    Ok(())
}

fn check(case: &Case) -> Result<(), String> {
    let model = Model::open(case.file.with_added_extension("onnx")).map_err(|e| chain(&e))?;
    let mut session = model.session(&Options::new().threads(1)).map_err(|error| chain(&error))?;
    let form = check_form(session.graph(), &case.raised);
    let arrays = npz::read(&case.file.with_added_extension("npz"));
    let values = check_values(&mut session, &arrays);
    match (form, values) {
        (Ok(()), Ok(())) => Ok(()),
        (form, values) => {
            let (_, notes) =
                seqfuse::passes::prepare_noting(model.graph()).map_err(|error| chain(&error))?;
            let notes = notes.iter().map(|note| format!("\n    {note}"));
            let parts = [form.err(), values.err()].into_iter().flatten();
            Err(parts.collect::<Vec<_>>().join("; ") + &notes.collect::<String>())
        }
    }
}

#[test]
fn what_exporters_spell_out_is_fused_again_and_gives_the_same() {
    let cases = cases();
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let open = OPEN.iter().find(|(name, _)| *name == case.name);
            match (check(case), open) {
                (Ok(()), None) => None,
                (Err(problem), Some((_, word)))
                    if problem.contains(word) && !problem.contains("call 1") =>
                {
                    None
                }
                (Ok(()), Some(_)) => Some(format!("{}: holds now, take it from OPEN", case.name)),
                (Err(problem), _) => Some(format!("{}: {problem}", case.name)),
            }
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
