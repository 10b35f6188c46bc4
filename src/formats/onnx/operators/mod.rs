//! The operators: one file each (or a close family), and one row in [`OPERATORS`].

mod activation;
mod arithmetic;
mod batch_norm;
mod branch;
mod cast;
mod compose;
mod concat;
mod constant;
mod conv;
mod gather;
mod gemm;
mod identity;
mod layer_norm;
mod matmul;
mod pool;
mod recurrent;
mod repeat;
mod reshape;
mod scan;
mod shape;
mod softmax;
mod squeeze;
mod transpose;
mod windows;

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
    row("AveragePool", pool::average_pool),
    row("BatchNormalization", batch_norm::batch_normalization),
    row("Cast", cast::cast),
    row("Celu", activation::celu),
    row("Concat", concat::concat),
    row("Constant", constant::constant),
    row("Conv", conv::conv),
    row("ConvTranspose", conv::conv_transpose),
    row("Div", arithmetic::div),
    row("Elu", activation::elu),
    row("GRU", recurrent::gru),
    row("Gather", gather::gather),
    row("Gelu", activation::gelu),
    row("Gemm", gemm::gemm),
    row("GlobalAveragePool", pool::global_average_pool),
    row("GlobalLpPool", pool::global_lp_pool),
    row("GlobalMaxPool", pool::global_max_pool),
    row("GroupNormalization", layer_norm::group_normalization),
    row("HardSigmoid", activation::hard_sigmoid),
    row("HardSwish", activation::hard_swish),
    row("Hardmax", softmax::hardmax),
    row("Identity", identity::identity),
    row("If", branch::branch),
    row("InstanceNormalization", layer_norm::instance_normalization),
    row("LSTM", recurrent::lstm),
    row("LayerNormalization", layer_norm::layer_normalization),
    row("LeakyRelu", activation::leaky_relu),
    row("LogSoftmax", softmax::log_softmax),
    row("Loop", repeat::repeat),
    row("LpNormalization", batch_norm::lp_normalization),
    row("LpPool", pool::lp_pool),
    row("MatMul", matmul::matmul),
    row("MaxPool", pool::max_pool),
    row("MeanVarianceNormalization", batch_norm::mean_variance_normalization),
    row("Mish", activation::mish),
    row("Mul", arithmetic::mul),
    row("PRelu", activation::prelu),
    row("RMSNormalization", layer_norm::rms_normalization),
    row("RNN", recurrent::rnn),
    row("Relu", activation::relu),
    row("Reshape", reshape::reshape),
    row("Scan", scan::scan),
    row("Selu", activation::selu),
    row("Shape", shape::shape),
    row("Shrink", activation::shrink),
    row("Sigmoid", activation::sigmoid),
    row("SimplifiedLayerNormalization", layer_norm::simplified_layer_normalization),
    row("Softmax", softmax::softmax),
    row("Softplus", activation::softplus),
    row("Softsign", activation::softsign),
    row("Squeeze", squeeze::squeeze),
    row("Sub", arithmetic::sub),
    row("Swish", activation::swish),
    row("Tanh", activation::tanh),
    row("ThresholdedRelu", activation::thresholded_relu),
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
