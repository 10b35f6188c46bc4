//! Files of checkpoints are refused whatever byte of them changes.

use serde_json::json;

use super::file::{decode, encode};
use crate::graph::Tensor;

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let tensors = [
        ("a", Tensor::new([2, 3], vec![1.0f32, -0.0, f32::NAN, 4.0, 5.0, 6.0]).unwrap()),
        ("b", Tensor::new([2], vec![i64::MAX, -1]).unwrap()),
        ("c", Tensor::new([3], vec![true, false, true]).unwrap()),
        ("d", Tensor::new([0, 2], Vec::<i32>::new()).unwrap()),
        ("e", Tensor::scalar(7i32)),
    ];
    let head = json!({"epoch": 3, "history": [u64::MAX, 1]});
    let named = || tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor));
    let whole = encode(&head, named()).unwrap();
    let (read, found) = decode(&whole).unwrap();
    assert_eq!(read, head);
    for (name, tensor) in &tensors {
        let bits =
            |t: &Tensor| t.as_f32().map(|x| x.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        assert_eq!(bits(&found[*name]), bits(tensor));
        assert_eq!(found[*name].shape(), tensor.shape());
    }
    // A bit of the header's padding or of JSON's spacing may change without changing what it says.
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if let Ok((read, changed)) = decode(&bytes) {
                assert_eq!(read, head, "byte {at}, bit {bit}");
                assert_eq!(format!("{changed:?}"), format!("{found:?}"), "byte {at}, bit {bit}");
            }
        }
    }
    for length in 0..whole.len() {
        assert!(decode(&whole[..length]).is_err(), "{length} bytes");
    }
    let text = Tensor::new([1], vec!["text".to_owned()]).unwrap();
    assert!(encode(&head, [("t".to_owned(), &text)]).is_err());
}
