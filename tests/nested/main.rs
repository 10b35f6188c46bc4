//! What the operators that run Graphs of their own promise: `Late`, `If`, `Loop`, `Scan`.

mod branch;
mod build;
mod late;
mod repeat;
mod scan;
mod stages;
