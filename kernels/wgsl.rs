//! WGSL sources of the GPU kernels.
//!
//! Each constant is a complete module with the entry point `main`. All kernels use bind group 0:
//! binding 0 the arena (storage, read and write), 1 the weights (storage, read), 2 the call's
//! parameters (uniform), 3 the status words (storage, read and write); a kernel declares the ones
//! that it uses. The head of each file gives its mathematics, parameters and workgroup shape.

/// What goes before the kernels that operators bring along: bindings, and functions of words.
///
/// Such a kernel declares `struct Params`, whose first field is `row_width: u32`, the workgroups in
/// one row of the grid.
pub const PRELUDE: &str = include_str!("prelude.wgsl");

/// Rows of a table by integer ids, with a mask of the non-zero ids on request.
pub const EMBEDDING: &str = include_str!("embedding/embedding.wgsl");

/// Matrix product with bias and activation, for many rows.
pub const MATMUL: &str = concat!(
    include_str!("activation/functions.wgsl"),
    include_str!("matmul/bindings.wgsl"),
    include_str!("matmul/matmul.wgsl"),
);

/// Matrix product with bias and activation, for few rows.
pub const MATMUL_ROWS: &str = concat!(
    include_str!("activation/functions.wgsl"),
    include_str!("matmul/bindings.wgsl"),
    include_str!("matmul/matmul_rows.wgsl"),
);

/// LSTM over a whole sequence, both directions; goes before what keeps weights in registers, which
/// `recurrent/held.wgsl` names.
pub const LSTM: &str = concat!(
    include_str!("activation/functions.wgsl"),
    include_str!("recurrent/recurrent.wgsl"),
    include_str!("recurrent/held.wgsl"),
    include_str!("recurrent/steps.wgsl"),
    include_str!("lstm/lstm.wgsl"),
);

/// GRU over a whole sequence, both directions; goes before what [`LSTM`] goes before.
pub const GRU: &str = concat!(
    include_str!("activation/functions.wgsl"),
    include_str!("recurrent/recurrent.wgsl"),
    include_str!("recurrent/held.wgsl"),
    include_str!("recurrent/steps.wgsl"),
    include_str!("gru/gru.wgsl"),
);

/// An element-wise activation.
pub const ACTIVATION: &str =
    concat!(include_str!("activation/functions.wgsl"), include_str!("activation/activation.wgsl"),);

/// Functions of numbers for generated element-wise kernels; goes after [`PRELUDE`].
pub const ELEMENTWISE: &str =
    concat!(include_str!("activation/functions.wgsl"), include_str!("elementwise/functions.wgsl"),);

/// Strided copy of up to 8 dimensions, or a value around a tensor; goes after [`PRELUDE`].
pub const LAYOUT_COPY: &str = include_str!("layout/copy.wgsl");

/// Attention with a running softmax; goes after [`PRELUDE`] and `const ACC: u32`.
pub const ATTENTION: &str = include_str!("attention/attention.wgsl");

/// Convolution for groups of few filters; goes after [`PRELUDE`], [`ELEMENTWISE`] and the activation
/// `fn finish(x: f32) -> f32`.
pub const CONV_ELEMENTS: &str =
    concat!(include_str!("conv/conv.wgsl"), include_str!("conv/conv_elements.wgsl"));

/// Convolution for groups of many filters; goes after what [`CONV_ELEMENTS`] goes after.
pub const CONV_TILES: &str =
    concat!(include_str!("conv/conv.wgsl"), include_str!("conv/conv_tiles.wgsl"));

/// Maxima and means of windows; goes after [`PRELUDE`] and [`ELEMENTWISE`].
pub const WINDOW_POOL: &str = include_str!("window_pool/window_pool.wgsl");

/// Maxima and means over time; goes after [`PRELUDE`] and [`ELEMENTWISE`].
pub const GLOBAL_POOL: &str = include_str!("pool1d/global_pool.wgsl");

/// How kernels over lines share out their threads; goes after [`PRELUDE`].
pub const LINES: &str = include_str!("lines.wgsl");

/// A template: the fold of what the threads of a line hold; goes after [`LINES`].
pub const FOLD: &str = include_str!("fold.wgsl");

/// A step of a reduction; goes after the functions of a kind and type.
pub const REDUCE_STEP: &str = include_str!("reduce/reduce_step.wgsl");

/// A reduction of lines; goes after [`REDUCE_STEP`] and the fold `folded` by its `joined`.
pub const REDUCE: &str = include_str!("reduce/reduce.wgsl");

/// The better of two elements with their places; goes after [`LINES`].
pub const ARG_STEP: &str = include_str!("reduce/arg_step.wgsl");

/// Where the extrema of lines stand; goes after [`ARG_STEP`] and the fold `folded` by its `best`.
pub const ARG_REDUCE: &str = include_str!("reduce/arg.wgsl");

/// Running sums of lines; goes after [`LINES`] and the functions of a type.
pub const CUMSUM: &str = include_str!("cumsum/cumsum.wgsl");

/// Softmax of lines; goes after [`ELEMENTWISE`], [`LINES`] and the folds `largest_of` and `sum_of`.
pub const SOFTMAX_LINES: &str = include_str!("softmax/softmax.wgsl");

/// Layer normalization; goes after [`LINES`] and the fold `sum_of`.
pub const LAYER_NORM: &str = include_str!("layer_norm/layer_norm.wgsl");

/// Activations that work on rows; goes after [`ELEMENTWISE`].
pub const ACTIVATION_ROWS: &str = include_str!("activation/rows.wgsl");

/// Elements by their positions; goes after [`PRELUDE`].
pub const GATHER: &str = include_str!("gather/gather.wgsl");

/// Elements put in their places; goes after [`ELEMENTWISE`].
pub const SCATTER: &str = include_str!("gather/scatter.wgsl");

/// Sequences turned around; goes after [`PRELUDE`].
pub const REVERSE_SEQUENCE: &str = include_str!("reverse_sequence/reverse_sequence.wgsl");

/// The best elements of an axis; goes after [`PRELUDE`].
pub const TOP_K: &str = include_str!("top_k/top_k.wgsl");

/// Classes as rows with a single one; goes after [`PRELUDE`].
pub const ONE_HOT: &str = include_str!("one_hot/one_hot.wgsl");

/// How often classes occur; goes after [`PRELUDE`].
pub const BINCOUNT: &str = include_str!("bincount/bincount.wgsl");

/// Numbers at equal distances; goes after [`ELEMENTWISE`].
pub const ARANGE: &str = include_str!("arange/arange.wgsl");

/// One direction of a recurrent layer in every form, with activations of elements; goes after
/// [`PRELUDE`], [`ELEMENTWISE`] and the functions `gate`, `candidate` and `shown` of one f32.
pub const GENERAL_RECURRENT: &str = concat!(
    include_str!("recurrent/general.wgsl"),
    include_str!("recurrent/general_elements.wgsl")
);

/// The same with activations of rows; goes after what [`GENERAL_RECURRENT`] goes after.
pub const GENERAL_RECURRENT_ROWS: &str =
    concat!(include_str!("recurrent/general.wgsl"), include_str!("recurrent/general_rows.wgsl"));
