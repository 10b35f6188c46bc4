//! The graph that runs, and its plan for given sizes.

use seqfuse_kernels::Isa;
use serde::Serialize;

use super::layers::{memory, thousands};
use crate::cli::COLUMNS;
use crate::cli::error::CliError;
use crate::cli::sizes;
use crate::cli::table::{Align, Table};
use crate::graph::{Bindings, Cost, Graph, Node, TensorType};
use crate::passes;
use crate::plan::{NodeShapes, PackCache, Program, Stage, StagePlan};
use crate::runtime::cpu;

/// A model after all passes, planned for the CPU.
#[derive(Debug, Serialize)]
pub(super) struct Compiled {
    graph: String,
    stages: Vec<StageRow>,
    flops: u64,
    /// Why what nearly was a fused operator is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StageRow {
    on_host: bool,
    /// The sizes of the buffers in bytes; none on the host.
    buffers: Vec<usize>,
    nodes: Vec<NodeRow>,
}

#[derive(Debug, Serialize)]
struct NodeRow {
    name: String,
    op: &'static str,
    output_shapes: Vec<Vec<usize>>,
    /// Whether it only shows its input under another shape.
    view: bool,
    flops: u64,
    bytes: u64,
}

impl Compiled {
    /// Plans `graph` for the sizes in `bindings`.
    ///
    /// # Errors
    /// If a size is open, or a node refuses the sizes.
    pub fn of(graph: &Graph, bindings: &Bindings) -> Result<Compiled, CliError> {
        if let Some(open) =
            sizes::length_symbols(graph).iter().find(|symbol| bindings.get(symbol).is_none())
        {
            return Err(CliError::usage(format!(
                "--compiled needs --length N: the size `{open}` of this model is open"
            )));
        }
        let (graph, notes) = passes::prepare_noting(graph)?;
        let notes = notes.iter().map(ToString::to_string).collect();
        let program = Program::new(graph);
        let stages = program.stages().iter().map(|stage| plan(&program, stage, bindings));
        let stages: Vec<StageRow> = stages.collect::<Result<_, _>>()?;
        let flops = stages.iter().flat_map(|stage| &stage.nodes).map(|node| node.flops).sum();
        Ok(Compiled { graph: program.graph().to_string(), stages, flops, notes })
    }

    pub fn render(&self) -> String {
        let mut text = format!("\n{}", self.graph);
        for (index, stage) in self.stages.iter().enumerate() {
            let place = if stage.on_host { "host" } else { "device" };
            text.push_str(&format!("\nStage {} ({place})\n", index + 1));
            let mut table = Table::new(&[
                ("Node (operator)", Align::Left),
                ("Output Shape", Align::Left),
                ("FLOPs", Align::Right),
                ("Bytes", Align::Right),
            ]);
            for node in &stage.nodes {
                let known =
                    |shape: &Vec<usize>| -> Vec<_> { shape.iter().copied().map(Some).collect() };
                let shapes = node.output_shapes.iter().map(|shape| sizes::tuple(&known(shape)));
                let (flops, bytes) = match node.view {
                    true => ("view".to_owned(), String::new()),
                    false => (thousands(node.flops as usize), thousands(node.bytes as usize)),
                };
                table.row([
                    format!("{} ({})", node.name, node.op),
                    shapes.collect::<Vec<_>>().join(", "),
                    flops,
                    bytes,
                ]);
            }
            text.push_str(&table.render(COLUMNS));
            if !stage.on_host {
                let total: usize = stage.buffers.iter().sum();
                let count = stage.buffers.len();
                text.push_str(&format!("Buffers: {count}, together {}\n", memory(total)));
            }
        }
        text.push_str(&format!("\nFLOPs of a run: {}\n", thousands(self.flops as usize)));
        if !self.notes.is_empty() {
            text.push_str("\nNot fused:\n");
            self.notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
        }
        text
    }
}

fn plan(program: &Program, stage: &Stage, bindings: &Bindings) -> Result<StageRow, CliError> {
    let graph = program.graph();
    let buffers = match stage.on_host {
        true => Vec::new(),
        false => {
            let shapes = stage.inputs.iter().map(|id| graph.ty(*id).eval(bindings));
            let shapes: Vec<Vec<usize>> = shapes.collect::<Result<_, _>>()?;
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            let packs = PackCache::new();
            let workspace =
                |node: &NodeShapes<'_>| cpu::workspace(node, graph, &packs, Isa::detect());
            StagePlan::new(program, stage, bindings, &shapes, &workspace)?.buffers
        }
    };
    let nodes = stage.nodes.iter().map(|id| row(graph, graph.node(*id), bindings));
    Ok(StageRow { on_host: stage.on_host, buffers, nodes: nodes.collect::<Result<_, _>>()? })
}

fn row(graph: &Graph, node: &Node, bindings: &Bindings) -> Result<NodeRow, CliError> {
    let known = |id| -> Result<TensorType, CliError> {
        let ty = graph.ty(id);
        Ok(TensorType::known(ty.dtype, &ty.eval(bindings)?))
    };
    let inputs = node.inputs.iter().map(|input| input.map(known).transpose());
    let inputs: Vec<Option<TensorType>> = inputs.collect::<Result<_, _>>()?;
    let inputs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
    let outputs: Vec<TensorType> =
        node.outputs.iter().map(|id| known(*id)).collect::<Result<_, _>>()?;
    let view = node.op.is_view();
    let Cost { flops, bytes } =
        if view { Cost::default() } else { node.op.cost(&inputs, &outputs) };
    Ok(NodeRow {
        name: node.name.clone(),
        op: node.op.name(),
        output_shapes: outputs.iter().filter_map(TensorType::shape).collect(),
        view,
        flops,
        bytes,
    })
}
