//! Rules that follow the shapes of their operands, over shapes drawn at random.

use proptest::prelude::*;
use seqfuse::ops::*;

use super::build::{Built, Case};
use super::cases::case;
use super::{KERNELS, RULE};

fn holds(case: &Case) -> Result<(), TestCaseError> {
    let built = Built::new(case);
    let checked = built.against_differences(RULE).and_then(|()| built.against_session(KERNELS));
    checked.map_err(|error| TestCaseError::fail(format!("{}: {error}", case.name)))
}

/// A shape of up to 4 axes, some of them empty of all but one element.
fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..5, 1..5)
}

/// Two shapes that broadcast: one loses axes in front, and either has some of size 1.
fn pair() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    (shape(), any::<u16>(), 0usize..4).prop_map(|(whole, ones, less)| {
        let thin = |bits: u16| -> Vec<usize> {
            let axes = whole.iter().enumerate();
            axes.map(|(axis, &size)| if bits >> axis & 1 == 1 { 1 } else { size }).collect()
        };
        let b = thin(ones >> 8);
        let less = less.min(b.len());
        (thin(ones), b[less..].to_vec())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn broadcasts_are_undone((a, b) in pair()) {
        holds(&case("binary", format!("{a:?} {b:?}"), move |builder| {
            let (a, b) = (builder.within(&a, 0.5, 2.0), builder.within(&b, 0.5, 2.0));
            builder.add(Binary { kind: BinaryKind::Divide }, &[a, b])
        }))?;
    }

    #[test]
    fn products_broadcast_too((a, b) in pair(), sizes in prop::array::uniform3(1usize..5)) {
        holds(&case("mat_mul", format!("{a:?} {b:?} {sizes:?}"), move |builder| {
            let [rows, depth, columns] = sizes;
            let a = builder.p(&[&a[..], &[rows, depth]].concat());
            let b = builder.p(&[&b[..], &[depth, columns]].concat());
            builder.add(MatMul, &[a, b])
        }))?;
    }

    #[test]
    fn reductions_of_any_axes(shape in shape(), first in 0usize..4, count in 0usize..5, kind in 0usize..5) {
        let first = first.min(shape.len());
        let count = count.min(shape.len() - first);
        let kind = [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min][kind];
        holds(&case("reduce", format!("{kind:?} {shape:?} {first}+{count}"), move |builder| {
            let x = builder.within(&shape, 0.5, 1.5);
            builder.add(Reduce { kind, first, count, keepdims: count % 2 == 0 }, &[x])
        }))?;
    }

    #[test]
    fn slices_of_any_range(
        shape in shape(),
        ranges in prop::collection::vec((prop::option::of(-5i64..6), prop::option::of(-5i64..6), 1i64..4, any::<bool>()), 4),
    ) {
        holds(&case("slice", format!("{shape:?} {ranges:?}"), move |builder| {
            let x = builder.p(&shape);
            let axes = ranges.iter().take(shape.len()).enumerate();
            let axes = axes.map(|(axis, &(start, stop, step, turned))| AxisSlice {
                axis,
                start,
                stop,
                step: if turned { -step } else { step },
            });
            builder.add(Slice { axes: axes.collect() }, &[x])
        }))?;
    }

    #[test]
    fn axes_in_any_order(shape in shape(), by in 0usize..4, repeats in prop::array::uniform4(1usize..4)) {
        holds(&case("tile", format!("{shape:?} {by} {repeats:?}"), move |builder| {
            let x = builder.p(&shape);
            let tiled = builder.add(Tile { repeats: repeats[..shape.len()].to_vec() }, &[x])[0];
            let mut permutation: Vec<usize> = (0..shape.len()).collect();
            permutation.rotate_left(by % shape.len());
            builder.add(Transpose { permutation }, &[tiled])
        }))?;
    }
}
