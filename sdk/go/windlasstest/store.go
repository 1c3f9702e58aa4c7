//go:build !wasip1

package windlasstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
)

// tree is an object as JSON has it.
type tree = map[string]any

// collection is what objects of one kind are stored under.
type collection struct{ group, plural string }

// store is all objects. A stored tree is never changed, only replaced.
type store map[collection]map[windlass.Key]tree

func collectionOf(resource windlass.Resource) collection {
	return collection{resource.Group, resource.Plural}
}

func (s store) get(resource windlass.Resource, key windlass.Key) (tree, bool) {
	object, found := s[collectionOf(resource)][key]
	return object, found
}

// list is all objects of a kind by key.
func (s store) list(resource windlass.Resource) []tree {
	objects := s[collectionOf(resource)]
	keys := slices.SortedFunc(maps.Keys(objects), func(a, b windlass.Key) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	var sorted []tree
	for _, key := range keys {
		sorted = append(sorted, objects[key])
	}
	return sorted
}

// put stores an object with what the server fills in.
func (c *Cluster) put(resource windlass.Resource, object tree) tree {
	c.random++
	object = parse(encode(object))
	own := metadata(object)
	if text(own, "name") == "" {
		own["name"] = fmt.Sprintf("%s%d", text(own, "generateName"), c.random)
	}
	setDefault(own, "uid", fmt.Sprintf("uid-%d", c.random))
	setDefault(own, "creationTimestamp", c.now.Format(time.RFC3339))
	setDefault(own, "generation", float64(1))
	own["resourceVersion"] = fmt.Sprint(c.random)
	in := collectionOf(resource)
	if c.store[in] == nil {
		c.store[in] = map[windlass.Key]tree{}
	}
	key := keyOf(object)
	old := c.store[in][key]
	c.store[in][key] = object
	c.changed(in, key, old, object)
	return object
}

func (c *Cluster) remove(resource windlass.Resource, key windlass.Key) {
	in := collectionOf(resource)
	old := c.store[in][key]
	delete(c.store[in], key)
	c.changed(in, key, old, nil)
}

// answer is the API server.
func (c *Cluster) answer(call windlass.Call) (tree, error) {
	name := describe(call)
	c.requests = append(c.requests, Request{Call: name, Body: sent(call)})
	if err := c.permitted(call); err != nil {
		return nil, err
	}
	if err := c.failure(name); err != nil {
		return nil, err
	}
	switch call.Verb {
	case windlass.VerbList:
		return c.liveList(call)
	case windlass.VerbCreate:
		return c.create(call)
	case windlass.VerbUpdate:
		old, err := c.existing(call)
		if err != nil {
			return nil, err
		}
		return c.replace(call, old, parse(call.Body))
	case windlass.VerbPatch:
		return c.patch(call)
	case windlass.VerbDelete:
		return c.delete(call)
	default:
		return c.existing(call)
	}
}

func (c *Cluster) existing(call windlass.Call) (tree, error) {
	object, found := c.store.get(call.Resource, call.Key)
	if !found {
		return nil, APIError(windlass.ErrorNotFound,
			fmt.Sprintf("%s %q not found", call.Resource.Plural, call.Key.Name))
	}
	return object, nil
}

func (c *Cluster) liveList(call windlass.Call) (tree, error) {
	if call.List.FieldSelector != "" {
		return nil, APIError(windlass.ErrorBadRequest, "the fake cluster has no field selectors")
	}
	selector, err := parseSelector(call.List.LabelSelector)
	if err != nil {
		return nil, APIError(windlass.ErrorBadRequest, err.Error())
	}
	items := []any{}
	for _, object := range c.store.list(call.Resource) {
		inNamespace := call.List.Namespace == "" || keyOf(object).Namespace == call.List.Namespace
		if inNamespace && selector.Matches(labels(object)) {
			items = append(items, object)
		}
	}
	return tree{"metadata": tree{"resourceVersion": fmt.Sprint(c.random)}, "items": items}, nil
}

func (c *Cluster) create(call windlass.Call) (tree, error) {
	body := parse(call.Body)
	if call.Subresource != "" {
		_, err := c.existing(call)
		return body, err
	}
	own := metadata(body)
	if text(own, "resourceVersion") != "" {
		return nil, APIError(windlass.ErrorBadRequest, "resourceVersion should not be set on objects to be created")
	}
	if call.Key.Namespace != "" {
		own["namespace"] = call.Key.Namespace
	}
	if _, found := c.store.get(call.Resource, keyOf(body)); found {
		return nil, APIError(windlass.ErrorAlreadyExists,
			fmt.Sprintf("%s %q already exists", call.Resource.Plural, text(own, "name")))
	}
	delete(own, "uid")
	return c.put(call.Resource, body), nil
}

func (c *Cluster) patch(call windlass.Call) (tree, error) {
	old, err := c.existing(call)
	if err != nil {
		return nil, err
	}
	patched, err := applyPatch(old, call.PatchType, call.Body, isBuiltIn(call.Resource))
	if err != nil {
		return nil, err
	}
	if uid := text(metadata(patched), "uid"); uid != text(metadata(old), "uid") {
		return nil, APIError(windlass.ErrorConflict, "the UID in the precondition is another one")
	}
	return c.replace(call, old, patched)
}

// replace keeps what a write to the object or to its status may not change.
func (c *Cluster) replace(call windlass.Call, old, body tree) (tree, error) {
	version := text(metadata(body), "resourceVersion")
	if version != "" && version != text(metadata(old), "resourceVersion") {
		return nil, APIError(windlass.ErrorConflict,
			fmt.Sprintf("%s %q: the object has been modified", call.Resource.Plural, call.Key.Name))
	}
	replaced, from, kept := parse(encode(body)), old, "status"
	if call.Subresource == "status" {
		replaced, from = parse(encode(old)), body
	}
	delete(replaced, kept)
	if status, present := from[kept]; present {
		replaced[kept] = status
	}
	own := metadata(replaced)
	for _, name := range []string{"uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion"} {
		delete(own, name)
		if value, present := metadata(old)[name]; present {
			own[name] = value
		}
	}
	countGeneration(old, replaced)
	if own["deletionTimestamp"] != nil && len(list(own, "finalizers")) == 0 {
		c.remove(call.Resource, call.Key)
		return replaced, nil
	}
	if reflect.DeepEqual(replaced, old) {
		return old, nil
	}
	return c.put(call.Resource, replaced), nil
}

// countGeneration goes up if what is wanted changed.
func countGeneration(old, object tree) {
	if !reflect.DeepEqual(object["spec"], old["spec"]) {
		generation, _ := metadata(old)["generation"].(float64)
		metadata(object)["generation"] = generation + 1
	}
}

func (c *Cluster) delete(call windlass.Call) (tree, error) {
	old, err := c.existing(call)
	if err != nil {
		return nil, err
	}
	own := metadata(old)
	for name, wanted := range map[string]string{"uid": call.Delete.UID, "resourceVersion": call.Delete.ResourceVersion} {
		if wanted != "" && wanted != text(own, name) {
			return nil, APIError(windlass.ErrorConflict, "the precondition on "+name+" does not hold")
		}
	}
	object := parse(encode(old))
	own = metadata(object)
	switch call.Delete.PropagationPolicy {
	case windlass.PropagationForeground:
		own["finalizers"] = append(list(own, "finalizers"), "foregroundDeletion")
	case windlass.PropagationOrphan:
		own["finalizers"] = append(list(own, "finalizers"), "orphan")
	}
	if len(list(own, "finalizers")) == 0 {
		c.remove(call.Resource, call.Key)
		return old, nil
	}
	if own["deletionTimestamp"] != nil {
		return old, nil
	}
	own["deletionTimestamp"] = c.now.Format(time.RFC3339)
	return c.put(call.Resource, object), nil
}

// permitted checks a call against the manifest, as the host checks it against what the
// module was granted: reading what is watched needs no rule.
func (c *Cluster) permitted(call windlass.Call) error {
	resource := call.Resource.Plural
	if call.Subresource != "" {
		resource += "/" + call.Subresource
	}
	reads := call.Verb == windlass.VerbGet || call.Verb == windlass.VerbList
	for _, watch := range c.manifest.Watches {
		if reads && call.Subresource == "" && collectionOf(watch.Resource) == collectionOf(call.Resource) {
			return nil
		}
	}
	has := func(list []string, wanted string) bool {
		return slices.Contains(list, wanted) || slices.Contains(list, "*")
	}
	verb := verbs[call.Verb]
	for _, rule := range c.manifest.Permissions {
		if has(rule.Groups, call.Resource.Group) && has(rule.Resources, resource) && has(rule.Verbs, verb) {
			return nil
		}
	}
	return APIError(windlass.ErrorNotPermitted,
		fmt.Sprintf("the manifest does not ask for %s on %s in API group %q", verb, resource, call.Resource.Group))
}

var verbs = map[windlass.Verb]string{
	windlass.VerbGet:    "get",
	windlass.VerbList:   "list",
	windlass.VerbCreate: "create",
	windlass.VerbUpdate: "update",
	windlass.VerbPatch:  "patch",
	windlass.VerbDelete: "delete",
}

// describe is a call as tests read it.
func describe(call windlass.Call) string {
	resource := call.Resource.Plural
	if call.Subresource != "" {
		resource += "/" + call.Subresource
	}
	return strings.TrimSpace(verbs[call.Verb] + " " + resource + " " + call.Key.String())
}

// sent is what a call sends, deletions' options as they travel.
func sent(call windlass.Call) string {
	if call.Verb != windlass.VerbDelete {
		return string(call.Body)
	}
	options, preconditions := tree{}, tree{}
	policies := map[windlass.PropagationPolicy]string{
		windlass.PropagationBackground: "Background",
		windlass.PropagationForeground: "Foreground",
		windlass.PropagationOrphan:     "Orphan",
	}
	if policy, set := policies[call.Delete.PropagationPolicy]; set {
		options["propagationPolicy"] = policy
	}
	if call.Delete.GracePeriodSeconds != nil {
		options["gracePeriodSeconds"] = *call.Delete.GracePeriodSeconds
	}
	if call.Delete.UID != "" {
		preconditions["uid"] = call.Delete.UID
	}
	if call.Delete.ResourceVersion != "" {
		preconditions["resourceVersion"] = call.Delete.ResourceVersion
	}
	if len(preconditions) > 0 {
		options["preconditions"] = preconditions
	}
	if len(options) == 0 {
		return ""
	}
	return string(encode(options))
}

// resourceOf is the resource of an object by its apiVersion and kind.
func (c *Cluster) resourceOf(object tree) windlass.Resource {
	apiVersion, kind := text(object, "apiVersion"), text(object, "kind")
	for _, watch := range c.manifest.Watches {
		if watch.Resource.APIVersion() == apiVersion && watch.Resource.Kind == kind {
			return watch.Resource
		}
	}
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	return windlass.Resource{Group: group, Version: version, Kind: kind, Plural: strings.ToLower(kind) + "s"}
}

// isBuiltIn tells whether a group is Kubernetes' own, whose kinds take strategic merges.
func isBuiltIn(resource windlass.Resource) bool {
	return !strings.Contains(resource.Group, ".") || strings.HasSuffix(resource.Group, ".k8s.io")
}

func keyOf(object tree) windlass.Key {
	own := metadata(object)
	return windlass.Key{Namespace: text(own, "namespace"), Name: text(own, "name")}
}

// metadata is an object's, which it has afterwards.
func metadata(object tree) tree {
	own, ok := object["metadata"].(tree)
	if !ok {
		own = tree{}
		object["metadata"] = own
	}
	return own
}

func labels(object tree) map[string]string {
	found := map[string]string{}
	values, _ := metadata(object)["labels"].(tree)
	for name, value := range values {
		found[name], _ = value.(string)
	}
	return found
}

func text(fields tree, name string) string {
	value, _ := fields[name].(string)
	return value
}

func list(fields tree, name string) []any {
	values, _ := fields[name].([]any)
	return values
}

func setDefault(fields tree, name string, value any) {
	if fields[name] == nil {
		fields[name] = value
	}
}

func encode(object any) []byte {
	body, err := json.Marshal(object)
	if err != nil {
		panic(err) // A tree came from JSON.
	}
	return body
}

// parse reads a body, which the SDK has made.
func parse(body []byte) tree {
	var object tree
	if err := json.Unmarshal(body, &object); err != nil {
		panic(fmt.Sprintf("windlasstest: a body is no JSON object: %s", body))
	}
	return object
}
