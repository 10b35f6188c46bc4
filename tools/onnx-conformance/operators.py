"""The operators that must pass ONNX's own tests: those that seqfuse reads natively.

A node test is in the set "must pass" when every operator in it, in subgraphs and in the model's own
functions too, stands here and every input and output of its graph is float32, integer, bool
or string. Everything else passes or is refused by name; nothing gives a wrong answer.
"""

RECURRENT = {"LSTM", "GRU", "RNN"}
ATTENTION = {"Attention", "RotaryEmbedding"}
NORMALIZATION = {
    "LayerNormalization",
    "RMSNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "BatchNormalization",
}
SOFTMAX = {"Softmax", "LogSoftmax", "Hardmax"}
ACTIVATIONS = {
    "Gelu",
    "Relu",
    "LeakyRelu",
    "PRelu",
    "ThresholdedRelu",
    "Elu",
    "Celu",
    "Selu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Mish",
    "Tanh",
    "Softplus",
    "Softsign",
    "Shrink",
}
# Convolutions count in one and two spatial dimensions; `make.py` looks at the kernel's rank.
CONVOLUTIONS = {"Conv", "ConvTranspose", "ConvInteger"}
POOLS = {
    "AveragePool",
    "MaxPool",
    "LpPool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
}
GATHERING = {"Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"}
SHAPES = {
    "Reshape",
    "Transpose",
    "Shape",
    "Size",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "ConstantOfShape",
    "Slice",
    "Pad",
    "Concat",
    "Split",
    "Expand",
    "Tile",
    "Trilu",
    "ReverseSequence",
    "Identity",
}
PRODUCTS = {"Einsum", "MatMul", "Gemm"}
SELECTION = {"TopK", "CumSum", "OneHot", "Where", "Range", "NonZero"}
REDUCTIONS = {
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
    "ArgMax",
    "ArgMin",
}
ARITHMETIC = {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Pow",
    "Neg",
    "Abs",
    "Sqrt",
    "Reciprocal",
    "Exp",
    "Log",
    "Erf",
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "Min",
    "Max",
    "Sum",
    "Mean",
    "Clip",
    "Sin",
    "Cos",
    "Tan",
    "Asin",
    "Acos",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Acosh",
    "Atanh",
}
COMPARISON_AND_LOGIC = {
    "Equal",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
    "And",
    "Or",
    "Xor",
    "Not",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitwiseNot",
    "BitShift",
    "IsNaN",
    "IsInf",
}
CASTS = {"Cast", "CastLike"}
CONTROL = {"If", "Loop", "Scan"}
OTHERS = {"Dropout", "Constant"}
QUANTIZED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
}
MICROSOFT = {"com.microsoft:MultiHeadAttention", "com.microsoft:DynamicQuantizeLSTM"}

MUST_PASS = frozenset().union(
    RECURRENT,
    ATTENTION,
    NORMALIZATION,
    SOFTMAX,
    ACTIVATIONS,
    CONVOLUTIONS,
    POOLS,
    GATHERING,
    SHAPES,
    PRODUCTS,
    SELECTION,
    REDUCTIONS,
    ARITHMETIC,
    COMPARISON_AND_LOGIC,
    CASTS,
    CONTROL,
    OTHERS,
    QUANTIZED,
    MICROSOFT,
)

# Their outputs are drawn at random: a test can hold their shapes and types alone.
# Dropout belongs to them only while training; `make.py` looks.
RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
