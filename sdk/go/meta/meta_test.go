package meta

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestASelectorMatchesWhatKubernetesMatches(t *testing.T) {
	labels := map[string]string{"app": "web", "tier": "a"}
	one := func(key string, operator LabelSelectorOperator, values ...string) *LabelSelector {
		return &LabelSelector{MatchExpressions: []LabelSelectorRequirement{{key, operator, values}}}
	}
	for _, c := range []struct {
		selector *LabelSelector
		matches  bool
		text     string
	}{
		{nil, false, ""},
		{&LabelSelector{}, true, ""},
		{&LabelSelector{MatchLabels: map[string]string{"app": "web", "tier": "a"}}, true, "app=web,tier=a"},
		{&LabelSelector{MatchLabels: map[string]string{"app": ""}}, false, "app="},
		{one("tier", OperatorIn, "a", "b"), true, "tier in (a,b)"},
		{one("zone", OperatorIn, ""), false, "zone in ()"},
		{one("zone", OperatorNotIn, "x"), true, "zone notin (x)"},
		{one("tier", OperatorNotIn, "a"), false, "tier notin (a)"},
		{one("tier", OperatorExists), true, "tier"},
		{one("tier", OperatorDoesNotExist), false, "!tier"},
		{one("tier", "Near", "a"), false, "tier"},
	} {
		if got := c.selector.Matches(labels); got != c.matches {
			t.Errorf("%v matches: %t", c.selector, got)
		}
		if got := c.selector.String(); got != c.text {
			t.Errorf("got %q, want %q", got, c.text)
		}
	}
}

func TestATransitionTimeChangesWithTheStatusOnly(t *testing.T) {
	first := time.Date(2026, 1, 1, 0, 0, 0, 5, time.FixedZone("", 3600))
	conditions := SetCondition(nil, Condition{Type: "Ready", Status: ConditionFalse, Reason: "A"}, first)
	again := SetCondition(conditions, Condition{Type: "Ready", Status: ConditionFalse, Reason: "B"}, first.Add(time.Hour))
	if !again[0].LastTransitionTime.Equal(first.Truncate(time.Second)) || again[0].Reason != "B" || conditions[0].Reason != "A" {
		t.Errorf("%v then %v", conditions, again)
	}
	changed := SetCondition(again, Condition{Type: "Ready", Status: ConditionTrue}, first.Add(time.Hour))
	if !changed[0].LastTransitionTime.Equal(first.Add(time.Hour).Truncate(time.Second)) || !IsConditionTrue(changed, "Ready") {
		t.Errorf("%v", changed)
	}
	if left := RemoveCondition(changed, "Ready"); left != nil || FindCondition(left, "Ready") != nil {
		t.Errorf("%v", left)
	}
}

func TestFieldsReadAndWriteAsKubernetesWritesThem(t *testing.T) {
	type object struct {
		ObjectMeta `json:"metadata"`
		Port       IntOrString `json:"port"`
		Never      Time        `json:"never"`
	}
	text := `{"metadata":{"name":"a","creationTimestamp":"2026-01-01T00:00:00Z"},"port":"http","never":null}`
	var read object
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(read)
	if err != nil || string(written) != text {
		t.Errorf("%s, %v", written, err)
	}
	if number, ok := read.Port.Int(); ok || read.Port != FromString("http") {
		t.Errorf("%d", number)
	}
	var port IntOrString
	if err := json.Unmarshal([]byte("80"), &port); err != nil || port != FromInt(80) || port.String() != "80" {
		t.Errorf("%v, %v", port, err)
	}
	var memory IntOrString
	if err := json.Unmarshal([]byte("8589934592"), &memory); err != nil || memory != FromInt64(1<<33) {
		t.Errorf("%v, %v", memory, err)
	}
	if number, ok := memory.Int(); ok {
		t.Errorf("%d is another number", number)
	}
}

func TestAControllerIsTheOwnerThatSaysSo(t *testing.T) {
	object := ObjectMeta{OwnerReferences: []OwnerReference{{UID: "a"}, {UID: "b", Controller: true}}}
	if !reflect.DeepEqual(object.Controller(), &object.OwnerReferences[1]) ||
		object.IsControlledBy(&ObjectMeta{UID: "a"}) || !object.IsControlledBy(&ObjectMeta{UID: "b"}) {
		t.Errorf("%v", object.Controller())
	}
}
