//! Operators: one file each.
