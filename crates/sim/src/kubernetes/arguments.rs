//! The arguments of a control plane's programs: those that Talos 1.13 gives its static pods and its etcd service, but
//! for addresses, paths and what the README lists.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::Site;
use crate::world::machine::config::{Cluster, Program};

/// Cipher suites that Talos names for the API server.
const CIPHER_SUITES: &str = "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,TLS_CHACHA20_POLY1305_SHA256,\
TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,\
TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";

/// How an etcd member comes into its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Origin {
    /// As the first of a new one.
    New,
    /// Into an existing one, whose members are listed as `name=url`.
    Joins(Vec<String>),
    /// With the data that it has.
    Restarts,
}

struct Arguments(BTreeMap<String, Vec<String>>);

impl Arguments {
    fn of<const N: usize>(pairs: [(&str, String); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect())
    }

    /// Adds the configuration's own arguments, which win; admission plug-ins and feature gates are joined.
    fn with_extra(mut self, program: &Program) -> Self {
        for (name, value) in &program.extra_args {
            let values: Vec<String> = match value {
                Value::Array(list) => list.iter().map(plain).collect(),
                single => vec![plain(single)],
            };
            let joined = matches!(name.as_str(), "enable-admission-plugins" | "feature-gates" | "tls-cipher-suites");
            let own = self.0.entry(name.clone()).or_default();
            match own.first_mut().filter(|_| joined) {
                Some(first) => *first = format!("{first},{}", values.join(",")),
                None => *own = values,
            }
        }
        self
    }

    fn list(self) -> Vec<String> {
        let one = |name: &String, value: String| format!("--{name}={value}");
        self.0.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| one(&name, value))).collect()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Etcd's arguments.
#[must_use]
pub(super) fn etcd(site: &Site, cluster: &Cluster, origin: &Origin) -> Vec<String> {
    let (peer, client) = (format!("https://{}:2380", site.address), format!("https://{}:2379", site.address));
    let mut arguments = Arguments::of([
        ("name", site.hostname.clone()),
        ("data-dir", site.path("etcd/data")),
        ("listen-peer-urls", peer.clone()),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("client-cert-auth", "true".to_owned()),
        ("cert-file", site.path("etcd/server.crt")),
        ("key-file", site.path("etcd/server.key")),
        ("trusted-ca-file", site.path("etcd/ca.crt")),
        ("peer-client-cert-auth", "true".to_owned()),
        ("peer-cert-file", site.path("etcd/peer.crt")),
        ("peer-key-file", site.path("etcd/peer.key")),
        ("peer-trusted-ca-file", site.path("etcd/ca.crt")),
        ("watch-progress-notify-interval", "5s".to_owned()),
        ("log-level", "warn".to_owned()),
    ]);
    let initial = match origin {
        Origin::New => Some(("new", format!("{}={peer}", site.hostname))),
        Origin::Joins(members) => Some(("existing", members.join(","))),
        Origin::Restarts => None,
    };
    if let Some((state, members)) = initial {
        arguments.0.insert("initial-advertise-peer-urls".to_owned(), vec![peer]);
        arguments.0.insert("initial-cluster-state".to_owned(), vec![state.to_owned()]);
        arguments.0.insert("initial-cluster".to_owned(), vec![members]);
    }
    arguments.with_extra(cluster.etcd()).list()
}

/// The arguments with which `etcdutl` makes the data of a cluster's first member from a snapshot.
#[must_use]
pub(super) fn restore(site: &Site, snapshot: &Path, into: &Path, skip_hash_check: bool) -> Vec<String> {
    let peer = format!("https://{}:2380", site.address);
    let arguments = Arguments::of([
        ("name", site.hostname.clone()),
        ("data-dir", into.display().to_string()),
        ("initial-cluster", format!("{}={peer}", site.hostname)),
        ("initial-advertise-peer-urls", peer),
        ("skip-hash-check", skip_hash_check.to_string()),
    ]);
    let command = ["snapshot".to_owned(), "restore".to_owned(), snapshot.display().to_string()];
    command.into_iter().chain(arguments.list()).collect()
}

/// The API server's arguments.
#[must_use]
pub(super) fn api_server(site: &Site, cluster: &Cluster) -> Vec<String> {
    let file = |name: &str| site.path(&format!("kubernetes/{name}"));
    let endpoint = cluster.endpoint().to_owned();
    let mut arguments = Arguments::of([
        ("admission-control-config-file", file("admission.yaml")),
        ("allow-privileged", "true".to_owned()),
        ("anonymous-auth", "false".to_owned()),
        ("api-audiences", endpoint.clone()),
        ("audit-log-maxage", "30".to_owned()),
        ("audit-log-maxbackup", "10".to_owned()),
        ("audit-log-maxsize", "100".to_owned()),
        ("audit-log-path", site.path("logs/audit.log")),
        ("audit-policy-file", file("audit.yaml")),
        ("authorization-config", file("authorization.yaml")),
        ("bind-address", site.address.to_string()),
        ("client-ca-file", file("ca.crt")),
        ("egress-selector-config-file", file("egress.yaml")),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("enable-bootstrap-token-auth", "true".to_owned()),
        ("encryption-provider-config", file("encryption.yaml")),
        ("endpoint-reconciler-type", "none".to_owned()),
        ("etcd-cafile", file("etcd-client-ca.crt")),
        ("etcd-certfile", file("etcd-client.crt")),
        ("etcd-keyfile", file("etcd-client.key")),
        ("etcd-servers", format!("https://{}:2379", site.address)),
        ("kubelet-client-certificate", file("kubelet-client.crt")),
        ("kubelet-client-key", file("kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".to_owned()),
        ("profiling", "false".to_owned()),
        ("proxy-client-cert-file", file("front-proxy-client.crt")),
        ("proxy-client-key-file", file("front-proxy-client.key")),
        ("requestheader-allowed-names", "front-proxy-client".to_owned()),
        ("requestheader-client-ca-file", file("aggregator-ca.crt")),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".to_owned()),
        ("requestheader-group-headers", "X-Remote-Group".to_owned()),
        ("requestheader-username-headers", "X-Remote-User".to_owned()),
        ("secure-port", "6443".to_owned()),
        ("service-account-issuer", endpoint),
        ("service-account-key-file", file("service-account.key")),
        ("service-account-signing-key-file", file("service-account.key")),
        ("service-cluster-ip-range", cluster.service_subnets().join(",")),
        ("tls-cert-file", file("apiserver.crt")),
        ("tls-cipher-suites", CIPHER_SUITES.to_owned()),
        ("tls-min-version", "VersionTLS12".to_owned()),
        ("tls-private-key-file", file("apiserver.key")),
    ]);
    if !cluster.token_authenticators().is_empty() {
        arguments.0.insert("authentication-config".to_owned(), vec![file("authentication.yaml")]);
    }
    arguments.with_extra(cluster.api_server()).list()
}

/// The controller manager's arguments.
#[must_use]
pub(super) fn controller_manager(site: &Site, cluster: &Cluster) -> Vec<String> {
    let file = |name: &str| site.path(&format!("kubernetes/{name}"));
    let kubeconfig = file("controller-manager.kubeconfig");
    let mut arguments = Arguments::of([
        ("allocate-node-cidrs", "true".to_owned()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig.clone()),
        ("bind-address", site.address.to_string()),
        ("cert-dir", site.path("kubernetes/controller-manager")),
        ("cluster-cidr", cluster.pod_subnets().join(",")),
        ("cluster-signing-cert-file", file("issuing-ca.crt")),
        ("cluster-signing-key-file", file("ca.key")),
        ("controllers", "*,tokencleaner".to_owned()),
        ("kubeconfig", kubeconfig),
        ("leader-elect", "true".to_owned()),
        ("profiling", "false".to_owned()),
        ("root-ca-file", file("ca.crt")),
        ("service-account-private-key-file", file("service-account.key")),
        ("service-cluster-ip-range", cluster.service_subnets().join(",")),
        ("tls-min-version", "VersionTLS13".to_owned()),
        ("use-service-account-credentials", "true".to_owned()),
    ]);
    if cluster.external_cloud_provider() {
        arguments.0.insert("cloud-provider".to_owned(), vec!["external".to_owned()]);
    }
    arguments.with_extra(&cluster.controller_manager).list()
}

/// The scheduler's arguments.
#[must_use]
pub(super) fn scheduler(site: &Site, cluster: &Cluster) -> Vec<String> {
    let kubeconfig = site.path("kubernetes/scheduler.kubeconfig");
    Arguments::of([
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authentication-tolerate-lookup-failure", "false".to_owned()),
        ("authorization-kubeconfig", kubeconfig.clone()),
        ("bind-address", site.address.to_string()),
        ("cert-dir", site.path("kubernetes/scheduler")),
        ("kubeconfig", kubeconfig),
        ("leader-elect", "true".to_owned()),
        ("profiling", "false".to_owned()),
        ("tls-min-version", "VersionTLS13".to_owned()),
    ])
    .with_extra(&cluster.scheduler)
    .list()
}
