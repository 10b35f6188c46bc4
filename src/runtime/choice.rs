//! The rule by which `auto` takes the GPU: where a run of these sizes is estimated to take it
//! two thirds of the CPU's time or less.
//!
//! - A run on the CPU takes, for each node, [`CPU_NODE`] and the larger of its FLOP over the rate of
//!   the instruction set and the threads, and of its bytes over [`CPU_BYTES`]. A recurrent layer is
//!   shared among as many threads as the batch has rows.
//! - A run on the GPU takes [`Rates::run`] once, [`Rates::dispatch`] for each node,
//!   [`Rates::step`] for each step of a recurrent layer, whose steps wait for one another, FLOP and
//!   bytes over the adapter's rates, and inputs and outputs over the link between the two. A recurrent
//!   layer has a part of the adapter for each row, the whole of it from [`FULL_ROWS`] rows on.
//! - [`OPENING`] is shared among the runs that the Session is said to make
//!   ([`Options::expected_runs`](super::Options::expected_runs)); it counts for nothing where that is
//!   not said.
//! - A software adapter is never taken, and neither is any where the work is not known before the run:
//!   a node runs a Graph of its own, or a size is found while it runs.
//!
//! The CPU's rates are those of `cargo bench --bench models` (tools/bench/README.md). **Those of GPUs
//! are not measured**: they are set low, from what such hardware is sold as, so that `auto` errs on the
//! CPU's side.

use seqfuse_kernels::Isa;

use super::gpu::DeviceKind;
use crate::graph::{Bindings, Graph, Node, TensorType, elements};
use crate::ops::Late;

/// How many times faster the GPU has to be.
const MARGIN: f64 = 1.5;
/// Microseconds that opening a device and compiling its kernels take.
const OPENING: f64 = 500e3;
/// Microseconds that the CPU takes for a node beside its work.
const CPU_NODE: f64 = 1.0;
/// Bytes that the CPU moves in a microsecond.
const CPU_BYTES: f64 = 10e3;
/// Rows of a batch that make a recurrent layer use a whole GPU.
const FULL_ROWS: f64 = 128.0;

/// FLOP that a thread does in a microsecond.
fn cpu_flops(isa: Isa) -> f64 {
    match isa {
        Isa::Avx512 => 60e3,
        Isa::Avx2 => 30e3,
        // Half of AVX2's for half of its width; not measured.
        Isa::Neon => 15e3,
        Isa::Portable => 8e3,
    }
}

/// What a kind of adapter does. Times are microseconds, rates are for each of them.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// A submission and a read-back.
    run: f64,
    /// A call of a kernel.
    dispatch: f64,
    /// A step of a recurrent layer.
    step: f64,
    flops: f64,
    bytes: f64,
    /// Bytes to the adapter and back.
    link: f64,
}

/// A card with memory of its own.
const DISCRETE: Rates =
    Rates { run: 150.0, dispatch: 5.0, step: 5.0, flops: 1e6, bytes: 200e3, link: 8e3 };
/// A part of the processor, or what does not say what it is.
const SHARED: Rates =
    Rates { run: 200.0, dispatch: 10.0, step: 10.0, flops: 200e3, bytes: 30e3, link: 10e3 };

fn rates(kind: DeviceKind) -> Option<Rates> {
    match kind {
        DeviceKind::Discrete => Some(DISCRETE),
        DeviceKind::Integrated | DeviceKind::Virtual | DeviceKind::Unknown => Some(SHARED),
        DeviceKind::Software => None,
    }
}

/// The processor as the Session uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    pub isa: Isa,
    pub threads: usize,
}

/// What a node takes.
#[derive(Clone, Copy, Debug)]
struct NodeWork {
    flops: f64,
    bytes: f64,
    /// Steps that wait for one another, and rows that go through them side by side.
    steps: f64,
    rows: f64,
}

/// What a run takes, as far as its sizes tell.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    nodes: Vec<NodeWork>,
    /// Bytes of inputs and outputs.
    moved: f64,
}

impl Work {
    /// What a run of `graph` takes with the sizes in `bindings`.
    ///
    /// # Errors
    /// Why that is not known before the run.
    pub(crate) fn of(graph: &Graph, bindings: &Bindings) -> Result<Work, String> {
        let known = |id| -> Result<TensorType, String> {
            let ty = graph.ty(id);
            let open = |_| "a size of its values is found only while it runs".to_owned();
            Ok(TensorType::known(ty.dtype, &ty.eval(bindings).map_err(open)?))
        };
        let mut nodes = Vec::new();
        for node in graph.nodes().iter().filter(|node| !node.op.is_view()) {
            let own = !node.op.bodies().is_empty() || node.op.downcast_ref::<Late>().is_some();
            if own {
                return Err(format!("node `{}` runs a graph of its own", node.name));
            }
            if !graph.on_host(node) {
                nodes.push(NodeWork::of(node, known)?);
            }
        }
        let inputs = graph.inputs().iter().map(|input| input.value);
        let outputs = graph.outputs().iter().map(|output| output.value);
        let mut moved = 0.0;
        for id in inputs.chain(outputs) {
            moved += 4.0 * elements(&known(id)?) as f64;
        }
        Ok(Work { nodes, moved })
    }

    /// Microseconds on the processor.
    fn on_cpu(&self, cpu: Processor) -> f64 {
        let time = |node: &NodeWork| {
            let threads = match node.steps > 0.0 {
                true => node.rows.clamp(1.0, cpu.threads as f64),
                false => cpu.threads as f64,
            };
            CPU_NODE + (node.flops / (cpu_flops(cpu.isa) * threads)).max(node.bytes / CPU_BYTES)
        };
        self.nodes.iter().map(time).sum()
    }

    /// Microseconds on an adapter.
    fn on_gpu(&self, rates: Rates) -> f64 {
        let time = |node: &NodeWork| {
            let share = match node.steps > 0.0 {
                true => (node.rows / FULL_ROWS).clamp(1.0 / FULL_ROWS, 1.0),
                false => 1.0,
            };
            rates.dispatch
                + node.steps * rates.step
                + (node.flops / (rates.flops * share)).max(node.bytes / rates.bytes)
        };
        rates.run + self.moved / rates.link + self.nodes.iter().map(time).sum::<f64>()
    }
}

impl NodeWork {
    fn of(
        node: &Node,
        known: impl Fn(crate::graph::ValueId) -> Result<TensorType, String>,
    ) -> Result<NodeWork, String> {
        let inputs = node.inputs.iter().map(|input| input.map(&known).transpose());
        let inputs: Vec<Option<TensorType>> = inputs.collect::<Result<_, _>>()?;
        let inputs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
        let outputs = node.outputs.iter().map(|id| known(*id));
        let outputs: Vec<TensorType> = outputs.collect::<Result<_, _>>()?;
        let cost = node.op.cost(&inputs, &outputs);
        let first = outputs.first().and_then(|ty| ty.dims.first()?.known());
        Ok(NodeWork {
            flops: cost.flops as f64,
            bytes: cost.bytes as f64,
            steps: node.op.steps(&inputs) as f64,
            rows: first.unwrap_or(1) as f64,
        })
    }
}

/// What `auto` takes for some sizes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub gpu: bool,
    /// As a sentence goes on after "the GPU: " or "the CPU: ".
    pub why: String,
    /// What kept a GPU from being taken that would have been.
    pub warning: Option<String>,
}

impl Verdict {
    fn cpu(why: String) -> Verdict {
        Verdict { gpu: false, why, warning: None }
    }
}

/// Takes a device for `work`. The adapter is asked for by `adapter` only where the best kind would
/// be taken: it gives its kind and name, or why there is none.
pub(crate) fn choose(
    work: &Result<Work, String>,
    cpu: Processor,
    expected_runs: Option<usize>,
    adapter: impl FnOnce() -> Result<(DeviceKind, String), String>,
) -> Verdict {
    let work = match work {
        Ok(work) => work,
        Err(why) => return Verdict::cpu(format!("{why}, so that no time can be estimated")),
    };
    let opening = expected_runs.map_or(0.0, |runs| OPENING / runs.max(1) as f64);
    let here = work.on_cpu(cpu);
    let there = |rates| work.on_gpu(rates) + opening;
    let wins = |rates| there(rates) * MARGIN < here;
    let estimate = |what: &str, rates| {
        let (here, there) = (milliseconds(here), milliseconds(there(rates)));
        format!("a run is estimated to take {here} ms on the CPU and {there} ms on {what}")
    };
    if !wins(DISCRETE) {
        return Verdict::cpu(estimate("a graphics card", DISCRETE));
    }
    match adapter() {
        Ok((kind, name)) => match rates(kind) {
            Some(rates) => Verdict { gpu: wins(rates), ..Verdict::cpu(estimate(&name, rates)) },
            None => Verdict::cpu(format!("{name} is no hardware")),
        },
        Err(problem) => Verdict {
            warning: Some(format!("{}, but {problem}", estimate("a graphics card", DISCRETE))),
            ..Verdict::cpu(problem)
        },
    }
}

/// With three figures.
fn milliseconds(microseconds: f64) -> String {
    let value = microseconds / 1e3;
    let figures = 2 - value.max(1e-3).log10().floor() as i32;
    format!("{value:.*}", usize::try_from(figures.max(0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Processor = Processor { isa: Isa::Avx2, threads: 8 };

    fn work(flops: f64, steps: f64, rows: f64) -> Result<Work, String> {
        let node = NodeWork { flops, bytes: 1e3, steps, rows };
        Ok(Work { nodes: vec![node], moved: 1e4 })
    }

    fn with(kind: DeviceKind) -> impl FnOnce() -> Result<(DeviceKind, String), String> {
        move || Ok((kind, "an adapter".to_owned()))
    }

    #[test]
    fn much_work_goes_to_hardware_alone() {
        let much = work(1e11, 0.0, 1.0);
        assert!(choose(&much, CPU, None, with(DeviceKind::Discrete)).gpu);
        let software = choose(&much, CPU, None, with(DeviceKind::Software));
        assert!(!software.gpu && software.warning.is_none(), "{software:?}");
        // A part of the processor is not faster enough than eight threads.
        assert!(!choose(&much, CPU, None, with(DeviceKind::Integrated)).gpu);
        let one = Processor { threads: 1, ..CPU };
        assert!(choose(&much, one, None, with(DeviceKind::Integrated)).gpu);
    }

    #[test]
    fn little_work_asks_for_no_adapter() {
        let little = choose(&work(1e6, 0.0, 1.0), CPU, None, || panic!("asked"));
        assert!(!little.gpu && little.warning.is_none(), "{little:?}");
    }

    #[test]
    fn steps_that_wait_for_one_another_keep_small_batches_on_the_cpu() {
        // An LSTM of 128 units over 200 steps, for each row about 50 MFLOP.
        let asked = |rows: f64| {
            let work = work(50e6 * rows, 200.0, rows);
            choose(&work, CPU, None, with(DeviceKind::Discrete)).gpu
        };
        assert!(!asked(1.0));
        assert!(asked(2048.0));
    }

    #[test]
    fn few_runs_do_not_pay_for_opening_a_device() {
        let some = work(1e9, 0.0, 1.0);
        assert!(choose(&some, CPU, None, with(DeviceKind::Discrete)).gpu);
        assert!(choose(&some, CPU, Some(100_000), with(DeviceKind::Discrete)).gpu);
        assert!(!choose(&some, CPU, Some(1), with(DeviceKind::Discrete)).gpu);
    }

    #[test]
    fn a_warning_stands_only_where_a_missing_adapter_would_have_been_taken() {
        let missing = || Err("there is no adapter".to_owned());
        let much = choose(&work(1e11, 0.0, 1.0), CPU, None, missing);
        assert!(!much.gpu);
        assert!(much.warning.is_some_and(|warning| warning.contains("there is no adapter")));
        let unknown = choose(&Err("a size is open".to_owned()), CPU, None, missing);
        assert!(!unknown.gpu && unknown.warning.is_none());
    }
}
