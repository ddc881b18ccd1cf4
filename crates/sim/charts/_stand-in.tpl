{{- /*
What all stand-in charts share; the simulator puts this file among the templates of each chart that it serves.
Every definition takes a dict with `root` (the chart's scope), `name`, and `labels` by which its pods are chosen.
*/ -}}

{{- define "stand-in.selector" -}}
{{- toYaml (merge (dict) .labels (dict "app.kubernetes.io/instance" .root.Release.Name)) }}
{{- end }}

{{- define "stand-in.labels" -}}
{{- $chart := dict "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) }}
{{- $own := dict "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- toYaml (merge (dict) .labels $own $chart (dict "app.kubernetes.io/version" .root.Chart.AppVersion)) }}
{{- end }}

{{- define "stand-in.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "stand-in.labels" . | nindent 2 }}
{{- end }}

{{- /*
A Deployment, DaemonSet or StatefulSet: `kind`, `replicas`, `ports` (names to numbers), `containers`, `account`, `host`
(on the node's network, and therefore not held to any Pod Security level), `privileged`, `tolerations`, `priority`, `env`,
`envFrom`, `claim` (a claim to mount), `claimTemplate` (`size`, `class`), `podLabels`.
*/ -}}
{{- define "stand-in.workload" }}
---
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  {{- include "stand-in.metadata" . | nindent 2 }}
spec:
  {{- if ne .kind "DaemonSet" }}
  replicas: {{ if hasKey . "replicas" }}{{ .replicas }}{{ else }}1{{ end }}
  {{- end }}
  {{- if eq .kind "StatefulSet" }}
  serviceName: {{ .name }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "stand-in.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "stand-in.selector" . | nindent 8 }}
        {{- with .podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "stand-in.pod" . | nindent 6 }}
  {{- with .claimTemplate }}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .class }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .size }}}}
  {{- end }}
{{- end }}

{{- define "stand-in.pod" -}}
{{- $free := or .host .privileged }}
{{- with .account }}
serviceAccountName: {{ . }}
{{- end }}
{{- if .host }}
hostNetwork: true
{{- end }}
{{- with .priority }}
priorityClassName: {{ . }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not $free }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  seccompProfile: {type: RuntimeDefault}
{{- end }}
containers:
  {{- $mount := or .claim .claimTemplate }}
  {{- range $index, $container := .containers | default (list .name) }}
  - name: {{ $container }}
    image: stand-in.invalid/{{ $.root.Chart.Name }}/{{ $container }}:{{ $.root.Chart.Version }}
    {{- if and (eq $index 0) $.ports }}
    ports:
      {{- range $name, $port := $.ports }}
      - {name: {{ $name }}, containerPort: {{ $port }}}
      {{- end }}
    {{- end }}
    {{- with $.env }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if and (eq $index 0) $mount }}
    volumeMounts:
      - {name: data, mountPath: /data}
    {{- end }}
    securityContext:
      {{- if $.privileged }}
      privileged: true
      {{- else }}
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      {{- end }}
  {{- end }}
{{- with .claim }}
volumes:
  - name: data
    persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}

{{- /* A Service: `service` (its name), `ports` as [name, port, target] each, `type`, `annotations`, `spec`. */ -}}
{{- define "stand-in.service" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "stand-in.metadata" (merge (dict "name" .service) .) | nindent 2 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- toYaml (merge (dict) (.spec | default dict) (dict "type" (.type | default "ClusterIP"))) | nindent 2 }}
  selector:
    {{- include "stand-in.selector" . | nindent 4 }}
  ports:
    {{- range .servicePorts }}
    - {name: {{ index . 0 }}, port: {{ index . 1 }}, targetPort: {{ index . 2 }}}
    {{- end }}
{{- end }}

{{- /* A service account that may look at everything but Secrets: `account`. */ -}}
{{- define "stand-in.account" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "stand-in.metadata" (merge (dict "name" .account) .) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .account }}
  labels:
    {{- include "stand-in.labels" . | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [nodes, pods, services, endpoints, events]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .account }}
  labels:
    {{- include "stand-in.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .account }}}
subjects:
  - {kind: ServiceAccount, name: {{ .account }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}

{{- /* A disruption budget by which at most one pod leaves at a time. */ -}}
{{- define "stand-in.budget" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "stand-in.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "stand-in.selector" . | nindent 6 }}
{{- end }}

{{- /*
A definition of a custom resource: `group`, `version`, `kind`, `plural`, `short`, `cluster` (without namespace),
`status` (a subresource), `keep`, `columns` as [name, JSON path] each. Anything may be written into one.
*/ -}}
{{- define "stand-in.crd" }}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {{ .plural }}.{{ .group }}
  labels:
    {{- include "stand-in.labels" . | nindent 4 }}
  {{- if .keep }}
  annotations: {helm.sh/resource-policy: keep}
  {{- end }}
spec:
  group: {{ .group }}
  scope: {{ if .cluster }}Cluster{{ else }}Namespaced{{ end }}
  names:
    kind: {{ .kind }}
    listKind: {{ .kind }}List
    plural: {{ .plural }}
    singular: {{ lower .kind }}
    {{- with .short }}
    shortNames: {{ toJson . }}
    {{- end }}
  versions:
    - name: {{ .version }}
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
      {{- if .status }}
      subresources: {status: {}}
      {{- end }}
      {{- with .columns }}
      additionalPrinterColumns:
        {{- range . }}
        - {name: {{ index . 0 }}, type: string, jsonPath: {{ index . 1 | quote }}}
        {{- end }}
      {{- end }}
{{- end }}
