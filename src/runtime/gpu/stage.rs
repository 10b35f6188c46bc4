//! A planned stage with its recorded calls.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::arena::{Arena, Uploaded};
use super::buffer::Workspace;
use super::lower::pointwise::{self, Uses};
use super::lower::{self, Lowering};
use super::program::{Output, Program, Upload};
use super::recorder::Recorder;
use super::store::DeviceWeights;
use crate::graph::{DType, Data, Graph, Source, Tensor, ValueId};
use crate::plan::{Place, Stage, StagePlan, WeightId};
use crate::runtime::RunError;
use crate::runtime::stage::Given;

/// A stage for concrete sizes: a fixed list of calls, run in one submission.
#[derive(Debug)]
pub struct GpuStage {
    plan: StagePlan,
    program: Program,
    uploads: Vec<Uploaded>,
    /// The first word of each output, where it is computed.
    outputs: Vec<Option<u32>>,
}

impl GpuStage {
    /// Records the calls of `plan`, and uploads weights that are not on the device yet.
    ///
    /// # Errors
    /// If an operator cannot run with such operands, or the device has no room for them.
    pub fn new(
        graph: &Graph,
        stage: &Stage,
        plan: StagePlan,
        weights: &DeviceWeights,
    ) -> Result<GpuStage, RunError> {
        let uses = StageUses::new(graph, stage, &plan);
        let device = &weights.device;
        device.planned.fetch_add(1, Ordering::Relaxed);
        let mut store = weights.store();
        let arena = Arena::new(&plan)?;
        let mut lowering = Lowering {
            graph,
            device,
            step: None,
            recorder: Recorder::new(device),
            arena,
            store: &mut store,
            half: weights.half,
        };
        let mut first = 0;
        while let Some(step) = plan.steps.get(first) {
            if step.outputs.iter().all(Option::is_none) {
                first += 1;
                continue;
            }
            lowering.step = Some(step);
            let rest = plan.steps.get(first..).unwrap_or_default();
            let length = pointwise::chain_length(graph, &uses, rest, first);
            match rest.get(..length).filter(|chain| !chain.is_empty()) {
                Some(chain) => pointwise::lower(&mut lowering, &uses, chain, first)?,
                None => lower::lower(&mut lowering)?,
            }
            first += length.max(1);
        }
        let Lowering { recorder, arena, .. } = lowering;
        let calls = recorder.finish();
        let uploaded = store.upload(device)?;
        drop(store);
        let outputs = plan.outputs.iter().map(|operand| match operand.place {
            Place::Buffer(id) => arena.buffer(id),
            _ => None,
        });
        let outputs = outputs.collect();
        let (fixed, uploads): (Vec<_>, Vec<_>) =
            arena.into_uploads().into_iter().partition(|own| WeightId::of(&own.place).is_some());
        let fixed = fixed.into_iter().map(|mut own| {
            let tensor = match &own.place {
                Place::Constant(tensor) => Some(tensor.clone()),
                Place::Variable(id) => Some(graph.variable(*id).value.clone()),
                _ => None,
            };
            own.convert(tensor.as_deref())?;
            Ok((own, tensor))
        });
        let fixed: Vec<_> = fixed.collect::<Result<_, RunError>>()?;
        let constants = fixed.iter().map(|(own, tensor)| own.upload(tensor.as_deref()));
        let constants: Vec<Upload<'_>> = constants.collect();
        let program = Program::new(device.clone(), uploaded, calls)?.with_constants(&constants)?;
        Ok(GpuStage { outputs, uploads, plan, program })
    }

    /// The plan.
    pub fn plan(&self) -> &StagePlan {
        &self.plan
    }

    /// The calls.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Uploads what the stage takes, runs it, and reads its outputs into `results`, a word an
    /// element; nothing for outputs that are views of what it takes.
    ///
    /// # Errors
    /// If an id is outside its vocabulary, an integer does not fit 32 bits, or the device fails.
    pub fn run(
        &mut self,
        given: &Given<'_>,
        workspace: &mut Workspace,
        results: &mut Vec<Vec<u32>>,
    ) -> Result<(), RunError> {
        for upload in &mut self.uploads {
            let place = upload.place.clone();
            upload.convert(given.tensor(&place))?;
        }
        let uploads = self.uploads.iter();
        let uploads = uploads.map(|upload| upload.upload(given.tensor(&upload.place)));
        let uploads: Vec<Upload<'_>> = uploads.collect();
        results.resize_with(self.outputs.len(), Vec::new);
        if self.program.calls().is_empty() {
            return Ok(());
        }
        let mut outputs = Vec::with_capacity(results.len());
        for (at, result) in results.iter_mut().enumerate() {
            let (Some(Some(offset)), Some(operand)) =
                (self.outputs.get(at), self.plan.outputs.get(at))
            else {
                continue;
            };
            result.resize(operand.len, 0);
            outputs.push(Output { offset: *offset, bytes: bytemuck::cast_slice_mut(result) });
        }
        self.program.run(workspace, &uploads, &mut outputs)?;
        Ok(())
    }
}

/// Who takes the values of a stage.
struct StageUses<'a> {
    graph: &'a Graph,
    stage: &'a Stage,
    /// The last step that takes a value or a view of it; `usize::MAX` where it outlives the stage.
    last: HashMap<ValueId, usize>,
}

impl<'a> StageUses<'a> {
    fn new(graph: &'a Graph, stage: &'a Stage, plan: &StagePlan) -> StageUses<'a> {
        let mut uses = StageUses { graph, stage, last: HashMap::new() };
        for (index, step) in plan.steps.iter().enumerate() {
            for id in graph.node(step.node).inputs.iter().flatten() {
                uses.last.insert(uses.root(*id), index);
            }
        }
        for id in &stage.outputs {
            uses.last.insert(uses.root(*id), usize::MAX);
        }
        uses
    }
}

impl Uses for StageUses<'_> {
    fn root(&self, mut id: ValueId) -> ValueId {
        while let Source::Node { node, .. } = self.graph.value(id).source
            && self.stage.nodes.binary_search(&node).is_ok()
            && self.graph.node(node).op.is_view()
            && let Some(input) = self.graph.node(node).inputs.first().copied().flatten()
        {
            id = input;
        }
        id
    }

    fn outlives(&self, root: ValueId, last: usize) -> bool {
        self.last.get(&root).is_some_and(|step| *step > last)
    }
}

impl Uploaded {
    /// Makes words of elements that are not words.
    fn convert(&mut self, tensor: Option<&Tensor>) -> Result<(), RunError> {
        let words = &mut self.words;
        words.clear();
        match tensor.map(Tensor::data) {
            Some(Data::I64(values)) => {
                words.reserve(values.len());
                for (position, &value) in values.iter().enumerate() {
                    match i32::try_from(value) {
                        Ok(word) => words.push(word.cast_unsigned()),
                        Err(_) => return Err(self.out_of_range(position, value)),
                    }
                }
            }
            Some(Data::Bool(values)) => words.extend(values.iter().map(|&value| u32::from(value))),
            _ => {}
        }
        Ok(())
    }

    fn out_of_range(&self, position: usize, value: i64) -> RunError {
        match &self.embedding {
            Some((node, vocabulary)) => RunError::TokenId {
                node: node.clone(),
                id: value,
                position,
                vocabulary: *vocabulary,
            },
            None => RunError::InputRange {
                name: self.name.clone(),
                expected: DType::I32,
                value: value.into(),
                position,
            },
        }
    }

    /// What is written into the arena, once [`convert`](Self::convert) has seen the tensor.
    fn upload<'a>(&'a self, tensor: Option<&'a Tensor>) -> Upload<'a> {
        let bytes: &[u8] = match tensor.map(Tensor::data) {
            Some(Data::F32(values)) => bytemuck::cast_slice(values),
            Some(Data::I32(values)) => bytemuck::cast_slice(values),
            Some(Data::I64(_) | Data::Bool(_)) => bytemuck::cast_slice(&self.words),
            _ => &[],
        };
        Upload { offset: self.offset, bytes }
    }
}
