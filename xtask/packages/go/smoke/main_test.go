package main

import (
	"testing"

	"github.com/windlass-dev/windlass/sdk/go/meta"
	"github.com/windlass-dev/windlass/sdk/go/windlasstest"
)

func TestASync(t *testing.T) {
	cluster := windlasstest.New(t, smoke{})
	cluster.Put(&configMap{meta.ObjectMeta{Namespace: "default", Name: "a"}})
	if _, err := cluster.Sync("default/a"); err != nil {
		t.Fatal(err)
	}
	if left := windlasstest.List[*configMap](cluster); len(left) != 0 {
		t.Error("the sync did nothing")
	}
}
