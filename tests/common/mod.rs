//! What the tests share; each test file takes its part.
#![allow(dead_code)]

pub mod broken;
pub mod cases;
pub mod check;
pub mod command;
pub mod memory;
pub mod npz;
pub mod onnx;
pub mod onnx_folder;
pub mod real;
