// Runs a web server for each WebApp: a ConfigMap, a Deployment and a Service, kept as the
// WebApp says, and a status that says how it goes.
package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

const (
	finalizer = "examples.windlass.dev/webapp"
	ready     = "Ready"
)

// Positions in the manifest.
const (
	watchWebApps = iota
	watchConfigMaps
	watchDeployments
	watchServices
)

var (
	webApps     = windlass.NewLister[*WebApp](watchWebApps)
	configMaps  = windlass.NewLister[*ConfigMap](watchConfigMaps)
	deployments = windlass.NewLister[*Deployment](watchDeployments)
	services    = windlass.NewLister[*Service](watchServices)
)

type controller struct{}

func (controller) Manifest() windlass.Manifest {
	byOwner := windlass.EnqueueOwner[*WebApp](windlass.IgnoreOrphans)
	return windlass.Manifest{
		Name:    "webapp-go",
		Version: "0.1.0",
		Watches: []windlass.Watch{
			watchWebApps:    {Resource: windlass.ResourceOf[*WebApp](), Enqueue: windlass.EnqueueItself()},
			watchConfigMaps: {Resource: windlass.ResourceOf[*ConfigMap](), View: windlass.Fields("data"), Enqueue: byOwner},
			watchDeployments: {
				Resource: windlass.ResourceOf[*Deployment](),
				View: windlass.Fields(
					"spec.replicas", "spec.template.metadata", "spec.template.spec.containers.name",
					"spec.template.spec.containers.image", "spec.template.spec.containers.ports",
					"spec.template.spec.containers.envFrom", "status.readyReplicas",
				),
				Enqueue: byOwner,
			},
			watchServices: {
				Resource: windlass.ResourceOf[*Service](),
				View:     windlass.Fields("spec.selector", "spec.ports"),
				Enqueue:  byOwner,
			},
		},
		Permissions: []windlass.Permission{
			{Groups: []string{"examples.windlass.dev"}, Resources: []string{"webapps"}, Verbs: []string{"patch"}},
			{Groups: []string{"examples.windlass.dev"}, Resources: []string{"webapps/status"}, Verbs: []string{"update"}},
			{Groups: []string{"examples.windlass.dev"}, Resources: []string{"webapps/finalizers"}, Verbs: []string{"update"}},
			{Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create", "patch"}},
			{Groups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"create", "patch"}},
			{Groups: []string{""}, Resources: []string{"services"}, Verbs: []string{"create", "patch", "delete"}},
		},
		// A new WebApp is six writes, and its rollout a few more.
		APIQPS:   50,
		APIBurst: 100,
	}
}

func (controller) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
	app, found, err := webApps.Get(key)
	if err != nil || !found {
		return windlass.Result{}, err
	}
	if app.IsDeleting() {
		return windlass.Result{}, finalize(ctx, app)
	}
	if app, err = windlass.AddFinalizer(ctx, app, finalizer); err != nil {
		return windlass.Result{}, err
	}
	err = run(ctx, app)
	var taken *nameTaken
	if err != nil && !errors.As(err, &taken) {
		return windlass.Result{}, err
	}
	if err := writeStatus(ctx, app, taken); err != nil {
		return windlass.Result{}, err
	}
	return windlass.Result{}, windlass.TerminalError(err)
}

// run makes everything that a WebApp owns what it should be.
func run(ctx context.Context, app *WebApp) error {
	if err := ensure(ctx, app, configMaps, configMapOf(app), correctConfigMap); err != nil {
		return err
	}
	if err := ensure(ctx, app, deployments, deploymentOf(app), correctDeployment); err != nil {
		return err
	}
	return ensure(ctx, app, services, serviceOf(app), correctService)
}

// nameTaken is an object of somebody else's where one of ours should be.
type nameTaken struct {
	kind string
	key  windlass.Key
}

func (e *nameTaken) Error() string { return fmt.Sprintf("%s %s is not this WebApp's", e.kind, e.key) }

// ensure creates an object that is missing, and corrects one that is not what it should be.
func ensure[T windlass.Object](
	ctx context.Context, app *WebApp, lister windlass.Lister[T], wanted T,
	correct func(current, wanted T) windlass.Patch,
) error {
	key, kind := windlass.KeyOf(wanted), wanted.Resource().Kind
	current, found, err := lister.Get(key)
	switch {
	case err != nil:
		return err
	case !found:
		return create(ctx, app, wanted)
	case !current.Meta().IsControlledBy(app.Meta()):
		return &nameTaken{kind, key}
	}
	patch := correct(current, wanted)
	if patch.IsEmpty() {
		return nil
	}
	_, err = windlass.Client[T]{}.Patch(ctx, key, patch.Locked(current.Meta().ResourceVersion))
	if err == nil {
		windlass.Eventf(app, windlass.EventNormal, "Drifted", "Corrected %s %s", kind, key.Name)
	}
	return err
}

// create asks whose an object is that the cache does not have and the server does.
func create[T windlass.Object](ctx context.Context, app *WebApp, wanted T) error {
	client, key, kind := windlass.Client[T]{}, windlass.KeyOf(wanted), wanted.Resource().Kind
	_, err := client.Create(ctx, wanted)
	if err == nil {
		windlass.Eventf(app, windlass.EventNormal, "Created", "Created %s %s", kind, key.Name)
	}
	if !windlass.IsAlreadyExists(err) {
		return err
	}
	live, liveErr := client.Get(ctx, key)
	if liveErr == nil && !live.Meta().IsControlledBy(app.Meta()) {
		return &nameTaken{kind, key}
	}
	return err
}

// writeStatus writes the status if it is another one.
func writeStatus(ctx context.Context, app *WebApp, taken *nameTaken) error {
	running, err := readyReplicas(app)
	if err != nil {
		return err
	}
	changed := *app
	changed.Status = WebAppStatus{
		ObservedGeneration: app.Generation,
		ReadyReplicas:      running,
		Conditions:         meta.SetCondition(app.Status.Conditions, condition(app, running, taken), windlass.Now()),
	}
	if reflect.DeepEqual(changed.Status, app.Status) {
		return nil
	}
	_, err = windlass.Client[*WebApp]{}.UpdateStatus(ctx, &changed)
	return err
}

func readyReplicas(app *WebApp) (int32, error) {
	deployment, found, err := deployments.Get(windlass.KeyOf(app))
	if err != nil || !found || !deployment.IsControlledBy(app.Meta()) {
		return 0, err
	}
	return deployment.Status.ReadyReplicas, nil
}

func condition(app *WebApp, running int32, taken *nameTaken) meta.Condition {
	condition := meta.Condition{Type: ready, Status: meta.ConditionFalse, ObservedGeneration: app.Generation}
	condition.Message = fmt.Sprintf("%d of %d replicas are ready", running, app.replicas())
	switch {
	case taken != nil:
		condition.Reason, condition.Message = "NameTaken", taken.Error()
	case running == app.replicas():
		condition.Status, condition.Reason = meta.ConditionTrue, "AllReady"
	default:
		condition.Reason = "Progressing"
	}
	return condition
}

// finalize has the Service go first; the rest is the garbage collector's.
func finalize(ctx context.Context, app *WebApp) error {
	if !app.HasFinalizer(finalizer) {
		return nil
	}
	service, found, err := services.Get(windlass.KeyOf(app))
	if err != nil {
		return err
	}
	if found && service.IsControlledBy(app.Meta()) {
		if service.IsDeleting() {
			return nil // Its last event brings the WebApp back.
		}
		options := windlass.DeleteOptions{UID: service.UID}
		return windlass.IgnoreNotFound(windlass.Client[*Service]{}.Delete(ctx, windlass.KeyOf(service), options))
	}
	_, err = windlass.RemoveFinalizer(ctx, app, finalizer)
	return err
}

func init() { windlass.Register(controller{}) }

// Nobody calls it; the compiler wants one.
func main() {}
