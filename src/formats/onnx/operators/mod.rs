//! The operators: one file each (or a close family), and one row in [`OPERATORS`].

mod activation;
mod arg_reduce;
mod arithmetic;
mod attention;
mod batch_norm;
mod branch;
mod cast;
mod comparison;
mod compose;
mod concat;
mod constant;
mod conv;
mod cumsum;
mod dropout;
mod einsum;
mod expand;
mod flatten;
mod gather;
mod gemm;
mod identity;
mod layer_norm;
mod logic;
mod matmul;
mod microsoft;
mod non_zero;
mod numeric;
mod one_hot;
mod pad;
mod part;
mod pool;
mod product;
mod quantize;
mod range;
mod recurrent;
mod reduce;
mod repeat;
mod reshape;
mod reverse_sequence;
mod scan;
mod scatter;
mod select;
mod sequence;
mod shape;
mod slice;
mod softmax;
mod split;
mod squeeze;
mod top_k;
mod transpose;
mod trilu;
mod unary;
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

const fn microsoft(op_type: &'static str, lower: fn(&mut Call<'_>) -> Outputs) -> Row {
    Row { domain: "com.microsoft", op_type, lower, folds: true }
}

/// Every operator that is read, sorted by domain and name. [`row`] makes one of ONNX's own,
/// [`microsoft`] one of ONNX Runtime's.
pub static OPERATORS: &[Row] = &[
    row("Abs", unary::abs),
    row("Acos", unary::acos),
    row("Acosh", unary::acosh),
    row("Add", arithmetic::add),
    row("And", logic::and),
    row("ArgMax", arg_reduce::arg_max),
    row("ArgMin", arg_reduce::arg_min),
    row("Asin", unary::asin),
    row("Asinh", unary::asinh),
    row("Atan", unary::atan),
    row("Atanh", unary::atanh),
    row("Attention", attention::attention),
    row("AveragePool", pool::average_pool),
    row("BatchNormalization", batch_norm::batch_normalization),
    row("BitShift", logic::bit_shift),
    row("BitwiseAnd", logic::bitwise_and),
    row("BitwiseNot", logic::bitwise_not),
    row("BitwiseOr", logic::bitwise_or),
    row("BitwiseXor", logic::bitwise_xor),
    row("Cast", cast::cast),
    row("CastLike", cast::cast_like),
    row("Ceil", unary::ceil),
    row("Celu", activation::celu),
    row("Clip", select::clip),
    row("Compress", non_zero::compress),
    row("Concat", concat::concat),
    row("ConcatFromSequence", sequence::concat_from_sequence),
    row("Constant", constant::constant),
    row("ConstantOfShape", constant::constant_of_shape),
    row("Conv", conv::conv),
    row("ConvInteger", quantize::conv_integer),
    row("ConvTranspose", conv::conv_transpose),
    row("Cos", unary::cos),
    row("Cosh", unary::cosh),
    row("CumSum", cumsum::cumsum),
    row("DequantizeLinear", quantize::dequantize_linear),
    row("Div", arithmetic::div),
    row("Dropout", dropout::dropout),
    row("DynamicQuantizeLinear", quantize::dynamic_quantize_linear),
    row("Einsum", einsum::einsum),
    row("Elu", activation::elu),
    row("Equal", comparison::equal),
    row("Erf", unary::erf),
    row("Exp", unary::exp),
    row("Expand", expand::expand),
    row("EyeLike", trilu::eye_like),
    row("Flatten", flatten::flatten),
    row("Floor", unary::floor),
    row("GRU", recurrent::gru),
    row("Gather", gather::gather),
    row("GatherElements", gather::gather_elements),
    row("GatherND", gather::gather_nd),
    row("Gelu", activation::gelu),
    row("Gemm", gemm::gemm),
    row("GlobalAveragePool", pool::global_average_pool),
    row("GlobalLpPool", pool::global_lp_pool),
    row("GlobalMaxPool", pool::global_max_pool),
    row("Greater", comparison::greater),
    row("GreaterOrEqual", comparison::greater_or_equal),
    row("GroupNormalization", layer_norm::group_normalization),
    row("HardSigmoid", activation::hard_sigmoid),
    row("HardSwish", activation::hard_swish),
    row("Hardmax", softmax::hardmax),
    row("Identity", identity::identity),
    row("If", branch::branch),
    row("InstanceNormalization", layer_norm::instance_normalization),
    row("IsInf", unary::is_inf),
    row("IsNaN", unary::is_nan),
    row("LSTM", recurrent::lstm),
    row("LayerNormalization", layer_norm::layer_normalization),
    row("LeakyRelu", activation::leaky_relu),
    row("Less", comparison::less),
    row("LessOrEqual", comparison::less_or_equal),
    row("Log", unary::log),
    row("LogSoftmax", softmax::log_softmax),
    row("Loop", repeat::repeat),
    row("LpNormalization", batch_norm::lp_normalization),
    row("LpPool", pool::lp_pool),
    row("MatMul", matmul::matmul),
    row("MatMulInteger", quantize::mat_mul_integer),
    row("Max", arithmetic::max),
    row("MaxPool", pool::max_pool),
    row("Mean", arithmetic::mean),
    row("MeanVarianceNormalization", batch_norm::mean_variance_normalization),
    row("Min", arithmetic::min),
    row("Mish", activation::mish),
    row("Mod", arithmetic::modulo),
    row("Mul", arithmetic::mul),
    row("Neg", unary::neg),
    row("NonZero", non_zero::non_zero),
    row("Not", logic::not),
    row("OneHot", one_hot::one_hot),
    row("Or", logic::or),
    row("PRelu", activation::prelu),
    row("Pad", pad::pad),
    row("Pow", arithmetic::pow),
    row("QLinearMatMul", quantize::q_linear_mat_mul),
    row("QuantizeLinear", quantize::quantize_linear),
    row("RMSNormalization", layer_norm::rms_normalization),
    row("RNN", recurrent::rnn),
    row("Range", range::range),
    row("Reciprocal", unary::reciprocal),
    row("ReduceL1", reduce::reduce_l1),
    row("ReduceL2", reduce::reduce_l2),
    row("ReduceLogSum", reduce::reduce_log_sum),
    row("ReduceLogSumExp", reduce::reduce_log_sum_exp),
    row("ReduceMax", reduce::reduce_max),
    row("ReduceMean", reduce::reduce_mean),
    row("ReduceMin", reduce::reduce_min),
    row("ReduceProd", reduce::reduce_prod),
    row("ReduceSum", reduce::reduce_sum),
    row("ReduceSumSquare", reduce::reduce_sum_square),
    row("Relu", activation::relu),
    row("Reshape", reshape::reshape),
    row("ReverseSequence", reverse_sequence::reverse_sequence),
    row("RotaryEmbedding", attention::rotary_embedding),
    row("Round", unary::round),
    row("Scan", scan::scan),
    row("Scatter", scatter::scatter_elements),
    row("ScatterElements", scatter::scatter_elements),
    row("ScatterND", scatter::scatter_nd),
    row("Selu", activation::selu),
    row("Shape", shape::shape),
    row("Shrink", activation::shrink),
    row("Sigmoid", activation::sigmoid),
    row("Sign", unary::sign),
    row("SimplifiedLayerNormalization", layer_norm::simplified_layer_normalization),
    row("Sin", unary::sin),
    row("Sinh", unary::sinh),
    row("Size", shape::size),
    row("Slice", slice::slice),
    row("Softmax", softmax::softmax),
    row("Softplus", activation::softplus),
    row("Softsign", activation::softsign),
    row("Split", split::split),
    row("Sqrt", unary::sqrt),
    row("Squeeze", squeeze::squeeze),
    row("Sub", arithmetic::sub),
    row("Sum", arithmetic::sum),
    row("Swish", activation::swish),
    row("Tan", unary::tan),
    row("Tanh", activation::tanh),
    row("ThresholdedRelu", activation::thresholded_relu),
    row("Tile", expand::tile),
    row("TopK", top_k::top_k),
    row("Transpose", transpose::transpose),
    row("Trilu", trilu::trilu),
    row("Unique", non_zero::unique),
    row("Unsqueeze", squeeze::unsqueeze),
    row("Where", select::choose),
    row("Xor", logic::xor),
    microsoft("Attention", attention::merged_attention),
    microsoft("BiasGelu", microsoft::bias_gelu),
    microsoft("DynamicQuantizeLSTM", recurrent::dynamic_quantize_lstm),
    microsoft("DynamicQuantizeMatMul", quantize::dynamic_quantize_mat_mul),
    microsoft("EmbedLayerNormalization", microsoft::embed_layer_normalization),
    microsoft("FastGelu", microsoft::fast_gelu),
    microsoft("FusedGemm", microsoft::fused_gemm),
    microsoft("FusedMatMul", microsoft::fused_mat_mul),
    microsoft("Gelu", activation::gelu),
    microsoft("GroupQueryAttention", attention::group_query_attention),
    microsoft("MatMulIntegerToFloat", quantize::mat_mul_integer_to_float),
    microsoft("MultiHeadAttention", attention::multi_head_attention),
    microsoft("QAttention", attention::q_attention),
    microsoft("QuickGelu", activation::quick_gelu),
    microsoft("RotaryEmbedding", attention::microsoft_rotary_embedding),
    microsoft("SkipLayerNormalization", microsoft::skip_layer_normalization),
    microsoft("SkipSimplifiedLayerNormalization", microsoft::skip_simplified_layer_normalization),
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
