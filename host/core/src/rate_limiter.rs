//! rate_limiter
