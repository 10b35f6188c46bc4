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

#[test]
fn magika_gives_what_onnx_runtime_gives() {
    for limits in [Limits::Adapter, Limits::WebGpu] {
        let Some(options) = options(limits) else { return };
        for case in cases("magika") {
            let mut session = case.session(&options);
            // The GPU adds in another order than both; on the CPU the same row is nearer.
            real::check_rows(&case, &mut session, 2.0);
            assert_eq!((session.moved_stages(), on_cpu(&session)), (0, Vec::new()));
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
