//! The operators of ONNX Runtime's own domain give what ONNX Runtime gives.
//!
//! `SEQFUSE_CASES=Attention,Gelu` runs the cases whose name contains one of these only.

mod common;

use seqfuse::Options;

use common::onnx_folder::check_folder;

#[test]
fn every_operator_gives_what_onnx_runtime_gives() {
    check_folder("microsoft", &Options::new().threads(1), &[]);
}
