//! Weights that repeat one row for every sequence.
//!
//! An exporter that knows the first states to be zeros, and the batch, writes their product with the
//! recurrent kernel as what it is: the recurrent bias, once for each sequence.

use std::collections::HashSet;

use crate::graph::{Graph, ValueId};

/// Each fixed `[batch, width]` whose rows are all the elements of a fixed `[width]`, with that.
pub(super) fn repeated(graph: &Graph) -> Vec<(ValueId, ValueId)> {
    let taken: HashSet<ValueId> =
        graph.nodes().iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
    let mut taken: Vec<ValueId> = taken.into_iter().collect();
    taken.sort_unstable();
    let (mut rows, mut tables) = (Vec::new(), Vec::new());
    for value in taken {
        let Some(tensor) = graph.fixed(value) else { continue };
        let Some(elements) = tensor.as_f32() else { continue };
        match tensor.shape()[..] {
            [width] if width > 0 => rows.push((value, elements)),
            [batch, width] if batch > 1 && width > 0 => tables.push((value, width, elements)),
            _ => {}
        }
    }
    let row_of = |(value, width, elements): (ValueId, usize, &[f32])| {
        let (first, _) = elements.split_at(width);
        // A row of one number throughout, such as a state of zeros, needs no name.
        first.iter().any(|x| *x != first[0]).then_some(())?;
        elements.chunks(width).all(|row| row == first).then_some(())?;
        let (row, _) = rows.iter().find(|(_, row)| *row == first)?;
        Some((value, *row))
    };
    tables.into_iter().filter_map(row_of).collect()
}
