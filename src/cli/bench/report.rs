//! What `seqfuse bench` prints.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::machine::{Limit, Machine};
use super::measure::Times;
use crate::cli::error::CliError;
use crate::graph::Work;

/// A peer's times.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// As `--against` names it.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    pub times: Times,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub model: String,
    pub train: bool,
    pub batch: usize,
    pub length: Option<usize>,
    pub device: &'static str,
    pub threads: usize,
    pub times: Times,
    /// The work of products; `None` where it depends on data.
    pub work: Option<Work>,
    /// What the processor can do; `None` on another device.
    pub machine: Option<Machine>,
    pub peers: Vec<Peer>,
}

impl Report {
    fn task(&self) -> &'static str {
        if self.train { "train" } else { "infer" }
    }

    fn limit(&self) -> Option<Limit> {
        Some(self.machine.as_ref()?.limit(self.work.as_ref()?))
    }

    /// One JSON object.
    pub fn json(&self) -> Result<String, CliError> {
        let mut object = json!({
            "model": self.model,
            "task": self.task(),
            "batch": self.batch,
            "length": self.length,
            "device": self.device,
            "threads": self.threads,
            "median_ms": self.times.median(),
            "min_ms": self.times.fastest(),
            "runs": self.times.runs(),
        });
        let mut put = |name: &str, value: Value| {
            if let Some(object) = object.as_object_mut() {
                object.insert(name.to_owned(), value);
            }
        };
        if let Some(work) = &self.work {
            put("flop", work.flops.into());
            put("weight_bytes", work.weights.into());
            put("weight_read_bytes", work.weight_reads.into());
            put("uncounted_nodes", work.nested.into());
        }
        if let Some(limit) = self.limit() {
            put("limit_ms", limit.ms.into());
            put("limit_by", if limit.is_products { "fma" } else { limit.level }.into());
            put("fraction_of_limit", (limit.ms / self.times.median()).into());
        }
        if let Some(machine) = &self.machine {
            put("machine", described(machine));
        }
        let peers = self.peers.iter().map(|peer| (peer.name.to_owned(), self.compared(peer)));
        put("peers", Value::Object(peers.collect::<Map<_, _>>()));
        Ok(serde_json::to_string(&object)? + "\n")
    }

    fn compared(&self, peer: &Peer) -> Value {
        json!({
            "median_ms": peer.times.median(),
            "min_ms": peer.times.fastest(),
            "runs": peer.times.runs(),
            "ratio": peer.times.median() / self.times.median(),
        })
    }

    /// A table for people.
    pub fn render(&self) -> String {
        let length = self.length.map_or(String::new(), |length| format!(", length {length}"));
        let task = if self.train { "a step of training" } else { "a run" };
        let mut text = format!(
            "{}: {task}, batch {}{length}, {}, {}\n\n",
            self.model,
            self.batch,
            self.device,
            counted(self.threads, "thread"),
        );
        let median = self.times.median();
        let mut line = |head: &str, value: String| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{head:<20}{value}");
        };
        line("Median", format!("{} of {} runs", time(median), self.times.runs()));
        line("Fastest", time(self.times.fastest()));
        if let Some(work) = &self.work {
            let rate = work.flops as f64 / median * 1e3;
            let more = if work.nested > 0 { "; loops are not counted" } else { "" };
            let flop = unit(work.flops as f64, "FLOP");
            line("Products", format!("{flop}, {}{more}", unit(rate, "FLOP/s")));
            let (held, read) = (work.weights as f64, work.weight_reads as f64);
            line("Weights", format!("{}, {} read", unit(held, "B"), unit(read, "B")));
        } else {
            line("Products", "not known: sizes depend on data".to_owned());
        }
        if let Some(limit) = self.limit() {
            let what = match limit.is_products {
                true => "multiply-adds".to_owned(),
                false => format!("reading weights from {}", limit.level),
            };
            line("Limit", format!("{}, by {what}", time(limit.ms)));
            line("Fraction of limit", format!("{:.0} %", 100.0 * limit.ms / median));
        }
        for peer in &self.peers {
            let (theirs, ratio) = (peer.times.median(), peer.times.median() / median);
            line(peer.title, format!("{}, {ratio:.2} times seqfuse's", time(theirs)));
        }
        if let Some(machine) = &self.machine {
            text.push('\n');
            text.push_str(&machine_lines(machine));
        }
        text
    }
}

fn machine_lines(machine: &Machine) -> String {
    let mut text = format!("{:<20}{}\n", "Machine: FMA", unit(machine.fma, "FLOP/s"));
    for level in &machine.levels {
        let size = level.size.map_or(String::new(), |size| format!(" of {}", binary(size)));
        let assumed = if machine.known || level.size.is_none() { "" } else { " (assumed)" };
        let head = format!("  {}{size}{assumed}", level.name);
        let _ = writeln!(text, "{head:<20}{}", unit(level.rate, "B/s"));
    }
    text
}

fn described(machine: &Machine) -> Value {
    let level = |level: &super::machine::Level| {
        let entry = json!({ "bytes": level.size, "bytes_per_s": level.rate });
        (level.name.to_owned(), entry)
    };
    json!({
        "isa": format!("{:?}", machine.isa).to_lowercase(),
        "fma_flops": machine.fma,
        "levels": machine.levels.iter().map(level).collect::<Map<_, _>>(),
        "caches_known": machine.known,
    })
}

/// `1 thread`, `2 threads`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Three digits of a number.
fn digits(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

fn time(ms: f64) -> String {
    match ms {
        ms if ms < 0.1 => format!("{} µs", digits(ms * 1e3)),
        ms if ms >= 10_000.0 => format!("{} s", digits(ms / 1e3)),
        ms => format!("{} ms", digits(ms)),
    }
}

/// A number with a decimal prefix.
fn unit(number: f64, unit: &str) -> String {
    const PREFIXES: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut number = number;
    let mut prefixes = PREFIXES.iter();
    let mut prefix = prefixes.next().copied().unwrap_or_default();
    while number >= 1000.0
        && let Some(next) = prefixes.next()
    {
        (number, prefix) = (number / 1000.0, next);
    }
    match prefix {
        "" => format!("{number:.0} {unit}"),
        prefix => format!("{} {prefix}{unit}", digits(number)),
    }
}

/// The size of a cache.
fn binary(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(unit(29_491_200.0, "FLOP"), "29.5 MFLOP");
        assert_eq!(unit(523e9, "FLOP/s"), "523 GFLOP/s");
        assert_eq!(unit(12.0, "B"), "12 B");
        assert_eq!(time(0.0312), "31.2 µs");
        assert_eq!(time(1.234), "1.23 ms");
        assert_eq!(time(12_345.0), "12.3 s");
        assert_eq!(binary(48 << 10), "48 KiB");
        assert_eq!(counted(1, "thread"), "1 thread");
    }

    #[test]
    fn a_ratio_is_a_peers_time_by_ours() {
        let times = |ms: f64| Times::new(vec![ms]);
        let peer = Peer { name: "ort", title: "ONNX Runtime", times: times(3.0) };
        let report = Report {
            model: "model.onnx".to_owned(),
            train: false,
            batch: 1,
            length: None,
            device: "gpu",
            threads: 2,
            times: times(2.0),
            work: None,
            machine: None,
            peers: vec![peer],
        };
        let object: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(object["peers"]["ort"]["ratio"], 1.5);
        assert_eq!(object["task"], "infer");
        assert!(object.get("limit_ms").is_none());
        assert!(report.render().contains("3.00 ms, 1.50 times seqfuse's"), "{}", report.render());
    }
}
