//! What holds for all nodes of a graph or function: versions of operator sets, functions, the folder.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::OnnxError;
use super::proto::{FunctionProto, ModelProto, OperatorSetId};
use super::tensor::Folder;

/// The oldest version of ONNX's own operators that is read. Operators that changed in version 7 are read in
/// the form of their version, or refused.
pub const OLDEST: i64 = 1;
/// The newest.
pub const NEWEST: i64 = 28;
/// The domain of ONNX Runtime's own operators.
pub const MICROSOFT: &str = "com.microsoft";

/// The name of a function: domain, name, overload.
type FunctionName = (String, String, String);

/// What holds for all nodes of a graph or function.
#[derive(Clone, Debug, Default)]
pub struct Context {
    opsets: HashMap<String, i64>,
    functions: Arc<HashMap<FunctionName, Arc<FunctionProto>>>,
    folder: Arc<Folder>,
}

/// A domain under its shortest name.
pub fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

impl Context {
    /// What holds for the graph of a model.
    ///
    /// # Errors
    /// If it is written in versions of operators that are not read.
    pub fn new(
        model: &ModelProto,
        functions: Vec<FunctionProto>,
        folder: Folder,
    ) -> Result<Context, OnnxError> {
        let mut named = HashMap::new();
        for function in functions {
            let (domain, name) = (domain(&function.domain).to_owned(), function.name.clone());
            let key = (domain, name, function.overload.clone());
            if named.contains_key(&key) {
                let problem = format!("holds two functions named '{}'", function.name);
                return Err(OnnxError::Model { problem });
            }
            named.insert(key, Arc::new(function));
        }
        let opsets = opsets(&model.opset_import)?;
        Ok(Context { opsets, functions: Arc::new(named), folder: Arc::new(folder) })
    }

    /// What holds for the nodes of a function.
    ///
    /// # Errors
    /// If it is written in versions of operators that are not read.
    pub fn within(&self, function: &FunctionProto) -> Result<Context, OnnxError> {
        let mut opsets = opsets(&function.opset_import)?;
        // A function that imports nothing is written in the versions of its model.
        for (domain, version) in &self.opsets {
            opsets.entry(domain.clone()).or_insert(*version);
        }
        let (functions, folder) = (self.functions.clone(), self.folder.clone());
        Ok(Context { opsets, functions, folder })
    }

    /// The version of a domain's operators; ONNX Runtime's have one only.
    pub fn opset(&self, name: &str) -> Option<i64> {
        let name = domain(name);
        self.opsets.get(name).copied().or((name == MICROSOFT).then_some(1))
    }

    /// The function of that name.
    pub fn function(
        &self,
        name: &str,
        op_type: &str,
        overload: &str,
    ) -> Option<Arc<FunctionProto>> {
        if self.functions.is_empty() {
            return None;
        }
        let key = (domain(name).to_owned(), op_type.to_owned(), overload.to_owned());
        self.functions.get(&key).cloned()
    }

    /// Where external tensors may lie.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

fn opsets(imports: &[OperatorSetId]) -> Result<HashMap<String, i64>, OnnxError> {
    let mut opsets = HashMap::new();
    for import in imports {
        let name = domain(&import.domain);
        if name.is_empty() && !(OLDEST..=NEWEST).contains(&import.version) {
            let problem = format!(
                "is written in opset {}; versions {OLDEST} to {NEWEST} are read \
                 (onnx.version_converter converts it)",
                import.version
            );
            return Err(OnnxError::Model { problem });
        }
        opsets.insert(name.to_owned(), import.version);
    }
    Ok(opsets)
}
