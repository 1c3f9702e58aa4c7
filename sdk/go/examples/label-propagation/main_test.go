package main

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
	"github.com/windlass-dev/windlass/sdk/go/windlasstest"
)

func cluster(t *testing.T, team string) *windlasstest.Cluster {
	cluster := windlasstest.New(t, propagation{})
	namespace := &Namespace{meta.ObjectMeta{Name: "shop"}}
	if team != "" {
		namespace.Labels = map[string]string{source: team}
	}
	cluster.Put(namespace)
	return cluster
}

func configMap(name string, labels map[string]string) *ConfigMap {
	return &ConfigMap{meta.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}}
}

func settle(t *testing.T, cluster *windlasstest.Cluster) {
	t.Helper()
	if err := cluster.Settle(); err != nil {
		t.Fatal(err)
	}
}

func TestALabelIsSetCorrectedAndLeftAloneWhenItIsRight(t *testing.T) {
	cluster := cluster(t, "blue")
	cluster.Put(configMap("bare", nil))
	cluster.Put(configMap("other", map[string]string{label: "red", "app": "web"}))
	cluster.Put(configMap("right", map[string]string{label: "blue"}))
	cluster.Put(configMap(rootCertificate, nil))
	settle(t, cluster)
	if calls := cluster.TakeCalls(); !slices.Equal(calls, []string{"patch configmaps shop/bare", "patch configmaps shop/other"}) {
		t.Errorf("%v", calls)
	}
	other := windlasstest.Get[*ConfigMap](cluster, "shop/other")
	if !maps.Equal(other.Labels, map[string]string{label: "blue", "app": "web"}) || other.Annotations[propagated] != "true" {
		t.Errorf("%v %v", other.Labels, other.Annotations)
	}
}

func TestAChangeOfANamespaceReachesAllOfItsConfigMaps(t *testing.T) {
	cluster := cluster(t, "blue")
	for number := range 300 {
		cluster.Put(configMap(fmt.Sprint(number), nil))
	}
	cluster.Put(&ConfigMap{meta.ObjectMeta{Namespace: "elsewhere", Name: "a"}})
	settle(t, cluster)
	windlasstest.Edit(cluster, "shop", func(namespace *Namespace) { namespace.Labels[source] = "green" })
	settle(t, cluster)
	for _, configMap := range windlasstest.List[*ConfigMap](cluster) {
		if configMap.Namespace == "shop" && configMap.Labels[label] != "green" {
			t.Errorf("%s has %v", configMap.Name, configMap.Labels)
		}
	}
	if calls := cluster.TakeCalls(); len(calls) != 600 {
		t.Errorf("%d calls", len(calls))
	}
	if keys := cluster.KeysFor(watchNamespaces, "shop"); len(keys) != 300 || slices.Contains(keys, "elsewhere/a") {
		t.Errorf("%d keys", len(keys))
	}
}

func TestALabelIsRemovedOnlyIfItWasPropagated(t *testing.T) {
	cluster := cluster(t, "blue")
	cluster.Put(configMap("ours", nil))
	settle(t, cluster)
	cluster.Put(configMap("foreign", map[string]string{label: "blue"}))
	windlasstest.Edit(cluster, "shop", func(namespace *Namespace) { namespace.Labels = nil })
	settle(t, cluster)
	ours, foreign := windlasstest.Get[*ConfigMap](cluster, "shop/ours"), windlasstest.Get[*ConfigMap](cluster, "shop/foreign")
	if len(ours.Labels) != 0 || len(ours.Annotations) != 0 || foreign.Labels[label] != "blue" {
		t.Errorf("%v %v %v", ours.Labels, ours.Annotations, foreign.Labels)
	}
}

func TestAConflictIsTriedAgain(t *testing.T) {
	cluster := cluster(t, "blue")
	cluster.Put(configMap("a", nil))
	failed := false
	cluster.Fail(func(string) error {
		if failed {
			return nil
		}
		failed = true
		return windlasstest.APIError(windlass.ErrorConflict, "changed")
	})
	settle(t, cluster)
	if got := windlasstest.Get[*ConfigMap](cluster, "shop/a").Labels[label]; got != "blue" {
		t.Error(got)
	}
}
