//! How Talos 1.13 runs the Kubernetes API server: what Talos generates for admission and audit, said in full, so that
//! nothing depends on what a Talos assumes where nothing is said.

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiServer<'a> {
    pub(super) image: String,
    #[serde(rename = "certSANs")]
    pub(super) cert_sans: &'a [String],
    pub(super) admission_control: [AdmissionPlugin; 1],
    pub(super) audit_policy: AuditPolicy,
}

#[derive(Serialize)]
pub(super) struct AdmissionPlugin {
    name: &'static str,
    configuration: PodSecurityConfiguration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodSecurityConfiguration {
    api_version: &'static str,
    kind: &'static str,
    defaults: PodSecurityDefaults,
    exemptions: PodSecurityExemptions,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PodSecurityDefaults {
    audit: &'static str,
    audit_version: &'static str,
    enforce: &'static str,
    enforce_version: &'static str,
    warn: &'static str,
    warn_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodSecurityExemptions {
    namespaces: [&'static str; 1],
    runtime_classes: [&'static str; 0],
    usernames: [&'static str; 0],
}

impl AdmissionPlugin {
    /// Talos' default: `baseline` is enforced everywhere but in `kube-system`, `restricted` is warned about.
    pub(super) fn pod_security() -> Self {
        Self {
            name: "PodSecurity",
            configuration: PodSecurityConfiguration {
                api_version: "pod-security.admission.config.k8s.io/v1alpha1",
                kind: "PodSecurityConfiguration",
                defaults: PodSecurityDefaults {
                    audit: "restricted",
                    audit_version: "latest",
                    enforce: "baseline",
                    enforce_version: "latest",
                    warn: "restricted",
                    warn_version: "latest",
                },
                exemptions: PodSecurityExemptions { namespaces: ["kube-system"], runtime_classes: [], usernames: [] },
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditPolicy {
    api_version: &'static str,
    kind: &'static str,
    rules: [AuditRule; 1],
}

#[derive(Serialize)]
struct AuditRule {
    level: &'static str,
}

impl AuditPolicy {
    /// Talos' default: who did what, without request bodies.
    pub(super) fn metadata() -> Self {
        Self { api_version: "audit.k8s.io/v1", kind: "Policy", rules: [AuditRule { level: "Metadata" }] }
    }
}
