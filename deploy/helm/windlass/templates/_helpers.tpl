{{- define "windlass.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object, and by default of the replicas' group. */}}
{{- define "windlass.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "windlass.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "windlass.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The name of what lies outside of namespaces. */}}
{{- define "windlass.clusterName" -}}
{{- if eq .Release.Namespace (include "windlass.fullname" .) }}
{{- .Release.Namespace }}
{{- else }}
{{- printf "%s:%s" .Release.Namespace (include "windlass.fullname" .) }}
{{- end }}
{{- end }}

{{- define "windlass.selectorLabels" -}}
app.kubernetes.io/name: {{ include "windlass.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "windlass.labels" -}}
{{ include "windlass.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "windlass.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "windlass.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* With its value in its name, because the value of a class cannot be changed. */}}
{{- define "windlass.priorityClassName" -}}
{{- if .Values.priorityClass.create }}
{{- printf "%s-%s-%d" .Release.Namespace (include "windlass.fullname" .) (int .Values.priorityClass.value) }}
{{- else }}
{{- .Values.priorityClass.name }}
{{- end }}
{{- end }}

{{- define "windlass.image" -}}
{{- $repository := required "image.repository is needed: no image is published, `make image` builds one" .Values.image.repository }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The whole HostConfiguration. Leases are kept in the release's namespace. */}}
{{- define "windlass.configuration" -}}
{{- $own := dict
  "apiVersion" "windlass.dev/v1alpha1"
  "kind" "HostConfiguration"
  "cacheDir" "/var/cache/windlass"
  "statusAddress" (printf "%s:%d" .Values.status.host (int .Values.status.port)) }}
{{- $election := dict "namespace" .Release.Namespace "group" (include "windlass.fullname" .) }}
{{- $configuration := deepCopy .Values.configuration }}
{{- $_ := set $configuration "leaderElection" (mergeOverwrite $election (default dict $configuration.leaderElection)) }}
{{- mergeOverwrite $configuration $own | toYaml }}
{{- end }}

{{/* The keys that count only when the host starts. */}}
{{- define "windlass.restart" -}}
{{- $configuration := include "windlass.configuration" . | fromYaml }}
{{- $log := default dict $configuration.log }}
{{- dict
  "statusAddress" $configuration.statusAddress
  "cacheDir" $configuration.cacheDir
  "leaderElection" $configuration.leaderElection
  "otlp" $configuration.otlp
  "format" $log.format | toJson | sha256sum }}
{{- end }}
