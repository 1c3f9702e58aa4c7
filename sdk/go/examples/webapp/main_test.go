package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
	"github.com/windlass-dev/windlass/sdk/go/windlasstest"
)

const key = "default/web"

func pointer(value int32) *int32 { return &value }

func webApp() *WebApp {
	return &WebApp{
		ObjectMeta: meta.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: WebAppSpec{
			Image: "nginx:1", Replicas: pointer(2), Port: pointer(8080), Config: map[string]string{"COLOUR": "blue"},
		},
	}
}

// running is a cluster with a WebApp that has everything it wants but ready replicas.
func running(t *testing.T) *windlasstest.Cluster {
	t.Helper()
	cluster := windlasstest.New(t, controller{})
	cluster.Put(webApp())
	settle(t, cluster)
	cluster.TakeRequests()
	cluster.TakeEvents()
	return cluster
}

func settle(t *testing.T, cluster *windlasstest.Cluster) {
	t.Helper()
	if err := cluster.Settle(); err != nil {
		t.Fatal(err)
	}
}

func readiness(cluster *windlasstest.Cluster) meta.Condition {
	return *meta.FindCondition(windlasstest.Get[*WebApp](cluster, key).Status.Conditions, ready)
}

func TestEverythingIsCreatedOnceAndOwned(t *testing.T) {
	cluster := windlasstest.New(t, controller{})
	cluster.Put(webApp())
	settle(t, cluster)
	want := []string{
		"patch webapps default/web",
		"create configmaps default/", "create deployments default/", "create services default/",
		"update webapps/status default/web",
	}
	if calls := cluster.TakeCalls(); !slices.Equal(calls, want) {
		t.Errorf("%v", calls)
	}
	events := []string{"Normal Created Created ConfigMap web", "Normal Created Created Deployment web", "Normal Created Created Service web"}
	if got := cluster.TakeEvents(); !slices.Equal(got, events) {
		t.Errorf("%v", got)
	}
	app := windlasstest.Get[*WebApp](cluster, key)
	owner := meta.OwnerReference{
		APIVersion: "examples.windlass.dev/v1", Kind: "WebApp", Name: "web", UID: app.UID,
		Controller: true, BlockOwnerDeletion: true,
	}
	configMap := windlasstest.Get[*ConfigMap](cluster, key)
	deployment := windlasstest.Get[*Deployment](cluster, key)
	service := windlasstest.Get[*Service](cluster, key)
	for _, object := range []windlass.Object{configMap, deployment, service} {
		if !slices.Equal(object.Meta().OwnerReferences, []meta.OwnerReference{owner}) || object.Meta().Labels["app"] != "web" {
			t.Errorf("%+v", object.Meta())
		}
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	if !maps.Equal(configMap.Data, app.Spec.Config) || *deployment.Spec.Replicas != 2 || container.Image != "nginx:1" ||
		container.Ports[0].ContainerPort != 8080 || container.EnvFrom[0].ConfigMapRef.Name != "web" ||
		service.Spec.Ports[0] != (ServicePort{8080, meta.FromInt(8080)}) || service.Spec.Selector["app"] != "web" {
		t.Errorf("%+v %+v %+v", configMap, deployment.Spec, service.Spec)
	}
	if !app.HasFinalizer(finalizer) || readiness(cluster).Reason != "Progressing" || app.Status.ObservedGeneration != 1 {
		t.Errorf("%+v", app)
	}
}

func TestDefaultsAreOneReplicaAndPort80(t *testing.T) {
	cluster := windlasstest.New(t, controller{})
	cluster.PutJSON(`{"apiVersion": "examples.windlass.dev/v1", "kind": "WebApp",
		"metadata": {"namespace": "default", "name": "web"}, "spec": {"image": "nginx:1"}}`)
	settle(t, cluster)
	deployment := windlasstest.Get[*Deployment](cluster, key)
	if *deployment.Spec.Replicas != 1 || deployment.Spec.Template.Spec.Containers[0].Ports[0].ContainerPort != 80 {
		t.Errorf("%+v", deployment.Spec)
	}
}

func TestTheStatusFollowsTheDeploymentAndIsWrittenOnlyWhenItChanges(t *testing.T) {
	cluster := running(t)
	since := readiness(cluster).LastTransitionTime
	cluster.Advance(time.Minute)
	windlasstest.Edit(cluster, key, func(d *Deployment) { d.Status.ReadyReplicas = 1 })
	settle(t, cluster)
	if now := readiness(cluster); now.Message != "1 of 2 replicas are ready" || !now.LastTransitionTime.Equal(since.Time) {
		t.Errorf("%+v", now)
	}
	windlasstest.Edit(cluster, key, func(d *Deployment) { d.Status.ReadyReplicas = 2 })
	settle(t, cluster)
	if now := readiness(cluster); now.Status != meta.ConditionTrue || now.Reason != "AllReady" || !now.LastTransitionTime.Equal(cluster.Now()) {
		t.Errorf("%+v", now)
	}
	cluster.TakeCalls()
	if _, err := cluster.Sync(key); err != nil || len(cluster.TakeCalls()) != 0 {
		t.Error("a sync that finds everything right writes nothing", err)
	}
}

func TestDriftIsCorrectedAndWhatOthersSetStays(t *testing.T) {
	cluster := running(t)
	cluster.PutJSON(fmt.Sprintf(`{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "default", "name": "web",
		"labels": {"app": "other", "theirs": "yes"}, "ownerReferences": [{"apiVersion": "examples.windlass.dev/v1", "kind": "WebApp",
			"name": "web", "uid": %q, "controller": true}]},
		"spec": {"replicas": 9, "paused": true, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
			{"name": "sidecar", "image": "proxy"},
			{"name": "web", "image": "evil", "tty": true, "ports": [{"containerPort": 1, "protocol": "TCP"}]}]}}}}`,
		windlasstest.Get[*WebApp](cluster, key).UID))
	windlasstest.Edit(cluster, key, func(c *ConfigMap) { c.Data = map[string]string{"COLOUR": "red", "EXTRA": "1"} })
	windlasstest.Edit(cluster, key, func(s *Service) {
		s.Labels["theirs"] = "yes"
		s.Spec.Ports[0].TargetPort = meta.FromString("http")
	})
	settle(t, cluster)
	want := []string{"Normal Drifted Corrected ConfigMap web", "Normal Drifted Corrected Deployment web", "Normal Drifted Corrected Service web"}
	if got := cluster.TakeEvents(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	deployment := windlasstest.Get[*Deployment](cluster, key)
	containers := deployment.Spec.Template.Spec.Containers
	if *deployment.Spec.Replicas != 2 || len(containers) != 2 || containers[1].Image != "nginx:1" ||
		!slices.Equal(containers[1].Ports, []ContainerPort{{ContainerPort: 8080}}) ||
		!maps.Equal(deployment.Labels, map[string]string{"app": "web", "theirs": "yes"}) {
		t.Errorf("%+v", deployment)
	}
	if data := windlasstest.Get[*ConfigMap](cluster, key).Data; !maps.Equal(data, webApp().Spec.Config) {
		t.Errorf("%v", data)
	}
	service := windlasstest.Get[*Service](cluster, key)
	if service.Labels["theirs"] != "yes" || service.Spec.Ports[0].TargetPort != meta.FromInt(8080) {
		t.Errorf("%+v", service)
	}
}

func TestWhatIsDeletedComesBackAndWhatIsChangedFollows(t *testing.T) {
	cluster := running(t)
	windlasstest.Delete[*ConfigMap](cluster, key)
	settle(t, cluster)
	if got := cluster.TakeEvents(); !slices.Equal(got, []string{"Normal Created Created ConfigMap web"}) {
		t.Errorf("%v", got)
	}
	windlasstest.Edit(cluster, key, func(app *WebApp) {
		app.Spec.Image, app.Spec.Config = "nginx:2", nil
	})
	settle(t, cluster)
	image := windlasstest.Get[*Deployment](cluster, key).Spec.Template.Spec.Containers[0].Image
	data := windlasstest.Get[*ConfigMap](cluster, key).Data
	if image != "nginx:2" || len(data) != 0 || readiness(cluster).ObservedGeneration != 2 {
		t.Errorf("%s %v %+v", image, data, readiness(cluster))
	}
}

func TestAnothersObjectIsNotOverwritten(t *testing.T) {
	cluster := windlasstest.New(t, controller{})
	cluster.Put(&Service{ObjectMeta: meta.ObjectMeta{Namespace: "default", Name: "web"}})
	cluster.Put(webApp())
	_ = cluster.Settle()
	windlasstest.Edit(cluster, key, func(d *Deployment) { d.Status.ReadyReplicas = 2 })
	err := cluster.Settle()
	if ready := windlasstest.Get[*WebApp](cluster, key).Status.ReadyReplicas; ready != 2 {
		t.Errorf("%d replicas are ready", ready)
	}
	if !windlass.IsTerminal(err) || !strings.Contains(err.Error(), "Service default/web is not this WebApp's") {
		t.Fatal(err)
	}
	if now := readiness(cluster); now.Status != meta.ConditionFalse || now.Reason != "NameTaken" || !strings.Contains(now.Message, "Service") {
		t.Errorf("%+v", now)
	}
	if service := windlasstest.Get[*Service](cluster, key); len(service.Spec.Ports) != 0 || len(service.OwnerReferences) != 0 {
		t.Errorf("%+v", service)
	}
}

func TestDeletionTakesTheServiceFirst(t *testing.T) {
	cluster := running(t)
	windlasstest.Edit(cluster, key, func(s *Service) { s.Finalizers = []string{"example.com/slow"} })
	settle(t, cluster)
	cluster.TakeCalls()
	windlasstest.Delete[*WebApp](cluster, key)
	settle(t, cluster)
	if calls := cluster.TakeCalls(); !slices.Equal(calls, []string{"delete services default/web"}) {
		t.Errorf("%v", calls)
	}
	windlasstest.Remove[*Service](cluster, key)
	settle(t, cluster)
	if _, found := windlasstest.Find[*WebApp](cluster, key); found {
		t.Error("the finalizer is still there")
	}
	if calls := cluster.TakeCalls(); !slices.Equal(calls, []string{"patch webapps default/web"}) {
		t.Errorf("%v", calls)
	}
}

func TestConflictsAreTriedAgain(t *testing.T) {
	cluster := windlasstest.New(t, controller{})
	cluster.Put(webApp())
	failed := map[string]bool{}
	cluster.Fail(func(call string) error {
		if failed[call] {
			return nil
		}
		failed[call] = true
		return windlasstest.APIError(windlass.ErrorConflict, "changed")
	})
	settle(t, cluster)
	if readiness(cluster).Reason != "Progressing" || len(failed) != 5 {
		t.Errorf("%v", failed)
	}
}
