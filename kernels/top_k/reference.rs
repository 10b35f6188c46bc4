//! The plain definition: each row sorted as a whole.

use super::{Ordered, TopKCall, before};

/// Values and positions of the best elements of each row.
pub fn top_k<T: Ordered>(call: TopKCall<T>) -> (Vec<T>, Vec<i64>) {
    let TopKCall { x, outer, axis, inner, count, largest } = call;
    let (mut values, mut positions) = (Vec::new(), Vec::new());
    for row in 0..outer {
        let sorted: Vec<Vec<usize>> = (0..inner)
            .map(|column| {
                let element = |at: usize| x[(row * axis + at) * inner + column];
                let mut order: Vec<usize> = (0..axis).collect();
                order.sort_by(|&a, &b| before(element, largest, a, b));
                order
            })
            .collect();
        for place in 0..count {
            for (column, order) in sorted.iter().enumerate() {
                values.push(x[(row * axis + order[place]) * inner + column]);
                positions.push(order[place] as i64);
            }
        }
    }
    (values, positions)
}
