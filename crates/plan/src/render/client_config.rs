//! The two files with which a person reaches a platform: `kubeconfig` and `talosconfig`.
//!
//! Certificates come in ready-made; nothing is issued here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::secrets::{ClientCertificate, Secret};

/// A client configuration could not be written as YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} could not be written as YAML")]
pub struct ClientConfigError(&'static str);

impl ClientConfigError {
    /// A stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        "ClientConfigUnwritable"
    }
}

/// Writes a kubeconfig with one cluster, one user and one context `<user>@<cluster>`, which is the current one.
///
/// `server` is the API's URL, `authority` the PEM certificate of the Kubernetes CA.
///
/// # Errors
/// [`ClientConfigError`] when the serializer fails.
pub fn kubeconfig(
    cluster: &str,
    user: &str,
    server: &str,
    authority: &str,
    credential: &ClientCertificate,
) -> Result<Secret, ClientConfigError> {
    let context = format!("{user}@{cluster}");
    let config = Kubeconfig {
        api_version: "v1",
        kind: "Config",
        clusters: [Named {
            name: cluster,
            entry: ClusterEntry {
                cluster: KubernetesCluster { server, certificate_authority_data: STANDARD.encode(authority) },
            },
        }],
        users: [Named {
            name: user,
            entry: UserEntry {
                user: KubernetesUser {
                    client_certificate_data: STANDARD.encode(&credential.certificate),
                    client_key_data: STANDARD.encode(credential.key.expose()),
                },
            },
        }],
        contexts: [Named { name: &context, entry: ContextEntry { context: KubernetesContext { cluster, user } } }],
        current_context: &context,
    };
    write("kubeconfig", &config)
}

/// Writes a talosconfig with one context for each of `credentials`, which are named; the first is the current one.
///
/// `endpoints` are the control planes' addresses through which calls go. `authority` is the PEM certificate of the OS CA.
///
/// # Errors
/// [`ClientConfigError`] when the serializer fails.
pub fn talosconfig(
    endpoints: &[String],
    authority: &str,
    credentials: &[(&str, &ClientCertificate)],
) -> Result<Secret, ClientConfigError> {
    let context = |credential: &ClientCertificate| TalosContext {
        endpoints,
        ca: STANDARD.encode(authority),
        crt: STANDARD.encode(&credential.certificate),
        key: STANDARD.encode(credential.key.expose()),
    };
    let current = credentials.first().map_or("", |(name, _)| *name);
    let contexts = credentials.iter().map(|(name, credential)| (*name, context(credential))).collect();
    write("talosconfig", &Talosconfig { context: current, contexts })
}

fn write(what: &'static str, config: &impl Serialize) -> Result<Secret, ClientConfigError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(config, options).map(Secret::new).map_err(|_| ClientConfigError(what))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kubeconfig<'a> {
    api_version: &'a str,
    kind: &'a str,
    clusters: [Named<'a, ClusterEntry<'a>>; 1],
    users: [Named<'a, UserEntry>; 1],
    contexts: [Named<'a, ContextEntry<'a>>; 1],
    #[serde(rename = "current-context")]
    current_context: &'a str,
}

#[derive(Serialize)]
struct Named<'a, T> {
    name: &'a str,
    #[serde(flatten)]
    entry: T,
}

#[derive(Serialize)]
struct ClusterEntry<'a> {
    cluster: KubernetesCluster<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct KubernetesCluster<'a> {
    server: &'a str,
    certificate_authority_data: String,
}

#[derive(Serialize)]
struct UserEntry {
    user: KubernetesUser,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct KubernetesUser {
    client_certificate_data: String,
    client_key_data: String,
}

#[derive(Serialize)]
struct ContextEntry<'a> {
    context: KubernetesContext<'a>,
}

#[derive(Serialize)]
struct KubernetesContext<'a> {
    cluster: &'a str,
    user: &'a str,
}

#[derive(Serialize)]
struct Talosconfig<'a> {
    context: &'a str,
    contexts: BTreeMap<&'a str, TalosContext<'a>>,
}

#[derive(Serialize)]
struct TalosContext<'a> {
    endpoints: &'a [String],
    ca: String,
    crt: String,
    key: String,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn credential() -> ClientCertificate {
        ClientCertificate { certificate: "CERT".into(), key: Secret::new("KEY"), expires_at: Timestamp::UNIX_EPOCH }
    }

    fn read(text: &Secret) -> serde_json::Value {
        serde_saphyr::from_str_with_options(text.expose(), serde_saphyr::options! { strict_booleans: true }).unwrap()
    }

    #[test]
    fn a_kubeconfig_is_as_kubectl_reads_it() {
        let text = kubeconfig("on", "admin", "https://10.0.0.5:6443", "CA", &credential()).unwrap();
        let wanted = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "on", "cluster": {
                "server": "https://10.0.0.5:6443", "certificate-authority-data": "Q0E=",
            }}],
            "users": [{"name": "admin", "user": {
                "client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ",
            }}],
            "contexts": [{"name": "admin@on", "context": {"cluster": "on", "user": "admin"}}],
            "current-context": "admin@on",
        });
        assert_eq!(read(&text), wanted);
    }

    #[test]
    fn a_talosconfig_is_as_talosctl_reads_it() {
        let endpoints = ["203.0.113.11".to_owned()];
        let credential = credential();
        let text = talosconfig(&endpoints, "CA", &[("sample", &credential), ("sample-reader", &credential)]).unwrap();
        let context = serde_json::json!({
            "endpoints": ["203.0.113.11"], "ca": "Q0E=", "crt": "Q0VSVA==", "key": "S0VZ",
        });
        let wanted = serde_json::json!({
            "context": "sample",
            "contexts": {"sample": context, "sample-reader": context},
        });
        assert_eq!(read(&text), wanted);
    }
}
