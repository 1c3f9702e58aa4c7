package windlass

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// PatchType is how a patch is read.
type PatchType uint8

// The types of patches, numbered as in the contract.
const (
	// PatchJSON is a JSON patch (RFC 6902).
	PatchJSON PatchType = iota
	// PatchMerge is a JSON merge patch (RFC 7386).
	PatchMerge
	// PatchStrategicMerge is Kubernetes' strategic merge patch, for built-in kinds only.
	PatchStrategicMerge
)

// Patch is a change of an object. An error while it was made is returned by the call that
// sends it.
type Patch struct {
	kind PatchType
	body []byte
	err  error
}

// RawPatch is a patch whose JSON is there already.
func RawPatch(kind PatchType, body []byte) Patch { return Patch{kind: kind, body: body} }

// MergePatch is a JSON merge patch: what the value marshals to replaces what is there,
// field by field; null removes a field, and lists are replaced as a whole. With
// metadata.resourceVersion in it a change in between is a conflict.
func MergePatch(value any) Patch { return marshalled(PatchMerge, value) }

// StrategicMergePatch is Kubernetes' strategic merge patch: as MergePatch, but lists of
// objects with a merge key are merged item by item, and $patch directives are obeyed.
// Custom resources do not take it ([ErrorUnsupportedMediaType]).
func StrategicMergePatch(value any) Patch { return marshalled(PatchStrategicMerge, value) }

// JSONPatchOperation is one step of a JSON patch.
type JSONPatchOperation struct {
	// Op is add, remove, replace, move, copy or test.
	Op string `json:"op"`
	// Path is a JSON pointer.
	Path string `json:"path"`
	// From is where move and copy take from.
	From string `json:"from,omitempty"`
	// Value of add, replace and test.
	Value any `json:"value,omitempty"`
}

// JSONPatch is a JSON patch: all steps apply, or none does.
func JSONPatch(operations ...JSONPatchOperation) Patch { return marshalled(PatchJSON, operations) }

// MergeFrom is the JSON merge patch that turns one state of an object into another: just
// the fields that differ, so what T does not declare stays. Make after of a copy of
// before; nil pointers, empty maps and other fields that are left out of the JSON are
// removed from the object if before had them. With [Patch.Locked] a change in between is
// a conflict.
func MergeFrom[T Object](before, after T) Patch {
	patch, err := mergeFrom(before, after)
	if err != nil {
		return Patch{err: fmt.Errorf("a %s has no JSON: %w", ResourceOf[T]().Kind, err)}
	}
	return MergePatch(patch)
}

func mergeFrom(before, after any) (map[string]any, error) {
	old, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	// Most syncs find everything as it should be, and need no trees to see it.
	if bytes.Equal(old, body) {
		return map[string]any{}, nil
	}
	oldTree, err := parse(old)
	if err != nil {
		return nil, err
	}
	tree, err := parse(body)
	if err != nil {
		return nil, err
	}
	return difference(oldTree, tree), nil
}

// parse keeps numbers as they are written: a float64 does not hold every int64.
func parse(body []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("something follows the object")
	}
	return tree, nil
}

// IsEmpty tells whether the patch changes nothing, so that it need not be sent.
func (p Patch) IsEmpty() bool {
	return p.err == nil && (string(p.body) == "{}" || string(p.body) == "[]")
}

// Locked is the merge patch with a resource version, so that a change since then is a
// conflict. An empty patch stays empty.
func (p Patch) Locked(resourceVersion string) Patch {
	if p.err != nil || p.IsEmpty() {
		return p
	}
	if p.kind == PatchJSON {
		return Patch{err: errors.New("a JSON patch is locked by a test operation")}
	}
	tree, err := parse(p.body)
	if err == nil && tree == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return Patch{err: fmt.Errorf("the patch is no JSON object: %w", err)}
	}
	metadata, ok := tree["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		tree["metadata"] = metadata
	}
	metadata["resourceVersion"] = resourceVersion
	return marshalled(p.kind, tree)
}

// difference is the merge patch from one tree to another.
func difference(before, after map[string]any) map[string]any {
	patch := map[string]any{}
	for name, value := range after {
		old, present := before[name]
		oldFields, wasObject := old.(map[string]any)
		newFields, isObject := value.(map[string]any)
		switch {
		case wasObject && isObject:
			if inner := difference(oldFields, newFields); len(inner) > 0 {
				patch[name] = inner
			}
		case !present || !reflect.DeepEqual(old, value):
			patch[name] = value
		}
	}
	for name := range before {
		if _, present := after[name]; !present {
			patch[name] = nil
		}
	}
	return patch
}

func marshalled(kind PatchType, value any) Patch {
	body, err := json.Marshal(value)
	if err != nil {
		err = fmt.Errorf("a patch has no JSON: %w", err)
	}
	return Patch{kind: kind, body: body, err: err}
}

// JSON is the patch as it travels, or the error of making it.
func (p Patch) JSON() ([]byte, error) { return p.body, p.err }
