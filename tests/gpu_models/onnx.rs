//! silero-vad, states carried from chunk to chunk, and magika give what ONNX Runtime gives. Their files
//! are not in the repository: see `common/real.rs` and tests/onnx_real.rs.

use seqfuse::Options;

use super::common::real::{self, Case, cases};
use super::{Limits, TOLERANCE, on_cpu, options};

/// Runs a case on the GPU, and checks what was left to the processor.
fn check(case: &Case, options: &Options) {
    let mut session = case.session(options);
    let worst = real::check(case, &mut session);
    // Files of half precision are held in f32 by us and not by ONNX Runtime.
    let own = case.line["tolerance"].as_f64().expect("a tolerance");
    let tolerance = own.max(TOLERANCE.into());
    println!("{}: {worst:.2e} of {tolerance:e}", case.name());
    assert!(worst <= tolerance, "{}: {worst:e}", case.name());
    assert_eq!(session.moved_stages(), 0, "{}", case.name());
    assert_eq!(on_cpu(&session), [""; 0], "{}", case.name());
}

fn check_silero_vad(limits: Limits) {
    let Some(options) = options(limits) else { return };
    cases("silero-vad").iter().for_each(|case| check(case, &options));
}

#[test]
fn silero_vad_gives_what_onnx_runtime_gives_under_the_adapters_limits() {
    check_silero_vad(Limits::Adapter);
}

#[test]
fn silero_vad_gives_what_onnx_runtime_gives_under_the_smallest_limits() {
    check_silero_vad(Limits::WebGpu);
}

/// Against what `f64` gives, which is nearer to the CPU's result than ONNX Runtime's is
/// (tests/onnx_real.rs).
#[test]
fn magika_gives_what_f64_gives() {
    for limits in [Limits::Adapter, Limits::WebGpu] {
        let Some(options) = options(limits) else { return };
        for case in cases("magika") {
            let mut session = case.session(&options);
            let mut worst = 0.0f64;
            for suffix in case.calls() {
                let outputs = session.run(&case.inputs(&suffix)).expect("it runs");
                for (name, exact) in case.starting(&format!("exact{suffix}/")) {
                    let found = outputs.get(name).expect("the output");
                    assert_eq!(found.shape(), exact.shape());
                    let floats = [found, exact].map(|tensor| tensor.as_f32().expect("f32"));
                    let pairs = floats[0].iter().zip(floats[1]);
                    let apart = pairs.map(|(a, b)| f64::from((a - b).abs()));
                    // NaN counts as far.
                    worst = apart.fold(worst, |worst, own| if own <= worst { worst } else { own });
                }
            }
            println!("magika, {limits:?}'s limits: {worst:.2e}");
            assert!(worst <= f64::from(TOLERANCE), "{worst:e}");
            assert_eq!(session.moved_stages(), 0);
            assert_eq!(on_cpu(&session), [""; 0]);
        }
    }
}

/// Chunks that its convolutions make two steps of are nothing that the model can take; the GPU says so
/// as the CPU does.
#[test]
fn a_chunk_that_silero_vad_cannot_take_is_refused_as_on_the_cpu() {
    let Some(on_gpu) = options(Limits::Adapter) else { return };
    for case in cases("silero-vad").iter().filter(|case| case.name() == "silero_vad_16000") {
        let mut inputs = case.inputs("");
        inputs.insert("input", seqfuse::Tensor::zeros(seqfuse::DType::F32, [1, 1000]));
        let refused = |options: &Options| {
            let error = case.session(options).run(&inputs).expect_err("it is refused");
            super::common::check::chain(&error)
        };
        assert_eq!(refused(&on_gpu), refused(&Options::new()));
    }
}
