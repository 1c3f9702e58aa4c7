package windlass

import (
	"context"
	"slices"
)

// AddFinalizer adds a finalizer to an object unless it is there, by a merge patch of the
// finalizers alone, and returns the object as it is afterwards. A change in between is a
// conflict.
func AddFinalizer[T Object](ctx context.Context, object T, name string) (T, error) {
	if object.Meta().HasFinalizer(name) {
		return object, nil
	}
	return patchFinalizers(ctx, object, append(slices.Clone(object.Meta().Finalizers), name))
}

// RemoveFinalizer removes a finalizer from an object if it is there, as [AddFinalizer]
// adds it. An object that is gone is fine. What is returned may be gone as well: it is if
// its deletion waited for this finalizer alone.
func RemoveFinalizer[T Object](ctx context.Context, object T, name string) (T, error) {
	if !object.Meta().HasFinalizer(name) {
		return object, nil
	}
	left := slices.DeleteFunc(slices.Clone(object.Meta().Finalizers), func(other string) bool {
		return other == name
	})
	patched, err := patchFinalizers(ctx, object, left)
	if IsNotFound(err) {
		return object, nil
	}
	return patched, err
}

func patchFinalizers[T Object](ctx context.Context, object T, finalizers []string) (T, error) {
	var patch struct {
		Metadata struct {
			Finalizers      []string `json:"finalizers"`
			ResourceVersion string   `json:"resourceVersion"`
		} `json:"metadata"`
	}
	patch.Metadata.Finalizers = finalizers
	patch.Metadata.ResourceVersion = object.Meta().ResourceVersion
	return Client[T]{}.Patch(ctx, KeyOf(object), MergePatch(patch))
}
