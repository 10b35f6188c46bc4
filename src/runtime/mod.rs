//! Runtimes: CPU, GPU, Session.
