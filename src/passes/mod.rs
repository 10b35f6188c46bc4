//! Passes over the Graph: one file each.
