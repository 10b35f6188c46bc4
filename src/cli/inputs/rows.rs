//! Rows of values, read one after another, put together as an input's tensor.

use crate::cli::error::CliError;
use crate::graph::{DType, Data, Dim, Graph, Input, Tensor};

/// The rows of one input.
pub(super) struct Column<'a> {
    input: &'a Input,
    dims: &'a [Dim],
    data: Data,
    rows: usize,
    /// The shape of a row, which the first one decides.
    shape: Option<Vec<usize>>,
}

/// A value as a file spells it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl<'a> Column<'a> {
    pub fn new(graph: &'a Graph, input: &'a Input) -> Column<'a> {
        let ty = graph.ty(input.value);
        Column {
            input,
            dims: &ty.dims,
            data: Tensor::zeros(ty.dtype, [0]).into_data(),
            rows: 0,
            shape: None,
        }
    }

    pub fn name(&self) -> &'a str {
        &self.input.name
    }

    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Adds one value of the row that is being read.
    pub fn push(&mut self, cell: Cell<'_>) -> Result<(), CliError> {
        if let (Data::Str(texts), Cell::Text(text)) = (&mut self.data, cell) {
            texts.push(text.to_owned());
            return Ok(());
        }
        if push(&mut self.data, cell).is_some() {
            return Ok(());
        }
        let found = match cell {
            Cell::Text(text) => format!("{text:?}"),
            Cell::Int(x) => x.to_string(),
            Cell::Float(x) => x.to_string(),
            Cell::Bool(x) => x.to_string(),
        };
        let expected = match self.data.dtype() {
            DType::Bool => "true or false".to_owned(),
            DType::Str => "a text".to_owned(),
            DType::I64 => "an integer".to_owned(),
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => {
                format!("an unsigned integer of {} bits", 8 * self.data.dtype().size())
            }
            dtype if dtype.is_int() => format!("an integer of {} bits", 8 * dtype.size()),
            _ => "a number".to_owned(),
        };
        let found = super::super::show::cut(&found, 40);
        Err(CliError::failed(format!("input `{}` takes {expected}, found {found}", self.name())))
    }

    /// Ends a row whose values have the shape `shape`, or `None` where they are a flat list.
    pub fn end_row(&mut self, count: usize, shape: Option<&[usize]>) -> Result<(), CliError> {
        let shape = match shape {
            Some(shape) => shape.to_vec(),
            None => self.row_shape(count)?,
        };
        match &self.shape {
            None => self.shape = Some(shape),
            Some(first) if *first == shape => {}
            Some(first) => {
                return Err(CliError::failed(format!(
                    "input `{}` has shape {shape:?} here and {first:?} in the first row; \
                     pad the rows to one shape",
                    self.name()
                )));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The shape that a flat list of `count` values has in the model: one size may be open.
    fn row_shape(&self, count: usize) -> Result<Vec<usize>, CliError> {
        let row = self.dims.get(1..).unwrap_or_default();
        let known = row.iter().filter_map(Dim::known).product::<usize>();
        let open = row.iter().filter(|dim| dim.known().is_none()).count();
        let fits = match open {
            0 => count == known,
            1 => known > 0 && count.is_multiple_of(known),
            _ => false,
        };
        if !fits {
            let row: Vec<String> = row.iter().map(Dim::to_string).collect();
            let row = row.join(", ");
            return Err(CliError::failed(match open {
                0 | 1 => format!(
                    "input `{}` takes rows of shape [{row}], found {count} values",
                    self.name()
                ),
                _ => format!(
                    "input `{}` takes rows of shape [{row}], which a list of values does not \
                     tell; give an .npz or .jsonl file",
                    self.name()
                ),
            }));
        }
        let rest = count.checked_div(known).unwrap_or(0);
        Ok(row.iter().map(|dim| dim.known().unwrap_or(rest)).collect())
    }

    /// The tensor of all rows.
    pub fn finish(self) -> Result<(String, Tensor), CliError> {
        let mut shape = vec![self.rows];
        shape.extend(self.shape.unwrap_or_default());
        Ok((self.input.name.clone(), Tensor::new(shape, self.data)?))
    }
}

/// Adds a number or truth value, if it is one of the type.
fn push(data: &mut Data, cell: Cell<'_>) -> Option<()> {
    let float = match cell {
        Cell::Float(x) => Some(x),
        Cell::Int(x) => Some(x as f64),
        Cell::Bool(x) => Some(f64::from(u8::from(x))),
        Cell::Text(_) => None,
    };
    let int = if let Cell::Int(x) = cell { Some(x) } else { None };
    match data {
        Data::F32(v) => v.push(float? as f32),
        Data::F64(v) => v.push(float?),
        Data::F16(v) => v.push(half::f16::from_f64(float?)),
        Data::I8(v) => v.push(int?.try_into().ok()?),
        Data::I16(v) => v.push(int?.try_into().ok()?),
        Data::I32(v) => v.push(int?.try_into().ok()?),
        Data::I64(v) => v.push(int?),
        Data::U8(v) => v.push(int?.try_into().ok()?),
        Data::U16(v) => v.push(int?.try_into().ok()?),
        Data::U32(v) => v.push(int?.try_into().ok()?),
        Data::U64(v) => v.push(int?.try_into().ok()?),
        Data::Bool(v) => v.push(match cell {
            Cell::Bool(x) => x,
            Cell::Int(x @ (0 | 1)) => x == 1,
            _ => return None,
        }),
        Data::Str(_) => return None,
    }
    Some(())
}
