package main

import (
	"maps"
	"reflect"
	"slices"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

// own is the metadata of whatever a WebApp owns.
func own(app *WebApp) meta.ObjectMeta {
	return meta.ObjectMeta{
		Namespace:       app.Namespace,
		Name:            app.Name,
		Labels:          appLabels(app),
		OwnerReferences: []meta.OwnerReference{windlass.ControllerReference(app)},
	}
}

func appLabels(app *WebApp) map[string]string { return map[string]string{"app": app.Name} }

// addLabels is the present labels with others set.
func addLabels(present, wanted map[string]string) map[string]string {
	joined := map[string]string{}
	maps.Copy(joined, present)
	maps.Copy(joined, wanted)
	return joined
}

func configMapOf(app *WebApp) *ConfigMap {
	return &ConfigMap{ObjectMeta: own(app), Data: app.Spec.Config}
}

// correctConfigMap is the patch that makes a ConfigMap what it should be.
func correctConfigMap(current, wanted *ConfigMap) windlass.Patch {
	corrected := *current
	corrected.Labels = addLabels(current.Labels, wanted.Labels)
	corrected.Data = wanted.Data
	return windlass.MergeFrom(current, &corrected)
}

func deploymentOf(app *WebApp) *Deployment {
	replicas := app.replicas()
	return &Deployment{
		ObjectMeta: own(app),
		Spec: DeploymentSpec{
			Replicas: &replicas,
			Selector: &meta.LabelSelector{MatchLabels: appLabels(app)},
			Template: PodTemplate{
				ObjectMeta: meta.ObjectMeta{Labels: appLabels(app)},
				Spec: PodSpec{Containers: []Container{{
					Name:    "web",
					Image:   app.Spec.Image,
					Ports:   []ContainerPort{{ContainerPort: app.port()}},
					EnvFrom: []EnvFrom{{ConfigMapRef: &LocalReference{Name: app.Name}}},
				}}},
			},
		},
	}
}

// correctDeployment is the patch that makes a Deployment what it should be. It merges the
// container with what others, such as the server's defaults, have put into it.
func correctDeployment(current, wanted *Deployment) windlass.Patch {
	container := wanted.Spec.Template.Spec.Containers[0]
	at := slices.IndexFunc(current.Spec.Template.Spec.Containers, func(other Container) bool {
		return other.Name == container.Name
	})
	isRight := at >= 0 && reflect.DeepEqual(current.Spec.Template.Spec.Containers[at], container) &&
		orElse(current.Spec.Replicas, 1) == *wanted.Spec.Replicas &&
		wanted.Spec.Selector.Matches(current.Labels) &&
		wanted.Spec.Selector.Matches(current.Spec.Template.Labels)
	if isRight {
		return windlass.MergePatch(struct{}{})
	}
	container.Ports = append(slices.Clone(container.Ports), ContainerPort{Directive: "replace"})
	var patch Deployment
	patch.Labels = wanted.Labels
	patch.Spec.Replicas = wanted.Spec.Replicas
	patch.Spec.Template.Labels = wanted.Spec.Template.Labels
	patch.Spec.Template.Spec.Containers = []Container{container}
	return windlass.StrategicMergePatch(&patch)
}

func serviceOf(app *WebApp) *Service {
	return &Service{
		ObjectMeta: own(app),
		Spec: ServiceSpec{
			Selector: appLabels(app),
			Ports:    []ServicePort{{Port: app.port(), TargetPort: meta.FromInt(app.port())}},
		},
	}
}

// correctService is the patch that makes a Service what it should be.
func correctService(current, wanted *Service) windlass.Patch {
	corrected := *current
	corrected.Labels = addLabels(current.Labels, wanted.Labels)
	corrected.Spec = wanted.Spec
	return windlass.MergeFrom(current, &corrected)
}
