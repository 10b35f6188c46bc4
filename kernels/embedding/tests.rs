//! Gathering, refusing and masking.

use super::*;
use crate::differences::assert_near;
use crate::fixtures::{each_isa, integers, numbers};
use crate::{Cpu, Isa, Pool};

#[test]
fn gathers_the_row_of_every_id() {
    for dim in [0, 1, 7, 16, 33] {
        for count in [0, 1, 5, 3000] {
            let table = numbers(11 * dim, 1);
            let ids = integers(count, 2, 11);
            let narrow: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let want: Vec<f32> = ids
                .iter()
                .flat_map(|&id| table[id as usize * dim..(id as usize + 1) * dim].to_vec())
                .collect();
            for (_, got) in each_isa(|cpu| {
                let mut out = vec![f32::NAN; count * dim];
                gather(cpu, &table, dim, &ids, 11, &mut out).expect("ids are in range");
                out
            }) {
                assert_eq!(got, want);
            }
            for (_, got) in each_isa(|cpu| {
                let mut out = vec![f32::NAN; count * dim];
                gather(cpu, &table, dim, &narrow, 11, &mut out).expect("ids are in range");
                out
            }) {
                assert_eq!(got, want);
            }
        }
    }
}

#[test]
fn an_id_outside_the_table_is_named() {
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::Portable, pool: &pool };
    for bad in [-1, 3, i64::MIN, i64::MAX] {
        let got = gather(cpu, &[0.0; 6], 2, &[0, 2, bad, bad], 3, &mut [0.0; 8]);
        assert_eq!(got, Err(IdOutOfRange { position: 2, id: bad, vocabulary: 3 }));
    }
    let got = gather(cpu, &[0.0; 6], 2, &[-1i32], 3, &mut [0.0; 2]);
    let error = got.expect_err("-1 is no row");
    assert_eq!(error.to_string(), "id -1 at position 0 is outside the vocabulary of 3 rows");
}

#[test]
fn the_padding_id_is_masked() {
    let mut mask = [9; 4];
    mask_not_equal(&[0i32, 5, 0, -1], 0, &mut mask);
    assert_eq!(mask, [0, 1, 0, 1]);
}

#[test]
fn masking_hides_rows_of_the_mask_value_only() {
    let x = [2.0, 2.0, 2.0, 1.0, f32::NAN, 2.0, 0.0, 0.0];
    let (mut mask, mut out) = ([9; 4], [9.0; 8]);
    masking(&x, 2, 2.0, &mut mask, &mut out);
    assert_eq!(mask, [0, 1, 1, 1]);
    assert_eq!(out[..4], [0.0, 0.0, 2.0, 1.0]);
    assert!(out[4].is_nan());
    assert_eq!(out[5..], [2.0, 0.0, 0.0]);
}

#[test]
fn the_gradients_of_one_id_are_added_up_in_its_row() {
    for dim in [0, 1, 7, 16, 33, 64, 130] {
        for (count, vocabulary) in [(0, 5), (1, 1), (40, 11), (3000, 700), (5000, 2)] {
            let dy = numbers(count * dim, 3);
            let ids = integers(count, 4, vocabulary as u64);
            let narrow: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let mut want = vec![0.0; vocabulary * dim];
            for (i, &id) in ids.iter().enumerate() {
                for k in 0..dim {
                    want[id as usize * dim + k] += f64::from(dy[i * dim + k]);
                }
            }
            let wide = each_isa(|cpu| {
                let mut table = vec![f32::NAN; vocabulary * dim];
                gather_backward(cpu, &ids, &dy, dim, vocabulary, &mut table).expect("in range");
                table
            });
            let by_narrow = each_isa(|cpu| {
                let mut table = vec![f32::NAN; vocabulary * dim];
                gather_backward(cpu, &narrow, &dy, dim, vocabulary, &mut table).expect("in range");
                table
            });
            assert_eq!(wide, by_narrow);
            for (_, got) in wide {
                assert_near(&got, &want, &format!("{count} ids of {vocabulary}, {dim} wide"));
            }
        }
    }
}

#[test]
fn the_gradient_refuses_what_the_read_refuses() {
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::Portable, pool: &pool };
    for bad in [-1, 3, i64::MIN, i64::MAX] {
        let mut table = [9.0; 6];
        let got = gather_backward(cpu, &[0, bad], &[1.0; 4], 2, 3, &mut table);
        assert_eq!(got, Err(IdOutOfRange { position: 1, id: bad, vocabulary: 3 }));
        assert_eq!(table, [9.0; 6]);
    }
}
