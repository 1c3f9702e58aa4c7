//! Resource quantities such as `100m`, `1.5Gi` or `2e3`.
