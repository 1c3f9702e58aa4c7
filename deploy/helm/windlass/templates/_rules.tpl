{{/*
What the host may do in the cluster: the same as `windlass rbac` prints for the
configuration, as far as it can be told without loading guests. Stock guests' rules are
in files/rbac, printed by that command; of other modules the permissions are taken, which
bound what their guests declare.

Yields {"everywhere": [rule…], "within": {namespace: [rule…]}} as YAML.
*/}}
{{- define "windlass.rules" -}}
{{- $configuration := include "windlass.configuration" . | fromYaml }}
{{- $rules := dict "everywhere" list "within" dict }}
{{- range $module := $configuration.modules }}
{{- if $module.impersonate }}
{{- fail (printf "module %s impersonates somebody, whose roles the chart cannot tell: set rbac.create to false and apply what `windlass rbac` prints" $module.name) }}
{{- end }}
{{- $stock := $module.source.stock }}
{{- if and $stock (ne (toString $module.grantDeclared) "false") }}
{{- include "windlass.rulesOfFile" (list $ $rules (printf "files/rbac/%s.yaml" $stock)) }}
{{- else }}
{{- if $module.grantDeclared }}
{{- if not $.Values.rbac.rules }}
{{- fail (printf "module %s is granted what its guest declares, which the chart cannot tell: put the rules of `windlass inspect --rbac` into rbac.rules" $module.name) }}
{{- end }}
{{- end }}
{{- include "windlass.rulesOfPermissions" (list $rules $module.permissions) }}
{{- end }}
{{- with $module.source.configMap }}
{{- $rule := dict "apiGroups" (list "") "resources" (list "configmaps") "verbs" (list "get" "list" "watch") "resourceNames" (list .name) }}
{{- include "windlass.ruleWithin" (list $rules .namespace $rule) }}
{{- end }}
{{- with $module.source.oci }}
{{- with .pullSecret }}
{{- include "windlass.ruleOfSecret" (list $rules .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $configuration.registry }}
{{- range .pullSecrets }}
{{- include "windlass.ruleOfSecret" (list $rules .) }}
{{- end }}
{{- end }}
{{- if ne (toString $configuration.leaderElection.enabled) "false" }}
{{- $rule := dict "apiGroups" (list "coordination.k8s.io") "resources" (list "leases") "verbs" (list "get" "list" "create" "update" "delete") }}
{{- include "windlass.ruleWithin" (list $rules $configuration.leaderElection.namespace $rule) }}
{{- end }}
{{- with $configuration.controllerModules }}
{{- if .enabled }}
{{- include "windlass.rulesOfFile" (list $ $rules "files/rbac/controller-modules.yaml") }}
{{- include "windlass.rulesOfPermissions" (list $rules .maxPermissions) }}
{{- end }}
{{- end }}
{{- $_ := set $rules "everywhere" (concat $rules.everywhere .Values.rbac.rules | uniq) }}
{{- toYaml $rules }}
{{- end }}

{{/* Adds the rules of the ClusterRole that a file holds. */}}
{{- define "windlass.rulesOfFile" -}}
{{- $root := index . 0 }}
{{- $rules := index . 1 }}
{{- range regexSplit "(?m)^---$" ($root.Files.Get (index . 2)) -1 }}
{{- $object := fromYaml . }}
{{- if eq $object.kind "ClusterRole" }}
{{- $_ := set $rules "everywhere" (concat $rules.everywhere $object.rules) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Adds PermissionRules. What is read is listed and watched in all namespaces, because
modules share the caches.
*/}}
{{- define "windlass.rulesOfPermissions" -}}
{{- $rules := index . 0 }}
{{- range $permission := index . 1 }}
{{- $rule := omit $permission "namespaces" }}
{{- $verbs := $permission.verbs }}
{{- if or (has "*" $verbs) (and (has "get" $verbs) (has "list" $verbs) (has "watch" $verbs)) }}
{{- $reading := mergeOverwrite (omit $rule "resourceNames") (dict "verbs" (list "list" "watch")) }}
{{- $_ := set $rules "everywhere" (append $rules.everywhere $reading) }}
{{- end }}
{{- if $permission.namespaces }}
{{- range $permission.namespaces }}
{{- include "windlass.ruleWithin" (list $rules . $rule) }}
{{- end }}
{{- else }}
{{- $_ := set $rules "everywhere" (append $rules.everywhere $rule) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "windlass.ruleOfSecret" -}}
{{- $secret := index . 1 }}
{{- $rule := dict "apiGroups" (list "") "resources" (list "secrets") "verbs" (list "get") "resourceNames" (list $secret.name) }}
{{- include "windlass.ruleWithin" (list (index . 0) $secret.namespace $rule) }}
{{- end }}

{{- define "windlass.ruleWithin" -}}
{{- $within := (index . 0).within }}
{{- $namespace := index . 1 }}
{{- $_ := set $within $namespace (append (default list (get $within $namespace)) (index . 2) | uniq) }}
{{- end }}
