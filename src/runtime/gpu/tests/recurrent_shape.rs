//! Which recurrent layers hold their weights where.

use super::super::recurrent_shape::{Room, Shape, terms};
use super::*;

/// Threads and bytes of a workgroup: what a graphics card has at least, and the least of WebGPU.
const LARGE: Room = Room { threads: 1024, memory: 32 << 10 };
const SMALL: Room = Room { threads: 256, memory: 16 << 10 };

const GRU: Cell = Cell::Gru { reset_after: true };

/// The last hidden size up to which every layer's weights are in registers, and the last up to
/// which every layer's are there or in workgroup memory.
pub fn held_to(cell: Cell, half: bool, room: Room) -> [u32; 2] {
    let shape = |units: &u32| Shape::new(cell, *units, half, room);
    let last = |held: &dyn Fn(Shape) -> bool| (1..).take_while(|units| held(shape(units))).count();
    let in_registers = last(&|shape| shape.in_registers > 0 && shape.in_workgroup == 0);
    [in_registers as u32, last(&|shape| shape.in_registers > 0) as u32]
}

/// The paragraph of `docs/gpu.md` on where weights are held.
pub fn page() -> String {
    let mut lines = String::new();
    for room in [LARGE, SMALL] {
        for (name, cell) in [("LSTM", Cell::Lstm), ("GRU", GRU)] {
            let [plain, half] = [false, true].map(|half| {
                let [in_registers, held] = held_to(cell, half, room);
                format!("{in_registers} | {held}")
            });
            let Room { threads, memory } = room;
            lines.push_str(&format!(
                "| {threads} | {} KiB | {name} | {plain} | {half} |\n",
                memory >> 10
            ));
        }
    }
    format!(
        "\
A thread of the LSTM and GRU kernels holds its share of the recurrent weights for the whole sequence, in
registers and, where those are too few, the rest in workgroup memory, if all weights of the layer can be held;
those of a larger layer are read at every step. `src/runtime/gpu/recurrent_shape.rs` holds the rule. The largest
hidden sizes that are held, by the invocations and the memory of a workgroup:

| Invocations | Memory | Layer | f32, registers | f32, with memory | f16, registers | f16, with memory |
|---|---|---|---|---|---|---|
{lines}
No GPU has timed this: the registers that the rule takes a GPU to have are from its makers' descriptions.
"
    )
}

#[test]
fn layers_hold_their_weights_where_they_fit() {
    // Registers, then workgroup memory, in groups; none where they are read at every step.
    let cases = [
        (Cell::Lstm, 1, false, LARGE, (1, 0)),
        (Cell::Lstm, 16, false, LARGE, (8, 0)),
        (Cell::Lstm, 64, false, LARGE, (8, 0)),
        (Cell::Lstm, 112, false, LARGE, (23, 0)),
        (Cell::Lstm, 116, false, LARGE, (22, 2)),
        (Cell::Lstm, 128, false, LARGE, (0, 0)),
        (Cell::Lstm, 128, true, LARGE, (8, 0)),
        (Cell::Lstm, 1024, true, LARGE, (0, 0)),
        (GRU, 128, false, LARGE, (26, 0)),
        (GRU, 144, false, LARGE, (0, 0)),
        (GRU, 144, true, LARGE, (11, 0)),
        (Cell::Lstm, 64, false, SMALL, (16, 0)),
        (Cell::Lstm, 80, false, SMALL, (24, 3)),
        (Cell::Lstm, 96, true, SMALL, (24, 0)),
        (Cell::Lstm, 100, false, SMALL, (0, 0)),
        (GRU, 128, true, SMALL, (32, 0)),
        (GRU, 256, true, SMALL, (0, 0)),
    ];
    for (cell, units, half, room, held) in cases {
        let shape = Shape::new(cell, units, half, room);
        let found = (shape.in_registers, shape.in_workgroup);
        assert_eq!(found, held, "{cell:?} of {units}, half {half}, {room:?}: {shape:?}");
    }
}

#[test]
fn what_is_held_is_whole_and_fits() {
    let rooms = [LARGE, SMALL, Room { threads: 512, memory: 64 << 10 }];
    for (room, cell) in rooms.into_iter().flat_map(|room| [(room, Cell::Lstm), (room, GRU)]) {
        for (units, half) in (1..300).flat_map(|units| [(units, false), (units, true)]) {
            let shape = Shape::new(cell, units, half, room);
            let what = format!("{cell:?} of {units}, half {half}, {room:?}: {shape:?}");
            assert!(shape.threads <= room.threads, "{what}");
            assert!(shape.bytes(cell, units, half) <= u64::from(room.memory), "{what}");
            let groups = shape.in_registers + shape.in_workgroup;
            if groups == 0 {
                assert_eq!(shape, Shape::streamed(units, half, room), "{what}");
                continue;
            }
            assert_eq!(shape.threads, units * shape.split, "a unit a thread: {what}");
            assert_eq!(groups * terms(half), shape.length(units, half), "all of a slice: {what}");
            assert!(shape.length(units, half) * shape.split >= units, "all slices: {what}");
            let words = shape.in_registers * cell.gates();
            assert!(words <= 96 && shape.threads * (words + 24) <= 1 << 16, "{what}");
        }
    }
}
