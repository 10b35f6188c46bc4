//! Tables from tokens to indices and back, as Keras's `IndexLookup` makes them: a mask token first,
//! then a place or several for tokens out of the vocabulary, then the vocabulary.

use std::collections::HashMap;

use super::hash::Hash;
use crate::graph::{Data, Tensor};

/// What tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// Texts.
    Text,
    /// 64-bit integers.
    Integer,
}

/// Where a token goes that the vocabulary does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfVocabulary {
    /// Nowhere: it is an error.
    Refused,
    /// To this index.
    Index(i64),
    /// To one of `count` indices from `first`, by a hash of its text.
    Hashed {
        /// The first index.
        first: i64,
        /// How many there are.
        count: u64,
        /// The function.
        hash: Hash,
    },
    /// To one of `count` indices from `first`, by its remainder. Only for integers.
    Remainder {
        /// The first index.
        first: i64,
        /// How many there are.
        count: u64,
    },
}

/// Tokens to indices.
#[derive(Clone, Debug)]
pub struct Forward<T> {
    /// The index of each token.
    pub indices: HashMap<T, i64>,
    /// The token that masks, and what it gives.
    pub mask: Option<(T, i64)>,
    /// Where other tokens go.
    pub unknown: OutOfVocabulary,
}

/// Indices to tokens.
#[derive(Clone, Debug)]
pub struct Inverse<T> {
    /// The tokens, from index `first` on.
    pub tokens: Vec<T>,
    /// The index of the first token.
    pub first: i64,
    /// What index 0 gives, if it masks.
    pub mask: Option<T>,
    /// What all other indices give.
    pub unknown: T,
}

/// A table of either direction and type.
#[derive(Clone, Debug)]
pub enum LookupTable {
    /// Texts to indices.
    Texts(Forward<String>),
    /// Integers to indices.
    Integers(Forward<i64>),
    /// Indices to texts.
    ToTexts(Inverse<String>),
    /// Indices to integers.
    ToIntegers(Inverse<i64>),
}

/// Why a tensor cannot be looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// A token is not in the vocabulary, and there is no place for such.
    #[error(
        "token {token} at position {position} is not in the vocabulary, and num_oov_indices is 0"
    )]
    Unknown {
        /// The token, as it is written.
        token: String,
        /// Where it stands in row-major order.
        position: usize,
    },
    /// The elements are of another type than the table's.
    #[error("the table takes {expected}, the input holds {found}")]
    Type {
        /// The type that the table takes.
        expected: &'static str,
        /// The input's element type.
        found: String,
    },
}

/// A token of a table.
pub trait Token: Clone + Eq + std::hash::Hash + std::fmt::Debug {
    /// The bucket of its text.
    fn hashed(&self, hash: Hash, buckets: u64) -> u64;
    /// What a division of it by `count` leaves over; 0 for texts.
    fn remainder(&self, count: u64) -> u64;
}

impl Token for String {
    fn hashed(&self, hash: Hash, buckets: u64) -> u64 {
        hash.bucket(self, buckets)
    }

    fn remainder(&self, _: u64) -> u64 {
        0
    }
}

impl Token for i64 {
    fn hashed(&self, hash: Hash, buckets: u64) -> u64 {
        hash.bucket(&self.to_string(), buckets)
    }

    fn remainder(&self, count: u64) -> u64 {
        // The remainder of a division that rounds down has the sign of the divisor.
        i128::from(*self).checked_rem_euclid(i128::from(count)).unwrap_or(0) as u64
    }
}

impl<T: Token> Forward<T> {
    fn index(&self, position: usize, token: &T) -> Result<i64, LookupError> {
        if let Some((mask, index)) = &self.mask
            && mask == token
        {
            return Ok(*index);
        }
        if let Some(&index) = self.indices.get(token) {
            return Ok(index);
        }
        match self.unknown {
            OutOfVocabulary::Index(index) => Ok(index),
            OutOfVocabulary::Hashed { first, count, hash } => {
                Ok(first.saturating_add_unsigned(token.hashed(hash, count)))
            }
            OutOfVocabulary::Remainder { first, count } => {
                Ok(first.saturating_add_unsigned(token.remainder(count)))
            }
            OutOfVocabulary::Refused => {
                Err(LookupError::Unknown { token: format!("{token:?}"), position })
            }
        }
    }

    fn all(&self, tokens: &[T]) -> Result<Vec<i64>, LookupError> {
        let indexed = tokens.iter().enumerate();
        indexed.map(|(position, token)| self.index(position, token)).collect()
    }
}

impl<T: Token> Inverse<T> {
    fn token(&self, index: i64) -> T {
        if let (0, Some(mask)) = (index, &self.mask) {
            return mask.clone();
        }
        let place = index.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        let token = place.and_then(|place| self.tokens.get(place));
        token.unwrap_or(&self.unknown).clone()
    }

    fn all(&self, indices: &[i64]) -> Vec<T> {
        indices.iter().map(|&index| self.token(index)).collect()
    }
}

impl LookupTable {
    /// Tokens in the vocabulary, without places for other tokens and masks.
    pub fn len(&self) -> usize {
        match self {
            LookupTable::Texts(table) => table.indices.len(),
            LookupTable::Integers(table) => table.indices.len(),
            LookupTable::ToTexts(table) => table.tokens.len(),
            LookupTable::ToIntegers(table) => table.tokens.len(),
        }
    }

    /// Whether the vocabulary holds no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every element of `x` looked up, in the same shape.
    ///
    /// # Errors
    /// If the elements are of another type than the table's, or one has no place in it.
    pub fn lookup(&self, x: &Tensor) -> Result<Tensor, LookupError> {
        let data: Data = match (self, x.data()) {
            (LookupTable::Texts(table), Data::Str(tokens)) => table.all(tokens)?.into(),
            (LookupTable::Integers(table), Data::I64(tokens)) => table.all(tokens)?.into(),
            (LookupTable::ToTexts(table), Data::I64(indices)) => table.all(indices).into(),
            (LookupTable::ToIntegers(table), Data::I64(indices)) => table.all(indices).into(),
            (LookupTable::Texts(_), _) => return Err(wrong("string", x)),
            _ => return Err(wrong("i64", x)),
        };
        Ok(Tensor::from_parts(x.shape().to_vec(), data))
    }
}

fn wrong(expected: &'static str, x: &Tensor) -> LookupError {
    LookupError::Type { expected, found: x.dtype().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(unknown: OutOfVocabulary) -> LookupTable {
        let indices = [(5, 3), (9, 4)].into_iter().collect();
        LookupTable::Integers(Forward { indices, mask: Some((7, 0)), unknown })
    }

    fn looked_up(table: &LookupTable, tokens: &[i64]) -> Result<Data, LookupError> {
        let x = Tensor::new([tokens.len()], tokens.to_vec()).expect("a row");
        table.lookup(&x).map(Tensor::into_data)
    }

    #[test]
    fn tokens_out_of_the_vocabulary_go_where_the_table_says() {
        let one = integers(OutOfVocabulary::Index(1));
        assert_eq!(looked_up(&one, &[5, 9, 7, -2]), Ok(vec![3_i64, 4, 0, 1].into()));
        let two = integers(OutOfVocabulary::Remainder { first: 1, count: 2 });
        assert_eq!(looked_up(&two, &[5, -3, -4, 6, i64::MIN]), Ok(vec![3_i64, 2, 1, 1, 1].into()));
        let none = integers(OutOfVocabulary::Refused);
        let error = looked_up(&none, &[5, 6]).expect_err("6 has no place");
        assert_eq!(error, LookupError::Unknown { token: "6".into(), position: 1 });
    }

    #[test]
    fn indices_out_of_the_table_give_the_unknown_token() {
        let table = LookupTable::ToIntegers(Inverse {
            tokens: vec![40, 50],
            first: 2,
            mask: Some(7),
            unknown: -1,
        });
        let tokens = looked_up(&table, &[0, 1, 2, 3, 4, -5, i64::MIN]);
        assert_eq!(tokens, Ok(vec![7_i64, -1, 40, 50, -1, -1, -1].into()));
    }

    #[test]
    fn elements_of_another_type_are_refused() {
        let texts = Tensor::new([1], vec!["a".to_owned()]).expect("a row");
        let table = integers(OutOfVocabulary::Index(1));
        assert!(table.lookup(&texts).is_err_and(|error| error.to_string().contains("i64")));
    }
}
