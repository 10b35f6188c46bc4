//! The graph that runs, and its plan for given sizes.

use seqfuse_kernels::Isa;
use serde::Serialize;

use super::layers::{memory, thousands};
#[cfg(feature = "gpu")]
use crate::Options;
use crate::cli::COLUMNS;
use crate::cli::common::DeviceChoice;
use crate::cli::error::CliError;
use crate::cli::sizes;
use crate::cli::table::{Align, Table};
use crate::graph::{Bindings, Cost, Graph, Node, TensorType};
use crate::passes;
use crate::plan::{NodeShapes, PackCache, Program, Stage, StagePlan};
use crate::runtime::{Placed, StageDevice, cpu};

/// A model after all passes, planned for a device.
#[derive(Debug, Serialize)]
pub(super) struct Compiled {
    /// What `auto` takes, where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto: Option<Choice>,
    graph: String,
    stages: Vec<StageRow>,
    flops: u64,
    /// Why what nearly was a fused operator is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// The device that `auto` takes for some sizes.
#[derive(Debug, Serialize)]
struct Choice {
    device: Placed,
    why: String,
}

/// What kernels the stages may use.
fn stage_device(
    device: Option<DeviceChoice>,
    graph: &Graph,
    bindings: &Bindings,
) -> Result<(StageDevice, Option<Choice>), CliError> {
    match device {
        None | Some(DeviceChoice::Cpu) => Ok((StageDevice::Cpu, None)),
        Some(DeviceChoice::Auto) => Ok(auto(graph, bindings)),
        #[cfg(feature = "gpu")]
        Some(DeviceChoice::Gpu) => Ok((StageDevice::Gpu, None)),
        #[cfg(not(feature = "gpu"))]
        Some(DeviceChoice::Gpu) => Err(CliError::usage(
            "--device gpu: this build has no GPU runtime; build seqfuse with the feature `gpu`",
        )),
    }
}

#[cfg(feature = "gpu")]
fn auto(graph: &Graph, bindings: &Bindings) -> (StageDevice, Option<Choice>) {
    use crate::runtime::{auto::processor, choice, gpu::GpuDevice};

    let verdict = processor(&Options::new()).map(|cpu| {
        let work = choice::Work::of(graph, bindings);
        choice::choose(&work, cpu, None, || match GpuDevice::list().into_iter().next() {
            Some(info) => Ok((info.kind, info.name)),
            None => Err("there is no GPU adapter".to_owned()),
        })
    });
    let Some(verdict) = verdict else { return (StageDevice::Cpu, None) };
    let (stages, device) = match verdict.gpu {
        true => (StageDevice::Gpu, Placed::Gpu),
        false => (StageDevice::Cpu, Placed::Cpu),
    };
    (stages, Some(Choice { device, why: verdict.warning.unwrap_or(verdict.why) }))
}

#[cfg(not(feature = "gpu"))]
fn auto(_: &Graph, _: &Bindings) -> (StageDevice, Option<Choice>) {
    let why = "this build has no GPU runtime".to_owned();
    (StageDevice::Cpu, Some(Choice { device: Placed::Cpu, why }))
}

#[derive(Debug, Serialize)]
struct StageRow {
    on_host: bool,
    /// What runs it.
    device: Placed,
    /// Whether its sizes are known before it runs.
    planned: bool,
    /// The sizes of the buffers in bytes; none on the host.
    buffers: Vec<usize>,
    nodes: Vec<NodeRow>,
}

#[derive(Debug, Serialize)]
struct NodeRow {
    name: String,
    op: &'static str,
    /// Sizes that are measured when the model runs are `None`.
    output_shapes: Vec<Vec<Option<usize>>>,
    /// Whether it only shows its input under another shape.
    view: bool,
    flops: u64,
    bytes: u64,
    /// What the device asked for lacks, so that the processor runs the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacking: Option<String>,
}

impl Compiled {
    /// Plans `graph` for `device` and the sizes in `bindings`.
    ///
    /// # Errors
    /// If a size is open, or a node refuses the sizes.
    pub fn of(
        graph: &Graph,
        bindings: &Bindings,
        device: Option<DeviceChoice>,
    ) -> Result<Compiled, CliError> {
        if let Some(open) =
            sizes::length_symbols(graph).iter().find(|symbol| bindings.get(symbol).is_none())
        {
            return Err(CliError::usage(format!(
                "--compiled needs --length N: the size `{open}` of this model is open"
            )));
        }
        let (graph, notes) = passes::prepare_noting(graph)?;
        let notes = notes.iter().map(ToString::to_string).collect();
        let (device, auto) = stage_device(device, &graph, bindings)?;
        let program = device.program(graph);
        let stages = program.stages().iter().map(|stage| plan(&program, stage, bindings, device));
        let stages: Vec<StageRow> = stages.collect::<Result<_, _>>()?;
        let flops = stages.iter().flat_map(|stage| &stage.nodes).map(|node| node.flops).sum();
        Ok(Compiled { auto, graph: program.graph().to_string(), stages, flops, notes })
    }

    /// What runs elsewhere than asked for, and why.
    fn lacking(&self) -> String {
        let nodes = self.stages.iter().flat_map(|stage| &stage.nodes);
        let lacking: Vec<String> = nodes
            .filter_map(|node| {
                let reason = node.lacking.as_ref()?;
                Some(format!("- {} ({}): {reason}\n", node.name, node.op))
            })
            .collect();
        match lacking.is_empty() {
            true => String::new(),
            false => format!("\nOn the CPU, because the GPU lacks it:\n{}", lacking.concat()),
        }
    }

    pub fn render(&self) -> String {
        let mut text = format!("\n{}", self.graph);
        for (index, stage) in self.stages.iter().enumerate() {
            text.push_str(&format!("\nStage {} ({})\n", index + 1, stage.device));
            let mut table = Table::new(&[
                ("Node (operator)", Align::Left),
                ("Output Shape", Align::Left),
                ("FLOPs", Align::Right),
                ("Bytes", Align::Right),
            ]);
            for node in &stage.nodes {
                let shapes = node.output_shapes.iter().map(|shape| sizes::tuple(shape));
                let (flops, bytes) = match (node.view, stage.planned) {
                    (true, _) => ("view".to_owned(), String::new()),
                    (false, false) => (String::new(), String::new()),
                    _ => (thousands(node.flops as usize), thousands(node.bytes as usize)),
                };
                table.row([
                    format!("{} ({})", node.name, node.op),
                    shapes.collect::<Vec<_>>().join(", "),
                    flops,
                    bytes,
                ]);
            }
            text.push_str(&table.render(COLUMNS));
            if !stage.planned {
                text.push_str("Planned when a run has measured its sizes\n");
            } else if !stage.on_host {
                let total: usize = stage.buffers.iter().sum();
                let count = stage.buffers.len();
                text.push_str(&format!("Buffers: {count}, together {}\n", memory(total)));
            }
        }
        text.push_str(&self.lacking());
        if let Some(Choice { device, why }) = &self.auto {
            text.push_str(&format!("\n--device auto takes the {device}: {why}\n"));
        }
        text.push_str(&format!("\nFLOPs of a run: {}\n", thousands(self.flops as usize)));
        if !self.notes.is_empty() {
            text.push_str("\nNot fused:\n");
            self.notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
        }
        text
    }
}

fn plan(
    program: &Program,
    stage: &Stage,
    bindings: &Bindings,
    device: StageDevice,
) -> Result<StageRow, CliError> {
    let graph = program.graph();
    let planned = stage.symbols.iter().all(|symbol| bindings.get(symbol).is_some());
    let buffers = match stage.on_host() || !planned {
        true => Vec::new(),
        false => {
            let shapes = stage.inputs.iter().map(|id| graph.ty(*id).eval(bindings));
            let shapes: Vec<Vec<usize>> = shapes.collect::<Result<_, _>>()?;
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            let packs = PackCache::new();
            // What the GPU's kernels need beside the values depends on the adapter.
            let workspace = |node: &NodeShapes<'_>| match device.place_of(stage.place) {
                Placed::Gpu => 0,
                _ => cpu::workspace(node, graph, &packs, Isa::detect()),
            };
            StagePlan::new(program, stage, bindings, &shapes, &workspace)?.buffers
        }
    };
    let place = device.place_of(stage.place);
    let nodes = stage.nodes.iter().map(|id| {
        let node = graph.node(*id);
        let lacking = match place {
            Placed::Cpu => device.lacks(graph, node),
            _ => None,
        };
        NodeRow { lacking, ..row(graph, node, bindings) }
    });
    let nodes = nodes.collect();
    Ok(StageRow { on_host: stage.on_host(), device: place, planned, buffers, nodes })
}

fn row(graph: &Graph, node: &Node, bindings: &Bindings) -> NodeRow {
    // What is not known counts as nothing.
    let known = |id| -> Option<TensorType> {
        let ty = graph.ty(id);
        Some(TensorType::known(ty.dtype, &ty.eval(bindings).ok()?))
    };
    let inputs: Vec<Option<TensorType>> =
        node.inputs.iter().map(|input| input.and_then(known)).collect();
    let inputs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
    let outputs: Option<Vec<TensorType>> = node.outputs.iter().map(|id| known(*id)).collect();
    let view = node.op.is_view();
    let cost = outputs.filter(|_| !view).map(|outputs| node.op.cost(&inputs, &outputs));
    let Cost { flops, bytes } = cost.unwrap_or_default();
    let shapes = node.outputs.iter().map(|id| sizes::shape(graph.ty(*id), bindings));
    NodeRow {
        name: node.name.clone(),
        op: node.op.name(),
        output_shapes: shapes.collect(),
        view,
        flops,
        bytes,
        lacking: None,
    }
}
