//! `Reshape`: other sizes behind the batch.

use super::axes::quotient;
use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::Dim;
use crate::ops;

#[derive(Debug)]
struct Reshape {
    /// `None` for the one that follows from the others.
    sizes: Vec<Option<usize>>,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let expected = "sizes, and at most one -1";
    let Some(sizes) = options.optional_i64s("target_shape")? else {
        return Err(options.bad("target_shape", expected));
    };
    let open = sizes.iter().filter(|&&size| size == -1).count();
    if open > 1 || sizes.iter().any(|&size| size < -1) {
        return Err(options.bad("target_shape", expected));
    }
    options.finish()?;
    let sizes = sizes.into_iter().map(|size| usize::try_from(size).ok()).collect();
    Ok(Box::new(Reshape { sizes }))
}

impl KerasLayer for Reshape {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let dims = call.ty(x).dims.clone();
        let Some((batch, rest)) = dims.split_first() else {
            return Err(call.refuse("its input has no batch axis"));
        };
        let known = self.sizes.iter().flatten();
        let divisor = known.fold(1usize, |product, &size| product.saturating_mul(size));
        let open = quotient(rest, divisor);
        // A size that follows from known ones holds without a single row too.
        let inferred = self.sizes.iter().position(Option::is_none).map(|axis| axis + 1);
        let inferred = inferred.filter(|_| open.known().is_none());
        let sizes = self.sizes.iter().map(|size| size.map_or_else(|| open.clone(), Dim::Known));
        let dims = std::iter::once(batch.clone()).chain(sizes).collect();
        let value = call.add(ops::Reshape { dims, inferred }, &[x])?;
        Ok(vec![LoweredTensor::plain(value)])
    }
}
