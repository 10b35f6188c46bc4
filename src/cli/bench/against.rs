//! Peers that run the same model.

use std::path::PathBuf;

use ort::session::Session;
use ort::value::DynValue;

use super::BenchArgs;
use crate::cli::error::CliError;
use crate::cli::onnx_runtime::{Runtime, failed, fed};
use crate::runtime::Tensors;

/// A model in ONNX Runtime, and what it runs on.
pub(super) struct OnnxRuntime {
    session: Session,
    inputs: Vec<(String, DynValue)>,
    path: PathBuf,
}

impl OnnxRuntime {
    /// Opens the model that is timed.
    pub fn open(args: &BenchArgs, given: &Tensors) -> Result<OnnxRuntime, CliError> {
        let path = args.model.model.clone();
        let session = Runtime::load(Some(args.threads()))?.open(&path, &[])?;
        let inputs = fed(given).map_err(|error| failed(&path, &error))?;
        Ok(OnnxRuntime { session, inputs, path })
    }

    /// One run.
    pub fn run(&mut self) -> Result<(), CliError> {
        let inputs: Vec<_> = self.inputs.iter().map(|(name, value)| (&**name, value)).collect();
        let done = self.session.run(inputs);
        done.map(|_| ()).map_err(|error| failed(&self.path, &error))
    }
}
