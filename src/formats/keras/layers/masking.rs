//! `Masking`: masks steps whose features all have one value.

use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Tensor};
use crate::ops::{Binary, BinaryKind, Reduce, ReduceKind};

#[derive(Debug)]
struct Masking {
    mask_value: f32,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let mask_value = options.f64_or("mask_value", 0.0)? as f32;
    if mask_value.is_infinite() {
        return Err(options.unsupported("mask_value", "use a finite number"));
    }
    options.finish()?;
    Ok(Box::new(Masking { mask_value }))
}

impl KerasLayer for Masking {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let (dtype, rank) = (call.ty(x).dtype, call.ty(x).rank());
        let Some(first) = rank.checked_sub(1).filter(|&first| first > 0) else {
            return Err(call.refuse("its input has fewer than two dimensions"));
        };
        let float = call.float(x)?;
        let value = call.constant(Tensor::scalar(self.mask_value));
        let differs = call.add(Binary { kind: BinaryKind::NotEqual }, &[float, value])?;
        let any = |keepdims| Reduce { kind: ReduceKind::Any, first, count: 1, keepdims };
        let mask = call.add(any(false), &[differs])?;
        // A masked step holds one finite value throughout, so that times 0 it is 0.
        let kept = call.add(any(true), &[differs])?;
        let kept = call.cast(kept, if dtype == DType::Bool { DType::F32 } else { dtype })?;
        let x = if dtype == DType::Bool { float } else { x };
        let value = call.add(Binary { kind: BinaryKind::Multiply }, &[x, kept])?;
        Ok(vec![LoweredTensor { value, mask: Some(mask) }])
    }
}
