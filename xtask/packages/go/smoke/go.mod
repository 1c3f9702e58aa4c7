module windlass.dev/xtask/packages/smoke

go 1.24

require github.com/windlass-dev/windlass/sdk/go v0.1.0
