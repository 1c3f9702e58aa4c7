package main

import (
	"slices"
	"testing"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
	"github.com/windlass-dev/windlass/sdk/go/windlasstest"
)

func expiring(expires string) *ConfigMap {
	own := meta.ObjectMeta{Namespace: "default", Name: "a", UID: "uid-of-a"}
	if expires != "" {
		own.Annotations = map[string]string{annotation: expires}
	}
	return &ConfigMap{own}
}

func TestWhatIsDueIsDeletedAndCounted(t *testing.T) {
	cluster := windlasstest.New(t, ttl{})
	cluster.Put(expiring("2025-12-31T23:00:00Z"))
	if err := cluster.Settle(); err != nil {
		t.Fatal(err)
	}
	want := []windlasstest.Request{{Call: "delete configmaps default/a", Body: `{"preconditions":{"uid":"uid-of-a"}}`}}
	if got := cluster.TakeRequests(); !slices.Equal(got, want) {
		t.Errorf("requests %v", got)
	}
	if got := cluster.TakeLogs(); !slices.Equal(got, []string{"INFO expired at=2025-12-31T23:00:00Z"}) {
		t.Errorf("logs %v", got)
	}
	if got := cluster.Metric("expired_total", "default"); got != 1 {
		t.Errorf("expired_total is %v", got)
	}
}

func TestWhatIsNotDueYetIsSyncedWhenItIs(t *testing.T) {
	cluster := windlasstest.New(t, ttl{})
	cluster.Put(expiring("2026-01-01T01:00:00Z"))
	result, err := cluster.Sync("default/a")
	if err != nil || result.RequeueAfter != time.Hour {
		t.Fatal(result, err)
	}
	if err := cluster.Settle(); err != nil || len(cluster.TakeCalls()) != 0 {
		t.Fatal("too early", err)
	}
	cluster.Advance(time.Hour)
	if err := cluster.Settle(); err != nil || len(cluster.TakeCalls()) != 1 {
		t.Fatal("not deleted", err)
	}
}

func TestWhatHasNoTimeStays(t *testing.T) {
	cluster := windlasstest.New(t, ttl{})
	cluster.Put(expiring(""))
	if result, err := cluster.Sync("default/a"); err != nil || result != (windlass.Result{}) {
		t.Error(result, err)
	}
	if result, err := cluster.Sync("default/gone"); err != nil || result != (windlass.Result{}) {
		t.Error(result, err)
	}
	cluster.Put(expiring("tomorrow"))
	if _, err := cluster.Sync("default/a"); !windlass.IsTerminal(err) {
		t.Error(err)
	}
	if calls := cluster.TakeCalls(); len(calls) != 0 {
		t.Error(calls)
	}
}

func TestOnlyAFailedDeletionThatFoundTheObjectIsTriedAgain(t *testing.T) {
	for kind, fails := range map[windlass.ErrorKind]bool{
		windlass.ErrorNotFound: false, windlass.ErrorConflict: true, windlass.ErrorUnavailable: true,
	} {
		t.Run("", func(t *testing.T) {
			cluster := windlasstest.New(t, ttl{})
			cluster.Put(expiring("2025-12-31T23:00:00Z"))
			cluster.Fail(func(string) error { return windlasstest.APIError(kind, "no") })
			if _, err := cluster.Sync("default/a"); (err != nil) != fails || windlass.IsTerminal(err) {
				t.Error(kind, err)
			}
		})
	}
}
