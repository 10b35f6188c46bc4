//! Text: vectorization.
