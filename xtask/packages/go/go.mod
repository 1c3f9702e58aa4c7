// What packs sdk/go as a proxy serves it.
module windlass.dev/xtask/packages

go 1.26.0

require golang.org/x/mod v0.43.0
