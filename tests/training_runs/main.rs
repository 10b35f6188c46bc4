//! Training is repeatable to the bit: on any number of threads, and when it is broken off and goes
//! on from a checkpoint.

mod kill;
mod models;
mod refusals;
mod repeatable;
mod resume;
