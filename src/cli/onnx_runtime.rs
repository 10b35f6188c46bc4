//! ONNX Runtime, whose shared library is loaded from `ORT_DYLIB_PATH`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::value::{DynTensorValueType, DynValue, Tensor as OrtTensor, TensorElementType};

use super::error::CliError;
use crate::graph::{Data, Tensor};
use crate::runtime::Tensors;

/// ONNX Runtime, loaded.
pub(super) struct Runtime {
    environment: Environment,
    threads: Option<usize>,
}

/// The library's loading is not to be done twice at a time.
fn loading() -> MutexGuard<'static, ()> {
    static LOADING: Mutex<()> = Mutex::new(());
    LOADING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    /// Loads the library; its sessions run with so many threads.
    pub fn load(threads: Option<usize>) -> Result<Runtime, CliError> {
        let _loading = loading();
        let Some(path) = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from) else {
            let what = "ORT_DYLIB_PATH is not set; name ONNX Runtime's shared library in it (in its \
                        Python package: onnxruntime/capi/libonnxruntime.so.*)";
            return Err(CliError::failed(what));
        };
        let failed = |error: &dyn std::error::Error| {
            let what = format!("ORT_DYLIB_PATH {}: ONNX Runtime cannot be loaded", path.display());
            CliError::failed(what).caused_by(error)
        };
        let builder = ort::init_from(&path).map_err(|error| failed(&error))?;
        let environment = builder.build().map_err(|error| failed(&error))?;
        Ok(Runtime { environment, threads })
    }

    /// A session of the model in a file; `values` names what it gives beside its outputs.
    pub fn open(&self, path: &Path, values: &[String]) -> Result<Session, CliError> {
        let open = || -> ort::Result<Session> {
            let mut builder = Session::builder(&self.environment)?;
            if let Some(threads) = self.threads {
                builder = builder.with_intra_threads(threads)?;
            }
            match values.is_empty() {
                true => builder.commit_from_file(path),
                false => {
                    let mut bytes = std::fs::read(path).map_err(ort::Error::wrap)?;
                    append_outputs(&mut bytes, values);
                    if let Some(folder) = path.parent().and_then(Path::to_str) {
                        let key = "session.model_external_initializers_file_folder_path";
                        let folder = if folder.is_empty() { "." } else { folder };
                        builder = builder.with_config_entry(key, folder)?;
                    }
                    builder.commit_from_memory(&bytes)
                }
            }
        };
        open().map_err(|error| failed(path, &error))
    }

    /// Runs the model of a file; `values` names what it gives beside its outputs.
    pub fn run(
        &self,
        path: &Path,
        given: &Tensors,
        values: &[String],
    ) -> Result<Tensors, CliError> {
        let mut session = self.open(path, values)?;
        let inputs = fed(given).map_err(|error| failed(path, &error))?;
        let outputs = session.run(inputs).map_err(|error| failed(path, &error))?;
        let outputs = outputs.iter().filter(|(_, value)| value.is_tensor());
        let outputs = outputs.map(|(name, value)| Ok((name.to_owned(), of_ort(value)?)));
        outputs.collect::<ort::Result<Tensors>>().map_err(|error| failed(path, &error))
    }
}

/// What a session takes, by name.
pub(super) fn fed(given: &Tensors) -> ort::Result<Vec<(String, DynValue)>> {
    given.iter().map(|(name, tensor)| Ok((name.to_owned(), to_ort(tensor)?))).collect()
}

/// What ONNX Runtime says about a model that it cannot run.
pub(super) fn failed(path: &Path, error: &dyn std::error::Error) -> CliError {
    CliError::failed(format!("ONNX Runtime, {}", path.display())).caused_by(error)
}

/// Appends outputs to the bytes of a model. Messages that follow each other in a protobuf are merged,
/// so a second graph that holds outputs alone adds them to the first.
fn append_outputs(model: &mut Vec<u8>, names: &[String]) {
    const GRAPH: u8 = 7 << 3 | 2;
    const OUTPUT: u8 = 12 << 3 | 2;
    const NAME: u8 = 1 << 3 | 2;
    let mut graph = Vec::new();
    for name in names {
        let mut value = Vec::new();
        field(&mut value, NAME, name.as_bytes());
        field(&mut graph, OUTPUT, &value);
    }
    field(model, GRAPH, &graph);
}

/// A field of bytes: its tag, their number in base 128, and they themselves.
fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let mut len = bytes.len();
    while len >= 128 {
        out.push(len as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}

/// A tensor as ONNX Runtime takes it.
fn to_ort(tensor: &Tensor) -> ort::Result<DynValue> {
    let shape: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
    macro_rules! of {
        ($($kind:ident),*) => {
            match tensor.data() {
                $(Data::$kind(values) => OrtTensor::from_array((shape, values.clone()))?.into_dyn(),)*
                Data::Str(values) => {
                    OrtTensor::from_string_array((shape, values.as_slice()))?.into_dyn()
                }
            }
        };
    }
    Ok(of!(F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool))
}

/// A tensor of ONNX Runtime's.
fn of_ort(value: ort::value::ValueRef<'_>) -> ort::Result<Tensor> {
    let value = value.downcast::<DynTensorValueType>()?;
    macro_rules! of {
        ($($theirs:ident => $element:ty, $kind:ident);*) => {
            match *value.data_type() {
                $(TensorElementType::$theirs => {
                    let (shape, values) = value.try_extract_tensor::<$element>()?;
                    (shape.to_vec(), Data::$kind(values.to_vec()))
                })*
                TensorElementType::String => {
                    let (shape, values) = value.try_extract_strings()?;
                    (shape.to_vec(), Data::Str(values))
                }
                other => return Err(ort::Error::new(format!("a tensor of {other}"))),
            }
        };
    }
    let (shape, data) = of!(
        Float32 => f32, F32; Float64 => f64, F64; Float16 => half::f16, F16; Int8 => i8, I8;
        Int16 => i16, I16; Int32 => i32, I32; Int64 => i64, I64; Uint8 => u8, U8;
        Uint16 => u16, U16; Uint32 => u32, U32; Uint64 => u64, U64; Bool => bool, Bool
    );
    let shape = shape.into_iter().map(|size| size.max(0) as usize).collect::<Vec<usize>>();
    Ok(Tensor::from_parts(shape, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_outputs_are_a_second_graph() {
        let mut bytes = Vec::new();
        append_outputs(&mut bytes, &["ab".to_owned()]);
        assert_eq!(bytes, [0x3a, 6, 0x62, 4, 0x0a, 2, b'a', b'b']);
        let long = "x".repeat(200);
        let mut bytes = Vec::new();
        field(&mut bytes, 0x0a, long.as_bytes());
        assert_eq!((bytes[1], bytes[2], bytes.len()), (200 - 128 + 128, 1, 203));
    }
}
