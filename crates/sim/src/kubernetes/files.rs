//! What a control plane's programs read from disk: certificates issued from the configuration's authorities, kubeconfigs
//! and the configuration of admission, audit and encryption. As Talos renders them, at other paths.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::pod_network;
use crate::talos::pki::{Leaf, PkiError, Signer, Usage, local_names, pem_text, pem_texts};
use crate::world::machine::config::Cluster;

/// Talos renews them long before; no simulated cluster lives that long.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why the files cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    /// The configuration's keys are no good.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The disk.
    #[error("cannot write {path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A control plane's place on disk and in the network.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Everything is below this directory.
    pub(super) dir: PathBuf,
    /// The loopback address on which its programs listen.
    pub(super) address: Ipv4Addr,
    /// Its addresses as the world tells them.
    pub(super) told_addresses: Vec<Option<Ipv4Addr>>,
    /// Its host name.
    pub(super) hostname: String,
    /// Where its programs run: paths of sockets, which may not be long, begin there.
    pub(super) root: PathBuf,
}

impl Site {
    /// Below the directory.
    #[must_use]
    pub(super) fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Below the directory, from where the programs run.
    fn short_path(&self, name: &str) -> String {
        let dir = self.dir.strip_prefix(&self.root).unwrap_or(&self.dir);
        dir.join(name).display().to_string()
    }

    /// Where its API server listens.
    #[must_use]
    pub(super) fn api_server(&self) -> String {
        format!("https://{}:6443", self.address)
    }

    fn names(&self) -> Vec<String> {
        let mut names = local_names(&self.told_addresses);
        names.push(self.address.to_string());
        names.push(self.hostname.clone());
        names.sort();
        names.dedup();
        names
    }

    /// Writes a file that only its owner may read.
    fn write(&self, name: &str, content: &str) -> Result<(), FilesError> {
        write_private(&self.dir.join(name), content)
    }
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, content: &str) -> Result<(), FilesError> {
    let write = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())
    };
    write().map_err(|source| FilesError::Io { path: path.to_owned(), source })
}

fn issue(site: &Site, signer: &Signer, file: &str, leaf: &Leaf<'_>) -> Result<(), FilesError> {
    let issued = signer.issue(leaf)?;
    site.write(&format!("{file}.crt"), &issued.certificate_pem)?;
    site.write(&format!("{file}.key"), &issued.key_pem)
}

fn client<'a>(common_name: &'a str, organization: &'a str) -> Leaf<'a> {
    Leaf { common_name, organization, names: &[], usage: Usage::Client, lifetime: LIFETIME }
}

/// Writes what etcd reads.
///
/// # Errors
/// Where the configuration's etcd authority is no good, or the disk.
pub(super) fn write_etcd(site: &Site, cluster: &Cluster) -> Result<(), FilesError> {
    let signer = Signer::load(cluster.etcd_ca(), "cluster.etcd.ca")?;
    site.write("etcd/ca.crt", signer.certificate_pem())?;
    let names = site.names();
    let both =
        |common_name| Leaf { common_name, organization: "", names: &names, usage: Usage::Both, lifetime: LIFETIME };
    issue(site, &signer, "etcd/server", &both(&site.hostname))?;
    issue(site, &signer, "etcd/peer", &both(&site.hostname))?;
    issue(site, &signer, "etcd/admin", &client("talos", ""))?;
    issue(site, &signer, "kubernetes/etcd-client", &client("kube-apiserver", ""))?;
    site.write("kubernetes/etcd-client-ca.crt", signer.certificate_pem())
}

/// Writes what the Kubernetes control plane reads.
///
/// # Errors
/// Where one of the configuration's authorities or keys is no good, or the disk.
pub(super) fn write_kubernetes(site: &Site, cluster: &Cluster) -> Result<(), FilesError> {
    write_certificates(site, cluster)?;
    site.write("kubernetes/encryption.yaml", &encryption(cluster).to_string())?;
    site.write("kubernetes/admission.yaml", &admission(cluster).to_string())?;
    site.write("kubernetes/authorization.yaml", &authorization().to_string())?;
    site.write("kubernetes/egress.yaml", &egress(site).to_string())?;
    if !cluster.token_authenticators().is_empty() {
        site.write("kubernetes/authentication.yaml", &authentication(cluster).to_string())?;
    }
    let audit = cluster.audit_policy().cloned().unwrap_or_else(
        || json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}),
    );
    site.write("kubernetes/audit.yaml", &audit.to_string())
}

fn write_certificates(site: &Site, cluster: &Cluster) -> Result<(), FilesError> {
    let signer = Signer::load(&cluster.ca, "cluster.ca")?;
    // Who is let in is one thing, who issues another while authorities are rotated.
    site.write("kubernetes/ca.crt", &pem_texts(&cluster.known_authorities(), "cluster.acceptedCAs")?)?;
    site.write("kubernetes/issuing-ca.crt", signer.certificate_pem())?;
    site.write("kubernetes/ca.key", &signer.key_pem())?;
    let mut names = site.names();
    names.extend(["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned));
    names.push(format!("kubernetes.default.svc.{}", cluster.dns_domain()));
    names.extend(cluster.service_subnets().iter().filter_map(|subnet| first_address(subnet)));
    names.extend(cluster.api_server_sans().iter().cloned());
    names.extend(endpoint_host(cluster.endpoint()).map(str::to_owned));
    names.sort();
    names.dedup();
    let server = Leaf {
        common_name: "kube-apiserver",
        organization: "kube-master",
        names: &names,
        usage: Usage::Server,
        lifetime: LIFETIME,
    };
    issue(site, &signer, "kubernetes/apiserver", &server)?;
    let kubelet_client = client("apiserver-kubelet-client", "system:masters");
    issue(site, &signer, "kubernetes/kubelet-client", &kubelet_client)?;
    issue(site, &signer, "kubernetes/admin", &client("admin", "system:masters"))?;
    for (file, user) in [
        ("kubernetes/controller-manager", "system:kube-controller-manager"),
        ("kubernetes/scheduler", "system:kube-scheduler"),
    ] {
        issue(site, &signer, file, &client(user, user))?;
        site.write(&format!("{file}.kubeconfig"), &kubeconfig(site, file).to_string())?;
    }
    let aggregator = Signer::load(&cluster.aggregator_ca, "cluster.aggregatorCA")?;
    site.write("kubernetes/aggregator-ca.crt", aggregator.certificate_pem())?;
    issue(site, &aggregator, "kubernetes/front-proxy-client", &client("front-proxy-client", ""))?;
    site.write(
        "kubernetes/service-account.key",
        &pem_text(cluster.service_account_key(), "cluster.serviceAccount.key")?,
    )
}

/// The first usable address of an IPv4 range: that of the service `kubernetes`.
fn first_address(subnet: &str) -> Option<String> {
    let base: Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
    Some(Ipv4Addr::from(u32::from(base).checked_add(1)?).to_string())
}

/// The host of a URL, without the port.
fn endpoint_host(endpoint: &str) -> Option<&str> {
    let authority = endpoint.split("://").nth(1)?.split('/').next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

fn kubeconfig(site: &Site, credentials: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {
            "server": site.api_server(), "certificate-authority": site.path("kubernetes/ca.crt"),
        }}],
        "users": [{"name": "local", "user": {
            "client-certificate": site.path(&format!("{credentials}.crt")),
            "client-key": site.path(&format!("{credentials}.key")),
        }}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    })
}

fn encryption(cluster: &Cluster) -> Value {
    let mut providers = Vec::new();
    if !cluster.secretbox_encryption_secret.is_empty() {
        providers.push(json!({"secretbox": {"keys": [
            {"name": "key2", "secret": cluster.secretbox_encryption_secret},
        ]}}));
    }
    providers.push(json!({"identity": {}}));
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    })
}

fn admission(cluster: &Cluster) -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": cluster.admission_control(),
    })
}

/// Who may vouch for people. Who is anonymous is an argument, as in 1.13.
fn authentication(cluster: &Cluster) -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": cluster.token_authenticators(),
    })
}

/// The way from the API server to pods. Everything else it reaches directly.
fn egress(site: &Site) -> Value {
    let transport = json!({"uds": {"udsName": site.short_path(pod_network::SOCKET)}});
    json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [
            {"name": "cluster", "connection": {"proxyProtocol": "HTTPConnect", "transport": transport}},
        ],
    })
}

fn authorization() -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": [{"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}],
    })
}
