//! Peers that run the same model in turn.

use super::BenchArgs;
use super::measure::{Run, Times};
use super::report::Peer;
use crate::cli::error::CliError;
use crate::runtime::Tensors;

/// Times `own` and ONNX Runtime on the model that is timed.
#[cfg(feature = "ort")]
pub(super) fn measure(
    args: &BenchArgs,
    given: &Tensors,
    own: &mut Run<'_>,
) -> Result<(Times, Vec<Peer>), CliError> {
    use crate::cli::onnx_runtime::{Runtime, failed, fed};

    let path = &args.model.model;
    let mut session = Runtime::load(Some(args.threads()))?.open(path, &[])?;
    let inputs = fed(given).map_err(|error| failed(path, &error))?;
    let mut run = || {
        let inputs: Vec<_> = inputs.iter().map(|(name, value)| (&**name, value)).collect();
        let done = session.run(inputs);
        done.map(|_| ()).map_err(|error| failed(path, &error))
    };
    let [own, times] = super::measure::in_turn([own, &mut run], args.budget())?;
    Ok((own, vec![Peer { name: "ort", title: "ONNX Runtime", times }]))
}

/// Says that this build has no peers.
#[cfg(not(feature = "ort"))]
pub(super) fn measure(
    _args: &BenchArgs,
    _given: &Tensors,
    _own: &mut Run<'_>,
) -> Result<(Times, Vec<Peer>), CliError> {
    Err(not_in_build())
}

/// The error that this build cannot load ONNX Runtime.
pub(super) fn not_in_build() -> CliError {
    CliError::usage("this build cannot load ONNX Runtime; build it with `--features ort`")
}
