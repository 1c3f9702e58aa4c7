package main

import (
	"testing"
)

func made(t *testing.T, args string) nodeCost {
	t.Helper()
	created, err := create([]byte(args))
	if err != nil {
		t.Fatal(err)
	}
	return created.(nodeCost)
}

func read(t *testing.T, plugin nodeCost, annotations string, before *node) *node {
	t.Helper()
	kept, err := plugin.Node("node", []byte(`{"metadata":{"annotations":`+annotations+`}}`), before)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestNodesSayWhatTheyCostAndWhetherTheyAreUnderMaintenance(t *testing.T) {
	plugin := made(t, `{"defaultCost":7}`)
	cheap := read(t, plugin, `{"node-cost.windlass.dev/cost":"3"}`, nil)
	silent := read(t, plugin, `{"node-cost.windlass.dev/maintenance":"true"}`, nil)
	if plugin.Score(nil, cheap) != 3 || plugin.Score(nil, silent) != 7 {
		t.Errorf("scores %d and %d", plugin.Score(nil, cheap), plugin.Score(nil, silent))
	}
	if plugin.Filter(nil, cheap) != "" || plugin.Filter(nil, silent) != "node(s) were under maintenance" {
		t.Errorf("filter %q and %q", plugin.Filter(nil, cheap), plugin.Filter(nil, silent))
	}
}

func TestAPodOnHoldGoesNowhere(t *testing.T) {
	plugin := made(t, `{}`)
	attempt, err := plugin.Attempt([]byte(`{"metadata":{"annotations":{"node-cost.windlass.dev/hold":"true"}}}`))
	if err != nil || plugin.PreFilter(attempt) != "pod is on hold" {
		t.Errorf("%v, %q", err, plugin.PreFilter(attempt))
	}
}

func TestANodeHasAsManyPodsOnTheirWayAsItMay(t *testing.T) {
	plugin := made(t, `{"maxReserved":1}`)
	place := read(t, plugin, `{}`, nil)
	var first, second attempt
	if err := plugin.Reserve(&first, place); err != nil {
		t.Fatal(err)
	}
	// A node that changes keeps its count.
	place = read(t, plugin, `{}`, place)
	if plugin.Reserve(&second, place) == nil {
		t.Error("two on their way")
	}
	plugin.Unreserve(&second, place)
	if plugin.Reserve(&second, place) == nil {
		t.Error("gave back a place that it never had")
	}
	plugin.Unreserve(&first, place)
	if err := plugin.Reserve(&second, place); err != nil {
		t.Error(err)
	}
	plugin.End(&second, place)
	if place.reserved != 0 {
		t.Errorf("%d reserved", place.reserved)
	}
}

func TestArgumentsAreHeldToWhatThereIs(t *testing.T) {
	for _, args := range []string{`{"limit":1}`, `{"defaultCost":-1}`, `[]`} {
		if _, err := create([]byte(args)); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}
