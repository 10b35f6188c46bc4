//! Plans: stages, schedule, memory, packing.
