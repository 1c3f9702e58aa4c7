module github.com/windlass-dev/windlass/sdk/go

go 1.24
