//! enqueue
