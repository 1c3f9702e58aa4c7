package windlass

import (
	"context"
	"encoding/json"
	"fmt"
)

// Client makes API calls about one kind of object. The zero value is ready:
//
//	var configMaps windlass.Client[*ConfigMap]
//
// Every call takes the context of the sync that it is made for, counts against the module's
// budget, and is checked against its permissions first. The host retries nothing: an error
// is an [*APIError], usually to be returned from SyncHandler, which tries again with
// back-off. A call that the context's end prevents returns the context's error.
type Client[T Object] struct{}

// List is one page of a live list.
type List[T Object] struct {
	// Items of the page.
	Items []T
	// ResourceVersion that the list was read at.
	ResourceVersion string
	// Continue, for the next page; empty on the last one.
	Continue string
	// RemainingItemCount is how many items further pages have, if the server says so.
	RemainingItemCount *int64
}

// ListOptions is what a live list covers. The zero value: everything at once.
type ListOptions struct {
	// Namespace; empty for all.
	Namespace string
	// LabelSelector in string form; empty for every object.
	LabelSelector string
	// FieldSelector in string form; empty for every object.
	FieldSelector string
	// Limit is the size of a page; 0 for everything at once.
	Limit uint32
	// Continue of the page before.
	Continue string
}

// PropagationPolicy is what becomes of the objects that a deleted one owns.
type PropagationPolicy uint8

// The policies.
const (
	// PropagationDefault: what the server does by default for the resource.
	PropagationDefault PropagationPolicy = iota
	// PropagationBackground: they are deleted afterwards.
	PropagationBackground
	// PropagationForeground: they are deleted first.
	PropagationForeground
	// PropagationOrphan: they stay.
	PropagationOrphan
)

// DeleteOptions is how to delete. The zero value leaves every choice to the server.
type DeleteOptions struct {
	// PropagationPolicy for what the object owns.
	PropagationPolicy PropagationPolicy
	// GracePeriodSeconds that the object has to go, if not nil.
	GracePeriodSeconds *uint32
	// UID is a precondition if not empty: an object of the same name with another UID is a
	// conflict.
	UID string
	// ResourceVersion is a precondition if not empty.
	ResourceVersion string
}

// Get is a live read, not from the caches.
func (c Client[T]) Get(ctx context.Context, key Key) (T, error) {
	return c.answer(call(ctx, Call{Verb: VerbGet, Resource: ResourceOf[T](), Key: key}))
}

// List is a live list, not from the caches.
func (Client[T]) List(ctx context.Context, options ListOptions) (List[T], error) {
	body, err := call(ctx, Call{
		Verb:     VerbList,
		Resource: ResourceOf[T](),
		Key:      Key{Namespace: options.Namespace},
		List:     options,
	})
	if err != nil {
		return List[T]{}, err
	}
	var page struct {
		Metadata struct {
			ResourceVersion    string `json:"resourceVersion"`
			Continue           string `json:"continue"`
			RemainingItemCount *int64 `json:"remainingItemCount"`
		} `json:"metadata"`
		Items []T `json:"items"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return List[T]{}, undecodable(err)
	}
	return List[T]{
		Items:              page.Items,
		ResourceVersion:    page.Metadata.ResourceVersion,
		Continue:           page.Metadata.Continue,
		RemainingItemCount: page.Metadata.RemainingItemCount,
	}, nil
}

// Create creates an object, whose metadata has a Name or a GenerateName, and returns what
// the server made of it.
func (c Client[T]) Create(ctx context.Context, object T) (T, error) {
	return c.send(ctx, VerbCreate, Key{Namespace: object.Meta().Namespace}, "", object)
}

// Update replaces an object. With a ResourceVersion in its metadata a change in between is
// a conflict.
//
// The server keeps nothing that T does not declare, so this is for types that declare
// everything; for others there is Patch with [MergeFrom].
func (c Client[T]) Update(ctx context.Context, object T) (T, error) {
	return c.send(ctx, VerbUpdate, KeyOf(object), "", object)
}

// UpdateStatus replaces the status of an object through its status subresource, and
// nothing else of it. With a ResourceVersion in its metadata a change in between is a
// conflict.
func (c Client[T]) UpdateStatus(ctx context.Context, object T) (T, error) {
	return c.send(ctx, VerbUpdate, KeyOf(object), "status", object)
}

// Patch changes an object.
func (c Client[T]) Patch(ctx context.Context, key Key, patch Patch) (T, error) {
	return c.patch(ctx, key, "", patch)
}

// PatchStatus changes the status of an object through its status subresource.
func (c Client[T]) PatchStatus(ctx context.Context, key Key, patch Patch) (T, error) {
	return c.patch(ctx, key, "status", patch)
}

// Delete deletes an object. It may stay for a while with a deletion timestamp.
func (Client[T]) Delete(ctx context.Context, key Key, options DeleteOptions) error {
	_, err := call(ctx, Call{Verb: VerbDelete, Resource: ResourceOf[T](), Key: key, Delete: options})
	return err
}

// Subresource makes calls about a subresource, such as scale, binding or eviction.
func (Client[T]) Subresource(name string) SubresourceClient {
	return SubresourceClient{resource: ResourceOf[T](), name: name}
}

func (c Client[T]) send(ctx context.Context, verb Verb, key Key, subresource string, object T) (T, error) {
	body, err := Encode(object)
	if err != nil {
		var none T
		return none, err
	}
	return c.answer(call(ctx, Call{
		Verb: verb, Resource: ResourceOf[T](), Key: key, Subresource: subresource, Body: body,
	}))
}

func (c Client[T]) patch(ctx context.Context, key Key, subresource string, patch Patch) (T, error) {
	if patch.err != nil {
		var none T
		return none, patch.err
	}
	return c.answer(call(ctx, Call{
		Verb: VerbPatch, Resource: ResourceOf[T](), Key: key, Subresource: subresource,
		Body: patch.body, PatchType: patch.kind,
	}))
}

func (Client[T]) answer(body []byte, err error) (T, error) {
	var object T
	if err != nil {
		return object, err
	}
	object, err = Decode[T](body)
	if err != nil {
		return object, undecodable(err)
	}
	return object, nil
}

// SubresourceClient makes API calls about one subresource of one kind of object. Bodies
// and answers are of whatever type the subresource has, and into may be nil.
type SubresourceClient struct {
	resource Resource
	name     string
}

// Get reads the subresource of an object into a value.
func (s SubresourceClient) Get(ctx context.Context, key Key, into any) error {
	return s.send(ctx, Call{Verb: VerbGet, Key: key}, into)
}

// Create posts a body to the subresource of an object and reads the answer into a value.
// The body has its own apiVersion and kind.
func (s SubresourceClient) Create(ctx context.Context, key Key, body, into any) error {
	return s.sendBody(ctx, Call{Verb: VerbCreate, Key: key}, body, into)
}

// Update replaces the subresource of an object and reads the answer into a value. The body
// has its own apiVersion and kind.
func (s SubresourceClient) Update(ctx context.Context, key Key, body, into any) error {
	return s.sendBody(ctx, Call{Verb: VerbUpdate, Key: key}, body, into)
}

// Patch changes the subresource of an object and reads the answer into a value.
func (s SubresourceClient) Patch(ctx context.Context, key Key, patch Patch, into any) error {
	if patch.err != nil {
		return patch.err
	}
	return s.send(ctx, Call{Verb: VerbPatch, Key: key, Body: patch.body, PatchType: patch.kind}, into)
}

func (s SubresourceClient) sendBody(ctx context.Context, request Call, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("the body for %s has no JSON: %w", s.name, err)
	}
	request.Body = encoded
	return s.send(ctx, request, into)
}

func (s SubresourceClient) send(ctx context.Context, request Call, into any) error {
	request.Resource, request.Subresource = s.resource, s.name
	body, err := call(ctx, request)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return undecodable(err)
	}
	return nil
}

// DynamicClient makes API calls about a resource that is known at run time only, such as
// one of [Resolve], with JSON as it travels. [Client] is for everything else.
type DynamicClient struct {
	// Resource that the calls are about.
	Resource Resource
	// Subresource such as status; empty for the object itself.
	Subresource string
}

// Get is a live read.
func (c DynamicClient) Get(ctx context.Context, key Key) ([]byte, error) {
	return c.send(ctx, Call{Verb: VerbGet, Key: key})
}

// List is one page of a live list.
func (c DynamicClient) List(ctx context.Context, options ListOptions) ([]byte, error) {
	return c.send(ctx, Call{Verb: VerbList, Key: Key{Namespace: options.Namespace}, List: options})
}

// Create posts a body.
func (c DynamicClient) Create(ctx context.Context, key Key, body []byte) ([]byte, error) {
	return c.send(ctx, Call{Verb: VerbCreate, Key: key, Body: body})
}

// Update puts a body.
func (c DynamicClient) Update(ctx context.Context, key Key, body []byte) ([]byte, error) {
	return c.send(ctx, Call{Verb: VerbUpdate, Key: key, Body: body})
}

// Patch changes an object.
func (c DynamicClient) Patch(ctx context.Context, key Key, patch Patch) ([]byte, error) {
	if patch.err != nil {
		return nil, patch.err
	}
	return c.send(ctx, Call{Verb: VerbPatch, Key: key, Body: patch.body, PatchType: patch.kind})
}

// Delete deletes an object, and returns it or a Status.
func (c DynamicClient) Delete(ctx context.Context, key Key, options DeleteOptions) ([]byte, error) {
	return c.send(ctx, Call{Verb: VerbDelete, Key: key, Delete: options})
}

func (c DynamicClient) send(ctx context.Context, request Call) ([]byte, error) {
	request.Resource, request.Subresource = c.Resource, c.Subresource
	return call(ctx, request)
}

func call(ctx context.Context, request Call) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	request.Sync = syncOf(ctx)
	return host().Call(request)
}

// undecodable is an answer that is not what its type promises.
func undecodable(err error) error {
	return &APIError{Kind: ErrorOther, Message: fmt.Sprintf("the server's answer does not parse: %v", err)}
}
