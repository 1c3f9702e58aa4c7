package windlass

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/windlass-dev/windlass/sdk/go/meta"
)

// Claim reconciles who controls a set of objects with who should, by the rules of
// Kubernetes' own controllers: the owner's own that match its selector are kept, its own
// that do not are released, matching orphans in its namespace are adopted. It returns what
// the owner controls afterwards, in the order of the candidates, which usually are
// [Lister.ByOwner] and [Lister.Orphans] together.
//
// Before the first adoption the owner is read live, since the cache may not know yet that
// it was deleted or replaced. One failure does not keep the rest from being tried; all are
// joined. Needed permissions: get on the owner, patch on the candidates.
func Claim[O, T Object](ctx context.Context, owner O, selector *meta.LabelSelector, candidates []T) ([]T, error) {
	c := claim[O]{ctx: ctx, owner: owner}
	var claimed []T
	var failures []error
	for _, candidate := range candidates {
		isOwn, err := claimOne(&c, selector, candidate)
		if err != nil {
			failures = append(failures, err)
		} else if isOwn {
			claimed = append(claimed, candidate)
		}
	}
	if len(failures) > 0 {
		return nil, errors.Join(failures...)
	}
	return claimed, nil
}

type claim[O Object] struct {
	ctx   context.Context
	owner O
	// Whether the owner may adopt, found out once at most.
	asked   bool
	refusal error
}

func claimOne[O, T Object](c *claim[O], selector *meta.LabelSelector, object T) (bool, error) {
	own, owner := object.Meta(), c.owner.Meta()
	matches := selector.Matches(own.Labels)
	controller := own.Controller()
	switch {
	case controller != nil && controller.UID != owner.UID:
		return false, nil
	case controller != nil && matches:
		return true, nil
	case controller != nil && owner.IsDeleting():
		return false, nil
	case controller != nil:
		return false, release(c, object)
	case owner.IsDeleting() || !matches || own.IsDeleting() || own.Namespace != owner.Namespace:
		return false, nil
	default:
		return adopt(c, object)
	}
}

func adopt[O, T Object](c *claim[O], object T) (bool, error) {
	if !c.asked {
		c.asked, c.refusal = true, c.mayAdopt()
	}
	if c.refusal != nil {
		return false, fmt.Errorf("cannot adopt %s %s: %w", object.Resource().Kind, KeyOf(object), c.refusal)
	}
	reference := ControllerReference(c.owner)
	err := patchOwners(c.ctx, object, reference, append(slices.Clone(object.Meta().OwnerReferences), reference))
	if err != nil {
		return false, IgnoreNotFound(err)
	}
	return true, nil
}

// release removes the owner's reference. An object that is gone, or no longer what it was,
// is not the owner's either.
func release[O, T Object](c *claim[O], object T) error {
	uid := c.owner.Meta().UID
	left := slices.DeleteFunc(slices.Clone(object.Meta().OwnerReferences), func(reference meta.OwnerReference) bool {
		return reference.UID == uid
	})
	removal := map[string]string{"$patch": "delete", "uid": uid}
	err := patchOwners(c.ctx, object, removal, left)
	if IsNotFound(err) || IsInvalid(err) {
		return nil
	}
	return err
}

func (c *claim[O]) mayAdopt() error {
	live, err := Client[O]{}.Get(c.ctx, KeyOf(c.owner))
	if err != nil {
		return err
	}
	kind, key := c.owner.Resource().Kind, KeyOf(c.owner)
	if live.Meta().UID != c.owner.Meta().UID {
		return fmt.Errorf("the original %s %s is gone", kind, key)
	}
	if live.Meta().IsDeleting() {
		return fmt.Errorf("%s %s is being deleted", kind, key)
	}
	return nil
}

// patchOwners makes a change of owners with the object's UID as a precondition: merged by
// UID where the kind takes that, else the whole list, provided that nothing changed.
func patchOwners[T Object](ctx context.Context, object T, change any, all []meta.OwnerReference) error {
	type metadata struct {
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion,omitempty"`
		OwnerReferences any    `json:"ownerReferences"`
	}
	type patch struct {
		Metadata metadata `json:"metadata"`
	}
	own := object.Meta()
	merged := patch{metadata{UID: own.UID, OwnerReferences: []any{change}}}
	_, err := Client[T]{}.Patch(ctx, KeyOf(object), StrategicMergePatch(merged))
	if !isKind(err, ErrorUnsupportedMediaType) {
		return err
	}
	whole := patch{metadata{UID: own.UID, ResourceVersion: own.ResourceVersion, OwnerReferences: all}}
	_, err = Client[T]{}.Patch(ctx, KeyOf(object), MergePatch(whole))
	return err
}
