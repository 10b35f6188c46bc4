//! Standardization of a text, on bytes: Keras's rules concern ASCII alone, so bytes of longer
//! UTF-8 sequences pass through unchanged.

use super::config::Standardize;

/// Appends `text`, standardized, to `out`.
///
/// `lower` is TensorFlow's `tf.strings.lower` without an encoding: `A` to `Z` only, so `É` stays.
/// The punctuation that Keras strips is exactly ASCII's 32 characters.
pub(super) fn append(standardize: Option<Standardize>, text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    match standardize {
        None => out.extend_from_slice(bytes),
        Some(Standardize::Lower) => out.extend(bytes.iter().map(u8::to_ascii_lowercase)),
        Some(Standardize::StripPunctuation) => out.extend(bytes.iter().filter(|b| keeps(b))),
        Some(Standardize::LowerAndStripPunctuation) => {
            out.extend(bytes.iter().filter(|b| keeps(b)).map(u8::to_ascii_lowercase));
        }
    }
}

fn keeps(byte: &u8) -> bool {
    !byte.is_ascii_punctuation()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_the_list_in_keras_source() {
        let mut listed = *b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'";
        listed.sort_unstable();
        let stripped: Vec<u8> = (0..=127u8).filter(|b| !keeps(b)).collect();
        assert_eq!(stripped, listed);
    }
}
