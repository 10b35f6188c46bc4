//! ONNX's own tests of its operators, run natively.
//!
//! `tools/onnx-conformance/make.py` writes them into `tools/data/cache/onnx-conformance`; the variable
//! `SEQFUSE_ONNX_CASES` names another folder. Without the folder only the small selection in
//! `tests/fixtures/onnx/nodes` is run. `SEQFUSE_CASES=part,of,name` selects cases; `SEQFUSE_UPDATE_DOCS=1`
//! writes the table in `docs/onnx.md`.
//!
//! A case passes, is refused by name, or is wrong. Cases that take integers, truth values or texts are run
//! a second time with those as constants of the model, as exporters write them.

mod onnx_cases;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use onnx_cases::{Case, Outcome, run};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the download lies, if it is there.
fn downloaded() -> Option<PathBuf> {
    let named = std::env::var_os("SEQFUSE_ONNX_CASES").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("tools/data/cache/onnx-conformance"));
    folder.join("cases.json").is_file().then_some(folder)
}

/// A case and what became of it: with all inputs given by the run, and with constants where it has them.
struct Report {
    case: Case,
    given: Outcome,
    constant: Option<Outcome>,
}

/// The name of the threads that run cases.
const WORKER: &str = "case";

/// A case that panics is wrong, and says so in its own line: its thread prints nothing.
fn silence_cases() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(WORKER) {
                hook(panic);
            }
        }));
    });
}

fn run_all(folder: &Path) -> Vec<Report> {
    let selected = std::env::var("SEQFUSE_CASES").unwrap_or_default();
    let parts: Vec<&str> = selected.split(',').filter(|part| !part.is_empty()).collect();
    let cases = onnx_cases::index(folder).into_iter();
    let chosen: Vec<Case> = cases
        .filter(|case| parts.is_empty() || parts.iter().any(|part| case.name.contains(part)))
        .collect();
    silence_cases();
    let each = |case: Case| {
        let given = run(folder, &case, false);
        let constant = case.takes_constants().then(|| run(folder, &case, true));
        Report { case, given, constant }
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let queue = std::sync::Mutex::new(chosen.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (sender, queue) = (sender.clone(), &queue);
            let work = move || {
                loop {
                    let Some(case) = queue.lock().ok().and_then(|mut queue| queue.next()) else {
                        return;
                    };
                    if sender.send(each(case)).is_err() {
                        return;
                    }
                }
            };
            let thread = std::thread::Builder::new().name(WORKER.to_owned()).stack_size(16 << 20);
            thread.spawn_scoped(scope, work).expect("a thread");
        }
        drop(sender);
    });
    let mut reports: Vec<Report> = receiver.into_iter().collect();
    reports.sort_by(|a, b| a.case.folder.cmp(&b.case.folder));
    reports
}

/// Passed, refused, wrong.
#[derive(Clone, Copy, Default)]
struct Counts([usize; 3]);

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        let place = match outcome {
            Outcome::Passed => 0,
            Outcome::Refused(_) => 1,
            Outcome::Wrong(_) => 2,
        };
        self.0[place] += 1;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [passed, refused, wrong] = self.0;
        write!(f, "{passed} passed, {refused} refused, {wrong} wrong")
    }
}

/// What must not be: wrong cases, and refused ones that must pass.
fn faults(reports: &[Report]) -> Vec<String> {
    let mut faults = Vec::new();
    for Report { case, given, constant } in reports {
        for (form, outcome) in [("", Some(given)), (" (constants)", constant.as_ref())] {
            match outcome {
                Some(Outcome::Wrong(why)) => {
                    faults.push(format!("WRONG {}{form}: {why}", case.name));
                }
                Some(Outcome::Refused(why)) if case.must_pass => {
                    faults.push(format!("refused {}{form}: {why}", case.name));
                }
                _ => {}
            }
        }
    }
    faults
}

fn summary(reports: &[Report]) -> String {
    let mut kinds: BTreeMap<&str, Counts> = BTreeMap::new();
    let (mut given, mut constants) = (Counts::default(), Counts::default());
    for Report { case, given: outcome, constant } in reports {
        kinds.entry(&case.kind).or_default().add(outcome);
        given.add(outcome);
        constant.iter().for_each(|outcome| constants.add(outcome));
    }
    let mut text = format!("{} cases: {given}; with constants: {constants}", reports.len());
    for (kind, counts) in kinds {
        write!(text, "\n  {kind}: {counts}").expect("a text takes all");
    }
    text
}

#[test]
fn every_node_test_of_onnx_passes_or_is_refused_by_name() {
    let Some(folder) = downloaded() else {
        eprintln!(
            "SKIPPED: ONNX's node tests are not there; tools/onnx-conformance/make.py writes them"
        );
        return;
    };
    let reports = run_all(&folder);
    println!("{}", summary(&reports));
    for Report { case, given, .. } in &reports {
        if let (Outcome::Refused(why), false) = (given, case.must_pass) {
            println!("may be refused {}: {why}", case.name);
        }
    }
    let faults = faults(&reports);
    let is_whole = std::env::var_os("SEQFUSE_CASES").is_none();
    if is_whole {
        compare_table(&reports);
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_selection_of_onnx_node_tests_passes() {
    let reports = run_all(&root().join("tests/fixtures/onnx/nodes"));
    let faults = faults(&reports);
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// Where the table stands in the documentation.
const MARKS: [&str; 2] = ["<!-- conformance -->\n", "<!-- end of conformance -->\n"];

/// Checks, or writes, the table of what passes.
fn compare_table(reports: &[Report]) {
    let path = root().join("docs/onnx.md");
    let text = std::fs::read_to_string(&path).expect("docs/onnx.md is there");
    let [begin, end] = MARKS.map(|mark| text.find(mark).expect("the marks are there"));
    let new = [&text[..begin + MARKS[0].len()], &table(reports), &text[end..]].concat();
    if std::env::var_os("SEQFUSE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, new).expect("docs/onnx.md can be written");
    } else {
        assert!(new == text, "docs/onnx.md is old; run this test with SEQFUSE_UPDATE_DOCS=1");
    }
}

/// The cases of each kind, then those of each operator.
fn table(reports: &[Report]) -> String {
    let line = |name: &str, more: &str, Counts([passed, refused, wrong]): Counts| {
        format!("| {name} |{more} {passed} | {refused} | {wrong} |\n")
    };
    let (mut kinds, mut all) = (BTreeMap::<&str, Counts>::new(), Counts::default());
    let mut operators: BTreeMap<&str, (i64, i64, Counts)> = BTreeMap::new();
    for Report { case, given, .. } in reports {
        kinds.entry(&case.kind).or_default().add(given);
        all.add(given);
        if case.kind != "node" {
            continue;
        }
        for name in &case.operators {
            let row = operators.entry(name).or_insert((i64::MAX, 0, Counts::default()));
            *row = (row.0.min(case.opset), row.1.max(case.opset), row.2);
            row.2.add(given);
        }
    }
    let mut text = "| tests | pass | refused by name | wrong |\n|---|---|---|---|\n".to_owned();
    kinds.into_iter().for_each(|(kind, counts)| text += &line(kind, "", counts));
    text += &line("all", "", all);
    text += "\n| operator | versions tested | pass | refused by name | wrong |\n|---|---|---|---|---|\n";
    for (name, (oldest, newest, counts)) in operators {
        let versions = match oldest == newest {
            true => format!(" {newest} |"),
            false => format!(" {oldest} to {newest} |"),
        };
        text += &line(name, &versions, counts);
    }
    text
}
