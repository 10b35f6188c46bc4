//! The header of a `.npy`: a magic number, a version, and a Python dictionary of three entries
//! (NumPy Enhancement Proposal 1).
//!
//! The dictionary is parsed here, not by a parser of Python: it comes from outside, and needs no
//! nesting but one.

use crate::formats::FormatError;

/// How every `.npy` begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The type of an array's elements, as its header spells it: `<f4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeCode {
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
    /// NumPy's letter for the kind: `f`, `i`, `u`, `b`, `U`, `S`.
    pub kind: char,
    /// Bytes of an element; code points for `U`.
    pub size: usize,
}

impl TypeCode {
    /// Bytes that an element takes in the file.
    pub fn bytes(self) -> usize {
        if self.kind == 'U' { self.size.saturating_mul(4) } else { self.size }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub code: TypeCode,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads the header at the start of `bytes`; `place` names the array in errors. The elements
    /// follow in what is returned beside it.
    pub fn read<'a>(bytes: &'a [u8], place: &str) -> Result<(Header, &'a [u8]), FormatError> {
        let damaged = || FormatError::Damaged { kind: ".npy array", source: None };
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            let found = match bytes {
                [] => "it is empty".to_owned(),
                _ if bytes.starts_with(b"PK") => "it is an archive; name it .npz".to_owned(),
                _ => format!("{place} does not begin as NumPy's arrays do"),
            };
            return Err(FormatError::WrongKind { expected: ".npy", found });
        };
        let (version, rest) = rest.split_at_checked(2).ok_or_else(damaged)?;
        let (length, rest) = match version[0] {
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(damaged)?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            2 | 3 => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
                (u32::from_le_bytes(*length) as usize, rest)
            }
            version => {
                return Err(FormatError::Unsupported {
                    what: format!("{place} in version {version} of the .npy format"),
                    hint: "save it with numpy.save".to_owned(),
                });
            }
        };
        let (text, elements) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let text = std::str::from_utf8(text).map_err(|_| damaged())?;
        Ok((Header::parse(text, place)?, elements))
    }

    fn parse(text: &str, place: &str) -> Result<Header, FormatError> {
        let malformed = |expected: &str| FormatError::Malformed {
            place: format!("{place}, header"),
            expected: expected.to_owned(),
            found: shortened(text.trim()),
        };
        let entry = |key: &str| {
            let start = text.find(&format!("'{key}':"))?;
            Some(text[start + key.len() + 3..].trim_start())
        };
        let descr = entry("descr").ok_or_else(|| malformed("'descr'"))?;
        if descr.starts_with('[') || descr.starts_with('(') {
            return Err(FormatError::Unsupported {
                what: format!("{place}, whose elements are records,"),
                hint: "save each field as an array of its own".to_owned(),
            });
        }
        let quoted = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let (code, _) = quoted.ok_or_else(|| malformed("a type such as '<f4' as 'descr'"))?;
        let order = entry("fortran_order").ok_or_else(|| malformed("'fortran_order'"))?;
        let fortran_order = match (order.starts_with("True"), order.starts_with("False")) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err(malformed("True or False as 'fortran_order'")),
        };
        let shape = entry("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')'));
        let (sizes, _) = shape.ok_or_else(|| malformed("a tuple as 'shape'"))?;
        let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Result<Vec<usize>, _> = sizes.map(str::parse).collect();
        let shape = shape.map_err(|_| malformed("sizes in 'shape'"))?;
        Ok(Header { code: type_code(code, place)?, fortran_order, shape })
    }
}

fn type_code(code: &str, place: &str) -> Result<TypeCode, FormatError> {
    let refuse = |what: &str, hint: &str| FormatError::Unsupported {
        what: format!("{place} of {what} (type '{code}')"),
        hint: hint.to_owned(),
    };
    let rest = code.trim_start_matches(['<', '>', '|', '=']);
    let big_endian = code.starts_with('>');
    let mut letters = rest.chars();
    let kind = letters.next().unwrap_or(' ');
    let size = letters.as_str().parse::<usize>();
    let size = match (kind, size) {
        ('O', _) => {
            let hint = "in Python save texts as `array.astype(str)`; numbers of unequal length \
                        must be padded to one shape";
            return Err(refuse("pickled Python objects", hint));
        }
        ('c', _) => return Err(refuse("complex numbers", "save real and imaginary parts")),
        ('M' | 'm', _) => return Err(refuse("dates or times", "save them as numbers")),
        ('f', Ok(size @ (2 | 4 | 8))) => size,
        ('i' | 'u', Ok(size @ (1 | 2 | 4 | 8))) => size,
        ('b', Ok(1)) => 1,
        ('U' | 'S', Ok(size)) => size,
        _ => return Err(refuse("another type", "save it as float32, integers, bool or str")),
    };
    Ok(TypeCode { big_endian, kind, size })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
