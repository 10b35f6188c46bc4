//! The part of the LSTM and GRU kernels that keeps recurrent weights in registers, written for a
//! number of terms and rows (the rest: `recurrent/held.wgsl`).
//!
//! Compilers for GPUs keep a function's values in registers if no computed index reaches them, so
//! that every term has a field and a line of its own.

use super::recurrent::Cell;

/// `struct Registers`, `fn keep` and `fn add_kept` for `groups` groups of weights in registers,
/// which are of one term each or, where `half`, of two terms as f16, and for up to `rows` rows.
pub fn text(cell: Cell, half: bool, groups: u32, rows: u32) -> String {
    let part = if cell.gates() == 4 { "" } else { ".xyz" };
    let (mut fields, mut values) = (String::new(), String::new());
    for group in 0..groups {
        let at = group * if half { 2 } else { 1 };
        fields.push_str(&format!("    w{group}: vec{}<u32>,\n", cell.gates()));
        values.push_str(&format!("\n        group_at(tile, first + {at}u, unit){part},"));
    }
    if groups == 0 {
        // A struct has at least one field.
        fields.push_str("    nothing: u32,\n");
        values.push_str("0u");
    }
    let one = sums(cell, half, groups, 1);
    let many = match rows {
        0 | 1 => String::new(),
        rows => format!("    }} else {{\n{}", sums(cell, half, groups, rows)),
    };
    format!(
        "
struct Registers {{
{fields}}}

fn keep(tile: Tile, first: u32, unit: u32) -> Registers {{
    return Registers({values});
}}

// Adds the products of what is kept of the slice that begins at unit `first`.
fn add_kept(
    tile: Tile, plane: u32, first: u32,
    kept: ptr<function, Registers>, sums: ptr<function, array<vec4<f32>, 4>>,
) {{
    if p.rows == 1u {{
{one}{many}    }}
}}
"
    )
}

/// The sums of the first `rows` rows.
fn sums(cell: Cell, half: bool, groups: u32, rows: u32) -> String {
    if groups == 0 {
        return String::new();
    }
    let mut lines = String::new();
    for row in 0..rows {
        lines.push_str(&format!("        var sum{row} = (*sums)[{row}];\n"));
    }
    let terms = if half { 2 } else { 1 };
    for group in 0..groups {
        let words = match cell.gates() {
            4 => format!("(*kept).w{group}"),
            _ => format!("vec4<u32>((*kept).w{group}, 0u)"),
        };
        for term in 0..terms {
            let at = group * terms + term;
            lines.push_str(&format!("        let w{at} = weights_of({words}, {term}u);\n"));
            for row in 0..rows {
                let state = format!("load_state(tile, plane, {row}u, first + {at}u)");
                lines.push_str(&format!("        sum{row} += {state} * w{at};\n"));
            }
        }
    }
    for row in 0..rows {
        lines.push_str(&format!("        (*sums)[{row}] = sum{row};\n"));
    }
    lines
}
