//! Conversions between element types, on the host: whole tensors, numbers and texts.

use half::f16;

use super::{DType, Data, Held, Tensor, each_data};

/// A number of any element type, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A floating point number.
    Float(f64),
    /// An integer or truth value.
    Int(i128),
}

impl Number {
    /// The nearest 64-bit floating point number.
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Float(x) => x,
            Number::Int(x) => x as f64,
        }
    }
}

/// A text that is not a number, where one was to be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} at position {position} is no {expected}")]
pub struct NotANumber {
    /// The text.
    pub text: String,
    /// Where it stands in row-major order.
    pub position: usize,
    /// The type that it was to have.
    pub expected: DType,
}

/// An element that is a number or a truth value.
pub(crate) trait Element: Copy {
    /// The number, exactly.
    fn number(self) -> Number;
    /// The number as this type: floats are rounded to nearest; a float becomes an integer towards
    /// zero and stops at the ends of its range, NaN gives 0; integers keep their lowest bits.
    fn from_number(number: Number) -> Self;
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Element for $t {
            fn number(self) -> Number {
                Number::Int(self.into())
            }
            fn from_number(number: Number) -> $t {
                match number {
                    Number::Float(x) => x as $t,
                    Number::Int(x) => x as $t,
                }
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl Element for f32 {
    fn number(self) -> Number {
        Number::Float(self.into())
    }
    fn from_number(number: Number) -> f32 {
        match number {
            Number::Float(x) => x as f32,
            Number::Int(x) => x as f32,
        }
    }
}

impl Element for f64 {
    fn number(self) -> Number {
        Number::Float(self)
    }
    fn from_number(number: Number) -> f64 {
        number.to_f64()
    }
}

impl Element for f16 {
    fn number(self) -> Number {
        Number::Float(self.into())
    }
    fn from_number(number: Number) -> f16 {
        // An integer that f64 does not hold lies far beyond the largest f16.
        f16::from_f64(number.to_f64())
    }
}

impl Element for bool {
    fn number(self) -> Number {
        Number::Int(self.into())
    }
    fn from_number(number: Number) -> bool {
        match number {
            Number::Float(x) => x != 0.0,
            Number::Int(x) => x != 0,
        }
    }
}

/// `$body` with `$elements` bound to the vector of numbers in `$data`, else `$text` with `$texts`.
macro_rules! each_number {
    ($data:expr, $elements:pat => $body:expr, $texts:pat => $text:expr) => {
        match $data {
            Data::F32($elements) => $body,
            Data::F64($elements) => $body,
            Data::F16($elements) => $body,
            Data::I8($elements) => $body,
            Data::I16($elements) => $body,
            Data::I32($elements) => $body,
            Data::I64($elements) => $body,
            Data::U8($elements) => $body,
            Data::U16($elements) => $body,
            Data::U32($elements) => $body,
            Data::U64($elements) => $body,
            Data::Bool($elements) => $body,
            Data::Str($texts) => $text,
        }
    };
}

impl Data {
    /// Element `index` as a number; `None` for text, or beyond the end.
    pub fn number(&self, index: usize) -> Option<Number> {
        each_number!(self, v => v.get(index).map(|x| x.number()), _ => None)
    }

    /// The elements as numbers of type `f32`, rounded to nearest; `None` for text.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match self {
            Data::F32(v) => Some(v.clone()),
            _ => self.convert(),
        }
    }

    /// The elements as numbers of type `f64`, rounded to nearest; `None` for text.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        self.convert()
    }

    /// The elements as integers; `None` where one is no integer of 64 bits, or for text.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        let whole = |number: Number| match number {
            Number::Int(x) => i64::try_from(x).ok(),
            Number::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e15 => Some(x as i64),
            Number::Float(_) => None,
        };
        each_number!(self, v => v.iter().map(|x| whole(x.number())).collect(), _ => None)
    }

    fn convert<T: Element>(&self) -> Option<Vec<T>> {
        each_number!(
            self,
            v => Some(v.iter().map(|x| T::from_number(x.number())).collect()),
            _ => None
        )
    }

    /// The elements in another type, by the rules of [`Cast`](crate::ops::Cast); the same type is
    /// copied. A float becomes text in the shortest form that reads back to the same value, as
    /// Python writes it.
    ///
    /// # Errors
    /// If a text is no number of type `to`.
    pub fn cast(&self, to: DType) -> Result<Data, NotANumber> {
        if let Data::Str(texts) = self {
            return parse(texts, to);
        }
        let mut data = Data::none(to);
        each_number!(
            &mut data,
            v => *v = self.convert().unwrap_or_default(),
            v => *v = (0..self.len()).map(|index| self.format(index)).collect()
        );
        Ok(data)
    }

    /// Element `index` as text.
    pub fn format(&self, index: usize) -> String {
        let text = match self {
            Data::F32(v) => v.get(index).map(|&x| float_text(&format!("{x:e}"))),
            Data::F64(v) => v.get(index).map(|&x| float_text(&format!("{x:e}"))),
            Data::F16(v) => v.get(index).map(|&x| float_text(&shortest_half(x))),
            Data::Bool(v) => v.get(index).map(|&x| if x { "True" } else { "False" }.to_owned()),
            other => each_data!(other, v => v.get(index).map(|x| x.to_string())),
        };
        text.unwrap_or_default()
    }
}

impl Tensor {
    /// The tensor with its elements in another type; see [`Data::cast`].
    ///
    /// # Errors
    /// If a text is no number of type `to`.
    pub fn cast(&self, to: DType) -> Result<Tensor, NotANumber> {
        Ok(Tensor::from_parts(self.shape().to_vec(), self.data().cast(to)?))
    }
}

/// The fewest digits, in scientific form, that round to `x`.
fn shortest_half(x: f16) -> String {
    let wide = f64::from(x);
    let forms = (0..5).map(|digits| format!("{wide:.digits$e}"));
    let exact = |form: &String| form.parse().map(f16::from_f64) == Ok(x);
    forms.into_iter().find(exact).unwrap_or_else(|| format!("{wide:e}"))
}

/// Python's form of a float whose shortest digits are given in Rust's scientific form: positional
/// from 1e-4 up to 1e16, with at least one digit behind the point.
fn float_text(scientific: &str) -> String {
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific.to_lowercase();
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    let zeros = |count: i32| "0".repeat(count.max(0) as usize);
    if digits == "0" {
        return format!("{sign}0.0");
    }
    if !(-4..16).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", zeros(-exponent - 1));
    }
    let whole = exponent as usize + 1;
    match digits.split_at_checked(whole) {
        Some((whole, rest)) if !rest.is_empty() => format!("{sign}{whole}.{rest}"),
        _ => format!("{sign}{digits}{}.0", zeros(whole as i32 - digits.len() as i32)),
    }
}

/// Reads texts as numbers: decimal or scientific, with `inf`, `infinity` and `nan` in any case.
fn parse(texts: &[String], to: DType) -> Result<Data, NotANumber> {
    fn each<T>(
        texts: &[String],
        to: DType,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, NotANumber> {
        let read = |(position, text): (usize, &String)| {
            let wrong = || NotANumber { text: text.clone(), position, expected: to };
            read(text.trim()).ok_or_else(wrong)
        };
        texts.iter().enumerate().map(read).collect()
    }
    macro_rules! whole {
        ($t:ty) => {
            Held::hold(each(texts, to, |text| text.parse::<$t>().ok())?)
        };
    }
    Ok(match to {
        DType::F32 => whole!(f32),
        DType::F64 => whole!(f64),
        DType::F16 => each(texts, to, |text| text.parse().ok().map(f16::from_f64))?.into(),
        DType::I8 => whole!(i8),
        DType::I16 => whole!(i16),
        DType::I32 => whole!(i32),
        DType::I64 => whole!(i64),
        DType::U8 => whole!(u8),
        DType::U16 => whole!(u16),
        DType::U32 => whole!(u32),
        DType::U64 => whole!(u64),
        DType::Bool => each(texts, to, truth)?.into(),
        DType::Str => texts.to_vec().into(),
    })
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        number => number.parse::<f64>().ok().map(|x| x != 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_the_text_that_python_writes() {
        let data = Data::F32(vec![
            0.478_925_47,
            816_468.0,
            1e16,
            1.5e-5,
            1e-4,
            -2.0,
            0.0,
            -0.0,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            1.234_568e15,
        ]);
        let texts = [
            "0.47892547",
            "816468.0",
            "1e+16",
            "1.5e-05",
            "0.0001",
            "-2.0",
            "0.0",
            "-0.0",
            "nan",
            "inf",
            "-inf",
            "1234568000000000.0",
        ];
        assert_eq!(data.cast(DType::Str), Ok(Data::Str(texts.map(str::to_owned).into())));
        let half = Data::F16(vec![f16::from_f32(0.1), f16::from_f32(65504.0)]);
        let texts = ["0.1", "65500.0"].map(str::to_owned);
        assert_eq!(half.cast(DType::Str), Ok(Data::Str(texts.into())));
    }

    #[test]
    fn texts_become_the_numbers_that_they_spell() {
        let texts = Data::Str(["1.5", "-3e2", "+INF", "NaN"].map(str::to_owned).into());
        let Ok(Data::F32(numbers)) = texts.cast(DType::F32) else { panic!("floats") };
        assert_eq!(numbers[..3], [1.5, -300.0, f32::INFINITY]);
        assert!(numbers[3].is_nan());
        let texts = Data::Str(vec!["18446744073709551615".to_owned()]);
        assert_eq!(texts.cast(DType::U64), Ok(Data::U64(vec![u64::MAX])));
        let error = texts.cast(DType::I64).expect_err("too large for i64");
        assert_eq!((error.position, error.expected), (0, DType::I64));
    }

    #[test]
    fn numbers_convert_once_and_by_the_rules_of_c() {
        let large = Data::U64(vec![u64::MAX, (1 << 63) + 1]);
        assert_eq!(large.cast(DType::I64), Ok(Data::I64(vec![-1, i64::MIN + 1])));
        assert_eq!(large.cast(DType::F32), Ok(Data::F32(vec![2f32.powi(64), 2f32.powi(63)])));
        let floats = Data::F64(vec![-1.5, 300.0, f64::NAN]);
        assert_eq!(floats.cast(DType::U8), Ok(Data::U8(vec![0, 255, 0])));
        assert_eq!(floats.cast(DType::Bool), Ok(Data::Bool(vec![true; 3])));
        assert_eq!(Data::I16(vec![200]).cast(DType::I8), Ok(Data::I8(vec![-56])));
    }
}
