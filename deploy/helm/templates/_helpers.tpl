{{- define "turnstile.name" -}}
{{- if contains "turnstile" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-turnstile" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "turnstile.selector" -}}
app.kubernetes.io/name: turnstile
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "turnstile.labels" -}}
{{ include "turnstile.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "turnstile.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Port of an address such as 0.0.0.0:8080. */}}
{{- define "turnstile.port" -}}
{{ . | splitList ":" | last }}
{{- end }}

{{/* Where health and metrics are. */}}
{{- define "turnstile.opsPort" -}}
{{ include "turnstile.port" (.Values.settings.http.ops_listen | default .Values.settings.http.listen) }}
{{- end }}

{{/* What is the same in every pod: no privileges, a read-only root, settings and secrets. */}}
{{- define "turnstile.container" -}}
image: {{ include "turnstile.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: TURNSTILE_CONFIG
    value: /etc/turnstile/settings/turnstile.toml
envFrom:
  - secretRef:
      name: {{ required "secretName must name a secret with the database's address and keys" .Values.secretName }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: true
volumeMounts:
  - name: settings
    mountPath: /etc/turnstile/settings
    readOnly: true
  - name: data
    mountPath: /var/lib/turnstile
  {{- if .Values.loginConfigMap }}
  - name: login
    mountPath: /etc/turnstile/login
    readOnly: true
  {{- end }}
{{- end }}

{{- define "turnstile.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: settings
    configMap:
      name: {{ include "turnstile.name" . }}
  # Nothing of it matters: log and store are elsewhere.
  - name: data
    emptyDir: {}
  {{- if .Values.loginConfigMap }}
  - name: login
    configMap:
      name: {{ .Values.loginConfigMap }}
  {{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Settings as TOML, a line each. Not toToml: to Helm every number is a float, and 3.0 is no count. */}}
{{- define "turnstile.toml" -}}
{{- $prefix := .prefix }}
{{- range $key, $value := .values }}
{{- if kindIs "map" $value }}
{{- include "turnstile.toml" (dict "prefix" (printf "%s%s." $prefix $key) "values" $value) }}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- printf "%s%s = %.0f\n" $prefix $key $value }}
{{- else if not (kindIs "invalid" $value) }}
{{- printf "%s%s = %s\n" $prefix $key (toRawJson $value) }}
{{- end }}
{{- end }}
{{- end }}
