//! What operators refuse, and what fixtures do not reach.
