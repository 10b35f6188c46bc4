//! The hash functions by which Keras puts texts into buckets: those of TensorFlow's
//! `string_to_hash_bucket_fast` and `string_to_hash_bucket_strong`.

mod farm;
mod sip;

pub use farm::fingerprint64;
pub use sip::siphash24;

/// Which function hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// FarmHash's `Fingerprint64`.
    Farm,
    /// SipHash-2-4 with a key.
    Sip([u64; 2]),
}

impl Hash {
    /// The bucket of a text, below `buckets`; 0 if there are none.
    pub fn bucket(self, text: &str, buckets: u64) -> u64 {
        let hash = match self {
            Hash::Farm => fingerprint64(text.as_bytes()),
            Hash::Sip(key) => siphash24(key, text.as_bytes()),
        };
        hash.checked_rem(buckets).unwrap_or(0)
    }
}

/// The eight bytes from `at`, the first one lowest; 0 for those beyond the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    let tail = bytes.get(at..).unwrap_or_default();
    tail.iter().take(8).rev().fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorFlow 2.20 gives with 2⁶² buckets: by `to_hash_bucket_fast`, and by
    /// `to_hash_bucket_strong` under the key (3, 7).
    #[test]
    fn buckets_are_those_of_tensorflow() {
        let repeated = |letter: &str, count| letter.repeat(count);
        let texts: [(String, u64, u64); 17] = [
            (String::new(), 1936946117179621455, 4260434136022711673),
            ("a".into(), 3694432073954588131, 1834374123143231496),
            ("ab".into(), 3066228220894225694, 172600192616101027),
            ("abc".into(), 2640714258260161385, 656949922964986924),
            ("hello world".into(), 1769834696496558107, 2201130145362512845),
            (repeated("x", 7), 1227340135899025967, 2488632198159938189),
            (repeated("x", 8), 416454844068956798, 811225953956954044),
            ("0123456789abcdef".into(), 1493332391325024359, 227727344044021432),
            (repeated("y", 17), 426471879119003573, 3339917839204814537),
            (repeated("z", 32), 917556916822743649, 3014278829614485312),
            (repeated("w", 33), 1065610773926128234, 2954726471967940156),
            (repeated("q", 64), 3227602484106814583, 817065853673857593),
            (repeated("r", 65), 3513611017891479274, 3330086072262483052),
            ("é".into(), 693143013273849025, 426316581984473121),
            (repeated("longer ", 30), 2137192556345663699, 3941491030565533184),
            (repeated("v", 128), 532160357238205671, 2963851005498436389),
            (repeated("u", 200), 2936433037223361089, 4286380394524239692),
        ];
        for (text, fast, strong) in texts {
            assert_eq!(Hash::Farm.bucket(&text, 1 << 62), fast, "{text:?}");
            assert_eq!(Hash::Sip([3, 7]).bucket(&text, 1 << 62), strong, "{text:?}");
        }
        assert_eq!(Hash::Farm.bucket("a", 0), 0);
    }
}
