package main

import (
	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

// WebApp is a web server and how much of it runs.
type WebApp struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            WebAppSpec   `json:"spec"`
	Status          WebAppStatus `json:"status,omitzero"`
}

// WebAppSpec is what is wanted.
type WebAppSpec struct {
	Image    string            `json:"image"`
	Replicas *int32            `json:"replicas,omitempty"`
	Port     *int32            `json:"port,omitempty"`
	Config   map[string]string `json:"config,omitempty"`
}

// WebAppStatus is what there is.
type WebAppStatus struct {
	ObservedGeneration int64            `json:"observedGeneration"`
	ReadyReplicas      int32            `json:"readyReplicas"`
	Conditions         []meta.Condition `json:"conditions,omitempty"`
}

// Resource is where WebApps are served.
func (*WebApp) Resource() windlass.Resource {
	return windlass.Resource{Group: "examples.windlass.dev", Version: "v1", Kind: "WebApp", Plural: "webapps"}
}

func (w *WebApp) replicas() int32 { return orElse(w.Spec.Replicas, 1) }

func (w *WebApp) port() int32 { return orElse(w.Spec.Port, 80) }

func orElse(value *int32, otherwise int32) int32 {
	if value == nil {
		return otherwise
	}
	return *value
}

// ConfigMap, as far as this controller writes it.
type ConfigMap struct {
	meta.ObjectMeta `json:"metadata"`
	Data            map[string]string `json:"data,omitempty"`
}

// Resource is where ConfigMaps are served.
func (*ConfigMap) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps"}
}

// Deployment, as far as this controller reads and writes it.
type Deployment struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            DeploymentSpec   `json:"spec"`
	Status          DeploymentStatus `json:"status,omitzero"`
}

// DeploymentSpec is what is wanted.
type DeploymentSpec struct {
	Replicas *int32              `json:"replicas,omitempty"`
	Selector *meta.LabelSelector `json:"selector,omitempty"`
	Template PodTemplate         `json:"template"`
}

// DeploymentStatus is what there is.
type DeploymentStatus struct {
	ReadyReplicas int32 `json:"readyReplicas"`
}

// PodTemplate is what pods are made of.
type PodTemplate struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            PodSpec `json:"spec"`
}

// PodSpec is the containers of a pod.
type PodSpec struct {
	Containers []Container `json:"containers"`
}

// Container is one container of a pod.
type Container struct {
	Name    string          `json:"name"`
	Image   string          `json:"image"`
	Ports   []ContainerPort `json:"ports"`
	EnvFrom []EnvFrom       `json:"envFrom"`
}

// ContainerPort is a port that a container listens on. With the directive "replace" it
// stands for no port in a strategic merge patch, and has the others replace what was there.
type ContainerPort struct {
	ContainerPort int32  `json:"containerPort,omitempty"`
	Directive     string `json:"$patch,omitempty"`
}

// EnvFrom takes environment variables from a ConfigMap.
type EnvFrom struct {
	ConfigMapRef *LocalReference `json:"configMapRef,omitempty"`
}

// LocalReference names an object in the same namespace.
type LocalReference struct {
	Name string `json:"name"`
}

// Resource is where Deployments are served.
func (*Deployment) Resource() windlass.Resource {
	return windlass.Resource{Group: "apps", Version: "v1", Kind: "Deployment", Plural: "deployments"}
}

// Service, as far as this controller reads and writes it.
type Service struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            ServiceSpec `json:"spec"`
}

// ServiceSpec is where a Service leads.
type ServiceSpec struct {
	Selector map[string]string `json:"selector,omitempty"`
	Ports    []ServicePort     `json:"ports"`
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Port       int32            `json:"port"`
	TargetPort meta.IntOrString `json:"targetPort"`
}

// Resource is where Services are served.
func (*Service) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "Service", Plural: "services"}
}
