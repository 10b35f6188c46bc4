//! The operators of a Graph in files: each under the name of its type, its attributes as JSON.
//!
//! To let files hold another operator, derive serde's traits for it and add a row.

use std::any::TypeId;
use std::sync::Arc;

use serde_json::Value;

use crate::graph::Operator;
use crate::ops::*;

type Write = fn(&dyn Operator) -> Option<Value>;
type Read = fn(Value) -> Result<Arc<dyn Operator>, serde_json::Error>;

/// How files hold one operator.
struct Row {
    name: &'static str,
    id: fn() -> TypeId,
    #[cfg(test)]
    path: fn() -> &'static str,
    write: Write,
    read: Read,
}

macro_rules! table {
    ($($op:ident),* $(,)?) => {
        static TABLE: &[Row] = &[$(Row {
            name: stringify!($op),
            id: TypeId::of::<$op>,
            #[cfg(test)]
            path: std::any::type_name::<$op>,
            write: |op| serde_json::to_value(op.downcast_ref::<$op>()?).ok(),
            read: |value| Ok(Arc::new(serde_json::from_value::<$op>(value)?)),
        }),*];
    };
}
table!(
    Activate,
    Arange,
    ArgReduce,
    Attention,
    BatchNorm,
    Binary,
    Bincount,
    BroadcastTo,
    Cast,
    Concat,
    Conv,
    Crop,
    Cumsum,
    Dense,
    Dropout,
    Embedding,
    Expand,
    FullLike,
    GatherNd,
    GeneralRecurrent,
    GlobalPool,
    Gru,
    LayerNorm,
    Lstm,
    MatMul,
    OneHot,
    Pad,
    Reduce,
    Reshape,
    ReshapeLike,
    Reverse,
    ReverseSequence,
    ScatterElements,
    ScatterNd,
    Select,
    SimpleRnn,
    Sizes,
    Slice,
    Softmax,
    SumTo,
    Take,
    TakeAlongAxis,
    Tile,
    TopK,
    Transpose,
    Unary,
    WindowPool,
);

/// The name and the attributes of an operator; `None` for one that files cannot hold: it has no row, or
/// an attribute is a number that JSON does not know.
pub fn write(op: &dyn Operator) -> Option<(&'static str, Value)> {
    let id = (op as &dyn std::any::Any).type_id();
    let row = TABLE.iter().find(|row| (row.id)() == id)?;
    let attributes = (row.write)(op)?;
    // JSON makes null of infinities.
    let again = (row.read)(attributes.clone()).ok()?;
    (format!("{again:?}") == format!("{op:?}")).then_some((row.name, attributes))
}

/// The operator of that name with these attributes.
///
/// # Errors
/// If there is none, or its attributes are others; the message says which.
pub fn read(name: &str, attributes: Value) -> Result<Arc<dyn Operator>, String> {
    let row = TABLE.iter().find(|row| row.name == name);
    let row = row.ok_or_else(|| format!("operator '{name}' is not known"))?;
    (row.read)(attributes).map_err(|error| format!("operator '{name}': {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_operator_once_in_order() {
        let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }

    #[test]
    fn every_operator_that_a_reader_adds_has_a_row() {
        let lines = include_str!("../../ops/mod.rs").lines();
        let modules = lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        // What holds Graphs, waits for a run or works on text; what training adds; what they share.
        let without = [
            ["body", "branch", "repeat", "scan", "late", "hash_buckets", "lookup"],
            ["text_vectorization", "loss", "update", "recurrent", "recurrent_steps", "window", ""],
        ];
        let missing: Vec<&str> = modules
            .filter(|module| !without.iter().flatten().any(|name| name == module))
            .filter(|module| {
                let path = format!("::ops::{module}::");
                !TABLE.iter().any(|row| (row.path)().contains(&path))
            })
            .collect();
        assert!(missing.is_empty(), "files cannot hold {missing:?}: add them to `table!`");
    }

    #[test]
    fn an_operator_comes_back_with_its_attributes() {
        let op = Conv {
            windows: vec![Window { stride: 2, size: 3, ..Window::UNIT }],
            groups: 4,
            transposed: false,
            activation: Activation::LeakyRelu { negative_slope: 0.1 },
        };
        let (name, attributes) = write(&op).expect("it has a row");
        let again = read(name, attributes).expect("its own form");
        assert_eq!(again.downcast_ref::<Conv>(), Some(&op));
    }

    #[test]
    fn what_json_cannot_say_is_not_written() {
        let activation = Activation::Elu { alpha: f32::INFINITY };
        assert!(write(&Activate { activation }).is_none());
        assert!(read("Nothing", Value::Null).is_err());
        assert!(read("Transpose", Value::Null).is_err());
    }
}
