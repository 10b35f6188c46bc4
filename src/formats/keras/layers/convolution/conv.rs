//! `Conv1D` and `Conv2D`.

use super::*;
use crate::ops;

#[derive(Debug)]
struct Conv {
    shared: Shared,
    filters: usize,
    groups: usize,
    kernel: Weight,
}

pub(in super::super) fn parse_1d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, 1)
}

pub(in super::super) fn parse_2d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, 2)
}

fn parse(config: &LayerConfig, rank: usize) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let layer = Conv {
        shared: Shared::parse(&options, rank, rank == 1)?,
        filters: width(&options, "filters")?,
        groups: options.size_1d_or("groups", 1)?,
        kernel: weight(&options, "kernel", "glorot_uniform")?,
    };
    if !layer.filters.is_multiple_of(layer.groups) {
        return Err(options.bad("groups", format!("a divisor of filters = {}", layer.filters)));
    }
    layer.shared.refuse_stride_and_dilation(&options)?;
    let hint = "merge the LoRA weights in Python and save the model again";
    options.only("lora_rank", &serde_json::Value::Null, hint)?;
    options.ignore(&["lora_alpha"]);
    options.finish()?;
    Ok(Box::new(layer))
}

impl KerasLayer for Conv {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let features = self.shared.features(call)?;
        if features % self.groups != 0 {
            let problem =
                format!("its {features} input features do not fall in {} groups", self.groups);
            return Err(call.refuse(problem));
        }
        let shape = self.shared.kernel_shape([features / self.groups, self.filters]);
        let kernel = VariableSpec::new(0, "kernel", shape, &self.kernel);
        Ok(self.shared.with_bias(vec![kernel], self.filters))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = self.shared.input(call)?;
        let (kernel, bias) = (call.variable(0)?, self.shared.bias(call, 1)?);
        let conv = ops::Conv {
            windows: self.shared.windows(),
            groups: self.groups,
            transposed: false,
            activation: self.shared.inside(),
        };
        let y = call.add_node(conv, vec![Some(x), Some(kernel), bias])?[0];
        self.shared.output(call, y)
    }
}
