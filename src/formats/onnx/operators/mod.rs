//! The operators: one file each (or a close family), and one row in [`OPERATORS`].

mod activation;
mod arithmetic;
mod branch;
mod cast;
mod concat;
mod constant;
mod gather;
mod gemm;
mod identity;
mod matmul;
mod repeat;
mod reshape;
mod scan;
mod shape;
mod squeeze;
mod transpose;

use super::call::{Call, Outputs};

/// How one operator is read.
#[derive(Debug)]
pub struct Row {
    /// The domain: empty for ONNX's own operators.
    pub domain: &'static str,
    /// The operator.
    pub op_type: &'static str,
    /// Adds it to the Graph.
    pub lower: fn(&mut Call<'_>) -> Outputs,
    /// Whether equal inputs give equal outputs, so that a node of constants is a constant: all but
    /// those that draw random numbers.
    pub folds: bool,
}

const fn row(op_type: &'static str, lower: fn(&mut Call<'_>) -> Outputs) -> Row {
    Row { domain: "", op_type, lower, folds: true }
}

/// Every operator that is read, sorted by domain and name. [`row`] makes one of ONNX's own.
pub static OPERATORS: &[Row] = &[
    row("Add", arithmetic::add),
    row("Cast", cast::cast),
    row("Concat", concat::concat),
    row("Constant", constant::constant),
    row("Div", arithmetic::div),
    row("Gather", gather::gather),
    row("Gemm", gemm::gemm),
    row("Identity", identity::identity),
    row("If", branch::branch),
    row("Loop", repeat::repeat),
    row("MatMul", matmul::matmul),
    row("Mul", arithmetic::mul),
    row("Relu", activation::relu),
    row("Reshape", reshape::reshape),
    row("Scan", scan::scan),
    row("Shape", shape::shape),
    row("Sigmoid", activation::sigmoid),
    row("Squeeze", squeeze::squeeze),
    row("Sub", arithmetic::sub),
    row("Tanh", activation::tanh),
    row("Transpose", transpose::transpose),
    row("Unsqueeze", squeeze::unsqueeze),
];

/// The row of an operator.
pub fn find(domain: &str, op_type: &str) -> Option<&'static Row> {
    let found = OPERATORS.binary_search_by(|row| (row.domain, row.op_type).cmp(&(domain, op_type)));
    found.ok().and_then(|index| OPERATORS.get(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_operator_once() {
        let names: Vec<_> = OPERATORS.iter().map(|row| (row.domain, row.op_type)).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
