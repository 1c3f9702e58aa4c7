//go:build !wasip1

package windlasstest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	windlass "github.com/windlass-dev/windlass/sdk/go"
)

// applyPatch is what a patch makes of an object.
func applyPatch(object tree, kind windlass.PatchType, body []byte, builtIn bool) (tree, error) {
	if kind == windlass.PatchJSON {
		return applySteps(object, body)
	}
	var patch tree
	if err := json.Unmarshal(body, &patch); err != nil {
		return nil, APIError(windlass.ErrorBadRequest, err.Error())
	}
	if kind == windlass.PatchMerge {
		return merge(object, patch), nil
	}
	if !builtIn {
		return nil, APIError(windlass.ErrorUnsupportedMediaType, "custom resources take no strategic merge patches")
	}
	return mergeStrategic(object, patch), nil
}

// merge is RFC 7386.
func merge(target, patch tree) tree {
	merged := tree{}
	for name, value := range target {
		merged[name] = value
	}
	for name, value := range patch {
		fields, isObject := value.(tree)
		switch {
		case value == nil:
			delete(merged, name)
		case isObject:
			old, _ := merged[name].(tree)
			merged[name] = merge(old, fields)
		default:
			merged[name] = value
		}
	}
	return merged
}

// mergeKeys are the lists that strategic merges merge, by the key of their items.
var mergeKeys = map[string][]string{
	"conditions":          {"type"},
	"containers":          {"name"},
	"env":                 {"name"},
	"ephemeralContainers": {"name"},
	"initContainers":      {"name"},
	"ownerReferences":     {"uid"},
	"ports":               {"containerPort", "port"},
	"volumeMounts":        {"mountPath"},
	"volumes":             {"name"},
}

const directive = "$patch"

func mergeStrategic(target, patch tree) tree {
	if patch[directive] == "replace" {
		return without(patch)
	}
	merged := tree{}
	for name, value := range target {
		merged[name] = value
	}
	for name, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(merged, name)
		case tree:
			if value[directive] == "delete" {
				delete(merged, name)
				continue
			}
			old, _ := merged[name].(tree)
			merged[name] = mergeStrategic(old, value)
		case []any:
			merged[name] = mergeList(name, list(merged, name), value)
		default:
			merged[name] = value
		}
	}
	return merged
}

func mergeList(name string, old, patch []any) []any {
	if name == "finalizers" {
		return union(old, patch)
	}
	key, merges := mergeKey(name, old, patch)
	if !merges {
		return patch
	}
	merged := append([]any{}, old...)
	for _, item := range patch {
		change, _ := item.(tree)
		if change[directive] == "replace" {
			merged = []any{}
		}
	}
	for _, item := range patch {
		change, _ := item.(tree)
		if change[directive] == "replace" {
			continue
		}
		merged = mergeItem(key, merged, change)
	}
	return merged
}

func mergeItem(key string, items []any, change tree) []any {
	for i, item := range items {
		fields, _ := item.(tree)
		if !reflect.DeepEqual(fields[key], change[key]) {
			continue
		}
		if change[directive] == "delete" {
			return append(append([]any{}, items[:i]...), items[i+1:]...)
		}
		items[i] = mergeStrategic(fields, change)
		return items
	}
	if change[directive] == "delete" {
		return items
	}
	return append(items, without(change))
}

// mergeKey is the key that the items of both lists have.
func mergeKey(name string, lists ...[]any) (string, bool) {
	for _, key := range mergeKeys[name] {
		if allHave(key, lists...) {
			return key, true
		}
	}
	return "", false
}

func allHave(key string, lists ...[]any) bool {
	for _, items := range lists {
		for _, item := range items {
			fields, _ := item.(tree)
			if fields[key] == nil && fields[directive] != "replace" {
				return false
			}
		}
	}
	return true
}

func union(old, added []any) []any {
	joined := append([]any{}, old...)
	for _, value := range added {
		present := false
		for _, known := range joined {
			present = present || known == value
		}
		if !present {
			joined = append(joined, value)
		}
	}
	return joined
}

// without the directive.
func without(fields tree) tree {
	kept := tree{}
	for name, value := range fields {
		if name != directive {
			kept[name] = value
		}
	}
	return kept
}

// applySteps is RFC 6902, but for move and copy.
func applySteps(object tree, body []byte) (tree, error) {
	var steps []windlass.JSONPatchOperation
	if err := json.Unmarshal(body, &steps); err != nil {
		return nil, APIError(windlass.ErrorBadRequest, err.Error())
	}
	var root any = parse(encode(object))
	for _, step := range steps {
		var tokens []string
		if step.Path != "" {
			tokens = strings.Split(step.Path, "/")[1:]
		}
		changed, err := applyStep(root, tokens, step)
		if err != nil {
			return nil, APIError(windlass.ErrorInvalid, fmt.Sprintf("%s %s: %v", step.Op, step.Path, err))
		}
		root = changed
	}
	patched, ok := root.(tree)
	if !ok {
		return nil, APIError(windlass.ErrorInvalid, "the patch leaves no object")
	}
	return patched, nil
}

func applyStep(at any, tokens []string, step windlass.JSONPatchOperation) (any, error) {
	if len(tokens) == 0 {
		switch step.Op {
		case "test":
			if !reflect.DeepEqual(at, step.Value) {
				return nil, fmt.Errorf("found %s", encode(at))
			}
			return at, nil
		case "add", "replace":
			return step.Value, nil
		}
		return nil, fmt.Errorf("the fake cluster does not know this operation")
	}
	token := strings.NewReplacer("~1", "/", "~0", "~").Replace(tokens[0])
	switch at := at.(type) {
	case tree:
		return stepIntoObject(at, token, tokens[1:], step)
	case []any:
		return stepIntoList(at, token, tokens[1:], step)
	}
	return nil, fmt.Errorf("there is nothing at %q", token)
}

func stepIntoObject(at tree, token string, rest []string, step windlass.JSONPatchOperation) (any, error) {
	value, present := at[token]
	if len(rest) == 0 && step.Op == "remove" && present {
		delete(at, token)
		return at, nil
	}
	if !present && (len(rest) > 0 || step.Op != "add") {
		return nil, fmt.Errorf("there is nothing at %q", token)
	}
	changed, err := applyStep(value, rest, step)
	if err != nil {
		return nil, err
	}
	at[token] = changed
	return at, nil
}

func stepIntoList(at []any, token string, rest []string, step windlass.JSONPatchOperation) (any, error) {
	isLast := len(rest) == 0
	if isLast && step.Op == "add" && token == "-" {
		return append(at, step.Value), nil
	}
	index, err := strconv.Atoi(token)
	inserts := isLast && step.Op == "add"
	if err != nil || index < 0 || index > len(at) || (index == len(at) && !inserts) {
		return nil, fmt.Errorf("there is nothing at %q", token)
	}
	if inserts {
		return append(append(append([]any{}, at[:index]...), step.Value), at[index:]...), nil
	}
	if isLast && step.Op == "remove" {
		return append(append([]any{}, at[:index]...), at[index+1:]...), nil
	}
	at[index], err = applyStep(at[index], rest, step)
	return at, err
}

// difference is the merge patch between two states of a typed object.
func difference[T windlass.Object](t testing.TB, before, after T) tree {
	t.Helper()
	patch, err := windlass.MergeFrom(before, after).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return parse(patch)
}
