//go:build !wasip1

package windlasstest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

// queue is what is to be synced.
type queue struct {
	// By events.
	ready []windlass.Key
	// After a failure; their turn comes when nothing else is due.
	retried []windlass.Key
	// Enqueued by the controller, in whole.
	added []windlass.Item
	// When keys are due that asked for it.
	due map[windlass.Key]time.Time
}

func (q *queue) add(keys ...windlass.Key) {
	for _, key := range keys {
		if !slices.Contains(q.ready, key) {
			q.ready = append(q.ready, key)
		}
	}
}

func (q *queue) delay(key windlass.Key, now time.Time, after time.Duration) {
	delete(q.due, key)
	if after > 0 {
		if q.due == nil {
			q.due = map[windlass.Key]time.Time{}
		}
		q.due[key] = now.Add(after)
	}
}

// next takes the key that is due, if one is.
func (c *Cluster) next() (windlass.Key, bool) {
	q := &c.queue
	for _, item := range take(&q.added) {
		if item.After <= 0 {
			q.add(item.Key)
		} else {
			q.delay(item.Key, c.now, item.After)
		}
	}
	var over []windlass.Key
	for key, at := range q.due {
		if !at.After(c.now) {
			over = append(over, key)
			delete(q.due, key)
		}
	}
	slices.SortFunc(over, func(a, b windlass.Key) int { return strings.Compare(a.String(), b.String()) })
	q.add(over...)
	if len(q.ready) == 0 {
		q.ready, q.retried = q.retried, nil
	}
	if len(q.ready) == 0 {
		return windlass.Key{}, false
	}
	key := q.ready[0]
	q.ready = q.ready[1:]
	q.retried = slices.DeleteFunc(q.retried, func(other windlass.Key) bool { return other == key })
	return key, true
}

// changed turns a change into keys, by the rules of the watches that cover it.
func (c *Cluster) changed(in collection, key windlass.Key, old, object tree) {
	for position, watch := range c.manifest.Watches {
		if watch.Discovered != nil || collectionOf(watch.Resource) != in {
			continue
		}
		before, after := c.visible(watch, old), c.visible(watch, object)
		kind := windlass.OnUpdated
		switch {
		case before == nil && after == nil:
			continue
		case before == nil:
			kind = windlass.OnAdded
		case after == nil:
			kind = windlass.OnDeleted
		}
		if watch.On == 0 || watch.On&kind != 0 {
			c.queue.add(c.keysOf(position, watch, key, before, after)...)
		}
	}
}

// visible is an object as a watch shows it, or nil.
func (c *Cluster) visible(watch windlass.Watch, object tree) tree {
	selector, err := parseSelector(watch.LabelSelector)
	if err != nil {
		c.t.Fatal(err)
	}
	if object == nil || !selector.Matches(labels(object)) {
		return nil
	}
	return prune(object, watch.View)
}

func (c *Cluster) keysOf(position int, watch windlass.Watch, key windlass.Key, before, after tree) []windlass.Key {
	switch watch.Enqueue.Kind {
	case windlass.EnqueueKindItself:
		return []windlass.Key{key}
	case windlass.EnqueueKindOwner:
		return c.owners(watch.Enqueue, before, after)
	case windlass.EnqueueKindMapped:
		return c.mapped(position, watch, key, before, after)
	}
	return nil
}

func (c *Cluster) owners(rule windlass.EnqueueRule, states ...tree) []windlass.Key {
	var keys []windlass.Key
	for i, object := range states {
		if object == nil {
			continue
		}
		owner := controllerOf(object)
		group, _, found := strings.Cut(text(owner, "apiVersion"), "/")
		if !found {
			group = ""
		}
		isCurrent := i == len(states)-1
		switch {
		case owner != nil && group == rule.Owner.Group && text(owner, "kind") == rule.Owner.Kind:
			keys = append(keys, windlass.Key{Namespace: keyOf(object).Namespace, Name: text(owner, "name")})
		case owner == nil && isCurrent && rule.Orphans == windlass.MatchOrphans:
			keys = append(keys, c.adopters(object)...)
		}
	}
	return keys
}

// adopters are the objects of watch 0 whose selector matches an orphan.
func (c *Cluster) adopters(orphan tree) []windlass.Key {
	var keys []windlass.Key
	for _, candidate := range c.store.list(c.manifest.Watches[0].Resource) {
		spec, _ := candidate["spec"].(tree)
		stated, _ := spec["selector"].(tree)
		selector := selectorOf(stated)
		isEmpty := selector.String() == ""
		if !isEmpty && keyOf(candidate).Namespace == keyOf(orphan).Namespace && selector.Matches(labels(orphan)) {
			keys = append(keys, keyOf(candidate))
		}
	}
	return keys
}

// selectorOf reads a LabelSelector, or the plain labels that older kinds have.
func selectorOf(stated tree) *meta.LabelSelector {
	selector := &meta.LabelSelector{MatchLabels: map[string]string{}}
	if stated["matchLabels"] != nil || stated["matchExpressions"] != nil {
		stated, _ = stated["matchLabels"].(tree)
	}
	for name, value := range stated {
		selector.MatchLabels[name], _ = value.(string)
	}
	return selector
}

func (c *Cluster) mapped(
	position int, watch windlass.Watch, key windlass.Key, before, after tree,
) []windlass.Key {
	mapper, ok := c.controller.(windlass.Mapper)
	if !ok {
		c.t.Fatalf("watch %d is mapped, and the controller is no Mapper", position)
	}
	event := windlass.Event{Watch: position, Key: key}
	if after == nil {
		before, after = nil, before
	}
	event.Body = encode(after)
	if before != nil && watch.OldBodies {
		event.Old = encode(before)
	}
	return mapper.KeysFor(event)
}

func controllerOf(object tree) tree {
	for _, reference := range list(metadata(object), "ownerReferences") {
		if fields, ok := reference.(tree); ok && fields["controller"] == true {
			return fields
		}
	}
	return nil
}

// prune leaves what a view asks for and no more, so that a test fails where a view is too
// narrow.
func prune(object tree, view windlass.View) tree {
	if view.Kind == windlass.ViewKindFull {
		return object
	}
	pruned := tree{}
	for _, path := range append([]string{"apiVersion", "kind", "metadata"}, view.Paths...) {
		pruned = join(pruned, cut(object, strings.Split(path, "."))).(tree)
	}
	return pruned
}

// cut leaves what lies on a path, or nil.
func cut(at any, path []string) any {
	if len(path) == 0 {
		return at
	}
	switch at := at.(type) {
	case tree:
		if inner := cut(at[path[0]], path[1:]); inner != nil {
			return tree{path[0]: inner}
		}
	case []any:
		items := make([]any, len(at))
		for i, item := range at {
			if items[i] = cut(item, path); items[i] == nil {
				items[i] = tree{}
			}
		}
		return items
	}
	return nil
}

// join is two cuts of one object together.
func join(one, other any) any {
	switch one := one.(type) {
	case tree:
		fields, _ := other.(tree)
		joined := tree{}
		for name, value := range one {
			joined[name] = value
		}
		for name, value := range fields {
			if present, ok := joined[name]; ok {
				value = join(present, value)
			}
			joined[name] = value
		}
		return joined
	case []any:
		items, _ := other.([]any)
		joined := append([]any{}, one...)
		for i := range min(len(items), len(joined)) {
			joined[i] = join(joined[i], items[i])
		}
		return joined
	}
	return one
}

// parseSelector reads a label selector in its string form.
func parseSelector(selector string) (*meta.LabelSelector, error) {
	parsed := &meta.LabelSelector{}
	for _, term := range splitTerms(selector) {
		requirement, err := parseTerm(term)
		if err != nil {
			return nil, err
		}
		parsed.MatchExpressions = append(parsed.MatchExpressions, requirement)
	}
	return parsed, nil
}

// splitTerms splits at the commas that are in no parentheses.
func splitTerms(selector string) []string {
	depth := 0
	return strings.FieldsFunc(selector, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return r == ',' && depth == 0
	})
}

func parseTerm(term string) (meta.LabelSelectorRequirement, error) {
	term = strings.TrimSpace(term)
	for _, form := range []struct {
		sign     string
		operator meta.LabelSelectorOperator
	}{
		{" notin ", meta.OperatorNotIn},
		{" in ", meta.OperatorIn},
		{"!=", meta.OperatorNotIn},
		{"==", meta.OperatorIn},
		{"=", meta.OperatorIn},
	} {
		if key, values, found := strings.Cut(term, form.sign); found {
			values = strings.Trim(strings.TrimSpace(values), "()")
			requirement := meta.LabelSelectorRequirement{Key: strings.TrimSpace(key), Operator: form.operator}
			for _, value := range strings.Split(values, ",") {
				requirement.Values = append(requirement.Values, strings.TrimSpace(value))
			}
			return requirement, nil
		}
	}
	key, negated := strings.CutPrefix(term, "!")
	if key == "" || strings.ContainsAny(key, " ()") {
		return meta.LabelSelectorRequirement{}, fmt.Errorf("the label selector does not parse: %q", term)
	}
	if negated {
		return meta.LabelSelectorRequirement{Key: key, Operator: meta.OperatorDoesNotExist}, nil
	}
	return meta.LabelSelectorRequirement{Key: key, Operator: meta.OperatorExists}, nil
}
