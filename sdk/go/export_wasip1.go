package windlass

import (
	"context"
	"log/slog"

	handler "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/export_windlass_controller_handler"
	manifest "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_manifest"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_types"
	// The exports themselves.
	_ "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/wit_exports"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

// exported is a controller as the contract sees it.
type exported struct{ controller Controller }

func export(controller Controller) {
	slog.SetDefault(slog.New(NewLogHandler()))
	handler.Registered = exported{controller}
}

func (e exported) Describe() manifest.Manifest {
	declared := e.controller.Manifest()
	watches := make([]manifest.Watch, len(declared.Watches))
	for i, watch := range declared.Watches {
		watches[i] = witWatch(watch)
	}
	permissions := make([]manifest.Permission, len(declared.Permissions))
	for i, permission := range declared.Permissions {
		permissions[i] = manifest.Permission(permission)
	}
	return manifest.Manifest{
		Name:        declared.Name,
		Version:     declared.Version,
		Watches:     watches,
		Workers:     max(declared.Workers, 1),
		Permissions: permissions,
		ApiQps:      declared.APIQPS,
		ApiBurst:    declared.APIBurst,
	}
}

func witWatch(watch Watch) manifest.Watch {
	target := manifest.MakeWatchTargetOne(apiResource(watch.Resource))
	view := witView(watch.View)
	if watch.Discovered != nil {
		target, view = manifest.MakeWatchTargetDiscovered(watch.Discovered.Except), manifest.MakeViewMetadata()
	}
	on := watch.On
	if on == 0 {
		on = OnAdded | OnUpdated | OnDeleted
	}
	indexes := make([]manifest.Index, len(watch.Indexes))
	for i, index := range watch.Indexes {
		indexes[i] = manifest.Index(index)
	}
	return manifest.Watch{
		Target:        target,
		LabelSelector: watch.LabelSelector,
		View:          view,
		Enqueue:       witEnqueue(watch.Enqueue),
		On:            uint8(on),
		Observe:       watch.Observe,
		OldBodies:     watch.OldBodies,
		Indexes:       indexes,
	}
}

func witView(view View) manifest.View {
	switch view.Kind {
	case ViewKindFields:
		return manifest.MakeViewFields(view.Paths)
	case ViewKindMetadata:
		return manifest.MakeViewMetadata()
	default:
		return manifest.MakeViewFull()
	}
}

func witEnqueue(rule EnqueueRule) manifest.EnqueueRule {
	switch rule.Kind {
	case EnqueueKindItself:
		return manifest.MakeEnqueueRuleItself()
	case EnqueueKindOwner:
		return manifest.MakeEnqueueRuleOwner(manifest.OwnerRule{
			Group: rule.Owner.Group, Kind: rule.Owner.Kind, Orphans: uint8(rule.Orphans),
		})
	case EnqueueKindMapped:
		return manifest.MakeEnqueueRuleMapper()
	default:
		return manifest.MakeEnqueueRuleNone()
	}
}

func (e exported) Start() wit.Result[wit.Unit, string] {
	if err := Start(context.Background(), e.controller); err != nil {
		return wit.Err[wit.Unit, string](err.Error())
	}
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

func (e exported) SyncHandler(sync uint64, key types.ObjectKey) handler.SyncResult {
	// Cancelled at the end, so that what a sync left running stops with it.
	ctx, cancel := context.WithCancel(WithSync(context.Background(), sync))
	defer cancel()
	result, err := e.controller.SyncHandler(ctx, Key(key))
	switch {
	case IsTerminal(err):
		return wit.Err[types.Outcome](types.MakeSyncErrorTerminal(err.Error()))
	case err != nil:
		return wit.Err[types.Outcome](types.MakeSyncErrorRetry(err.Error()))
	case result.RequeueAfter > 0:
		after := types.MakeOutcomeRequeueAfter(milliseconds(result.RequeueAfter))
		return wit.Ok[types.Outcome, types.SyncError](after)
	default:
		return wit.Ok[types.Outcome, types.SyncError](types.MakeOutcomeDone())
	}
}
