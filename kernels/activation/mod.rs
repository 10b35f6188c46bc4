//! stub
/// a
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// a
    Linear,
    /// a
    Tanh,
    /// a
    Sigmoid,
    /// a
    Relu,
    /// a
    Softmax,
}
impl Activation {
    /// a
    pub fn name(&self) -> &'static str {
        "linear"
    }
    /// a
    pub fn output_width(&self, width: usize) -> usize {
        width
    }
}
