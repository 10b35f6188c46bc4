//! `EinsumDense`: a product with a kernel by an equation of index letters, with bias and
//! activation.

use serde_json::Value;

use super::operators::Einsum;
use super::{Call, KerasLayer, LoweredTensor, VariableSpec, Weight, activation_of, glu, weight};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, TensorType, ValueId};
use crate::ops::{self, Activate, Activation, BinaryKind};

#[derive(Debug)]
struct EinsumDense {
    equation: Einsum,
    letters: Letters,
    /// The sizes of the result without the batch and what an ellipsis stands for.
    output_shape: Vec<Option<usize>>,
    bias_axes: Option<Vec<char>>,
    activation: Activation,
    kernel: Weight,
    bias: Weight,
}

/// The equation taken apart.
#[derive(Clone, Debug)]
struct Letters {
    input: Vec<char>,
    kernel: Vec<char>,
    output: Vec<char>,
    ellipsis: Option<Side>,
}

/// Where an ellipsis stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Letters {
    /// Reads `ab,bc->ac`, `...b,bc->...c` or `ab...,bc->ac...`, which are the forms that Keras takes.
    fn parse(equation: &str) -> Option<Letters> {
        let (left, output) = equation.split_once("->")?;
        let (input, kernel) = left.split_once(',')?;
        let (ellipsis, input, output) = match (input.strip_prefix("..."), input.strip_suffix("..."))
        {
            (Some(input), _) => (Some(Side::Left), input, output.strip_prefix("...")?),
            (_, Some(input)) => (Some(Side::Right), input, output.strip_suffix("...")?),
            _ => (None, input, output),
        };
        let letters = |text: &str| {
            let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
            all.then(|| text.chars().collect::<Vec<char>>())
        };
        let letters = Letters {
            input: letters(input)?,
            kernel: letters(kernel)?,
            output: letters(output)?,
            ellipsis,
        };
        // Without the batch an ellipsis on the right would leave no letter to sum over.
        (ellipsis != Some(Side::Right) || letters.input.len() > 1).then_some(letters)
    }

    /// How many axes the ellipsis stands for in an input of `rank`.
    fn elided(&self, rank: usize) -> Option<usize> {
        let elided = rank.checked_sub(self.input.len())?;
        (elided == 0 || self.ellipsis.is_some()).then_some(elided)
    }
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let equation = options.optional_str("equation")?.unwrap_or_default();
    let parts = Letters::parse(equation).zip(Einsum::of(equation));
    let (letters, equation) = parts.ok_or_else(|| {
        options.bad("equation", "[X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]...")
    })?;
    let output_shape = match options.value("output_shape") {
        Some(Value::Number(_)) => vec![Some(options.size("output_shape")?)],
        _ => options
            .optional_shape("output_shape")?
            .ok_or_else(|| options.bad("output_shape", "an integer or a list of such"))?,
    };
    let bias_axes: Option<Vec<char>> =
        options.optional_str("bias_axes")?.map(|axes| axes.chars().collect());
    let known = |axes: &Vec<char>| {
        !axes.is_empty() && axes.iter().all(|axis| letters.output.contains(axis))
    };
    if !bias_axes.as_ref().is_none_or(known) {
        return Err(options.bad("bias_axes", "letters of the equation's result"));
    }
    let layer = EinsumDense {
        equation,
        letters,
        output_shape,
        bias_axes,
        activation: activation_of(&options, "activation", "linear")?,
        kernel: weight(&options, "kernel", "glorot_uniform")?,
        bias: weight(&options, "bias", "zeros")?,
    };
    let hint = "merge the LoRA weights in Python and save the model again";
    options.only("lora_rank", &Value::Null, hint)?;
    let hint = "save the model before it is quantized";
    options.only("gptq_unpacked_column_size", &Value::Null, hint)?;
    options.ignore(&["lora_alpha"]);
    options.finish()?;
    Ok(Box::new(layer))
}

impl EinsumDense {
    /// The size of each letter of the result, as `keras.src.layers.core.einsum_dense` counts them.
    fn output_size(&self, ty: &TensorType, elided: usize, at: usize) -> Option<usize> {
        // The batch stands before the sizes of the option, and under an ellipsis on the left.
        let before = match self.letters.ellipsis {
            Some(Side::Left) if elided > 0 => 0,
            _ => 1,
        };
        match at.checked_sub(before) {
            Some(at) => self.output_shape.get(at).copied().flatten(),
            None => ty.dims.first().and_then(Dim::known),
        }
    }

    fn elided(&self, call: &Call<'_>, ty: &TensorType) -> Result<usize, FormatError> {
        let letters = &self.letters;
        let elided = letters.elided(ty.rank()).ok_or_else(|| {
            let expected = format!("{} axes, as in the equation", letters.input.len());
            call.bad("inputs", ty, expected)
        })?;
        let batch = match letters.ellipsis {
            Some(Side::Left) if elided > 0 => 0,
            _ => 1,
        };
        match self.output_shape.len() + batch == letters.output.len() {
            true => Ok(elided),
            false => {
                let expected = format!("{} sizes", letters.output.len() - batch);
                let size = |size: &Option<usize>| size.map_or("None".to_owned(), |n| n.to_string());
                let found: Vec<String> = self.output_shape.iter().map(size).collect();
                Err(call.bad("output_shape", format!("[{}]", found.join(", ")), expected))
            }
        }
    }

    fn kernel_shape(&self, call: &Call<'_>, ty: &TensorType) -> Result<Vec<usize>, FormatError> {
        let elided = self.elided(call, ty)?;
        let Letters { input, kernel, output, ellipsis } = &self.letters;
        let before = if *ellipsis == Some(Side::Left) { elided } else { 0 };
        let size = |letter: &char| {
            let of_input = input.iter().position(|other| other == letter);
            let of_input = of_input.and_then(|at| ty.dims.get(before + at)).and_then(Dim::known);
            match output.iter().position(|other| other == letter) {
                Some(at) => self.output_size(ty, elided, at).or(of_input),
                None => of_input,
            }
        };
        let unknown = |letter: &char| {
            call.refuse(format!("the size of '{letter}' of the kernel is not known for {ty}"))
        };
        kernel.iter().map(|letter| size(letter).ok_or_else(|| unknown(letter))).collect()
    }

    /// The bias has the axes of the result from the first of its own on, 1 in all but its own.
    fn bias_shape(&self, call: &Call<'_>, ty: &TensorType) -> Result<Vec<usize>, FormatError> {
        let elided = self.elided(call, ty)?;
        let Some(axes) = &self.bias_axes else { return Ok(Vec::new()) };
        let output = &self.letters.output;
        let first = output.iter().position(|letter| axes.contains(letter)).unwrap_or(0);
        let mut shape = Vec::new();
        for (at, letter) in output.iter().enumerate().skip(first) {
            shape.push(match axes.contains(letter) {
                true => self.output_size(ty, elided, at).ok_or_else(|| {
                    call.refuse(format!("the size of '{letter}' of the bias is not known"))
                })?,
                false => 1,
            });
        }
        if self.letters.ellipsis != Some(Side::Left) {
            shape.extend(vec![1; elided]);
        }
        Ok(shape)
    }

    /// How many axes a fully connected layer would sum over, where the equation is one: the input's
    /// last letters are the kernel's first, and the bias has all of the others.
    fn contracted(&self) -> Option<usize> {
        let Letters { input, kernel, output, ellipsis } = &self.letters;
        let summed = kernel.iter().take_while(|letter| input.contains(letter)).count();
        let (ins, outs) = kernel.split_at(summed);
        let rows = input.strip_suffix(ins)?;
        let distinct = outs.iter().all(|letter| !input.contains(letter));
        let same = [rows, outs].concat() == *output;
        let bias = self.bias_axes.as_ref().is_none_or(|axes| {
            outs.iter().all(|letter| axes.contains(letter))
                && rows.iter().all(|letter| !axes.contains(letter))
        });
        let plain = *ellipsis != Some(Side::Right) && summed > 0 && !outs.is_empty();
        (plain && distinct && same && bias).then_some(summed)
    }

    /// `x` times the kernel, with bias and activation, which must not be GLU.
    fn product(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        activation: Activation,
    ) -> Result<ValueId, FormatError> {
        let kernel = call.variable(0)?;
        let bias = match self.bias_axes {
            Some(_) => Some(call.variable(1)?),
            None => None,
        };
        if let Some(contract) = self.contracted() {
            let inputs = vec![Some(x), Some(kernel), bias];
            return Ok(call.add_node(ops::Dense { contract, activation }, inputs)?[0]);
        }
        let mut y = self.equation.product(call, &[x, kernel])?;
        if let Some(bias) = bias {
            y = call.binary(BinaryKind::Add, y, bias)?;
        }
        match activation {
            Activation::Linear => Ok(y),
            activation => call.add(Activate { activation }, &[y]),
        }
    }
}

impl KerasLayer for EinsumDense {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let ty =
            call.peek(0, "inputs").ok_or_else(|| call.refuse("argument 'inputs' is missing"))?;
        let kernel = self.kernel_shape(call, ty)?;
        let mut variables = vec![VariableSpec::new(0, "kernel", kernel, &self.kernel)];
        if self.bias_axes.is_some() {
            let bias = self.bias_shape(call, ty)?;
            variables.push(VariableSpec::new(1, "bias", bias, &self.bias));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        let ty = call.ty(x).clone();
        self.elided(call, &ty)?;
        let value = match self.activation {
            Activation::Glu => {
                let y = self.product(call, x, Activation::Linear)?;
                glu(call, y)?
            }
            activation => self.product(call, x, activation)?,
        };
        // It does not support masking in Keras.
        Ok(vec![LoweredTensor::plain(value)])
    }
}
