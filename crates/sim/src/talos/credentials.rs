//! What a control plane hands out: the administrator's kubeconfig, as the tar that Talos sends, and client
//! configurations of its own API.

use std::io::{self, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::pki::{Issued, Leaf, PkiError, Signer, Usage};
use crate::world::machine::config::{Cluster, Machine};

/// Talos' default for the administrator's kubeconfig.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The kubeconfig of an administrator with a new certificate.
///
/// # Errors
/// Where the configuration's authority is no good.
pub(super) fn kubeconfig(cluster: &Cluster) -> Result<String, PkiError> {
    let signer = Signer::load(&cluster.ca, "cluster.ca")?;
    let leaf =
        Leaf { common_name: "admin", organization: "system:masters", names: &[], usage: Usage::Client, lifetime: YEAR };
    let issued = signer.issue(&leaf)?;
    let name = &cluster.cluster_name;
    Ok(format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {}\n    \
         certificate-authority-data: {}\nusers:\n- name: admin@{name}\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\ncontexts:\n- context:\n    cluster: {name}\n    namespace: default\n    user: admin@{name}\n  \
         name: admin@{name}\ncurrent-context: admin@{name}\n",
        cluster.endpoint(),
        STANDARD.encode(signer.certificate_pem()),
        STANDARD.encode(&issued.certificate_pem),
        STANDARD.encode(&issued.key_pem),
    ))
}

/// A gzipped tar of one file named `kubeconfig`, which ends with the file's last byte: without the padding and the
/// trailer that a tar should have, as Talos sends it.
///
/// # Errors
/// Where the name does not fit a header, which it does.
pub(super) fn tar_without_trailer(kubeconfig: &str) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_path("kubeconfig")?;
    header.set_size(u64::try_from(kubeconfig.len()).unwrap_or(u64::MAX));
    header.set_mode(0o600);
    header.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(header.as_bytes())?;
    gzip.write_all(kubeconfig.as_bytes())?;
    gzip.finish()
}

/// A client of Talos' API, with its authority's certificate and the file that `talosctl` reads.
pub(super) struct TalosClient {
    /// The authority's certificate, PEM.
    pub(super) authority_pem: String,
    /// The client's certificate and key.
    pub(super) issued: Issued,
    /// `talosconfig`
    pub(super) talosconfig: String,
}

/// A client configuration with one role.
///
/// # Errors
/// Where the configuration's authority is no good.
pub(super) fn talos_client(
    machine: &Machine,
    cluster: &Cluster,
    role: &str,
    lifetime: Duration,
) -> Result<TalosClient, PkiError> {
    let signer = Signer::load(&machine.ca, "machine.ca")?;
    let leaf = Leaf { common_name: "", organization: role, names: &[], usage: Usage::Client, lifetime };
    let issued = signer.issue(&leaf)?;
    let name = &cluster.cluster_name;
    let talosconfig = format!(
        "context: {name}\ncontexts:\n    {name}:\n        endpoints: []\n        ca: {}\n        crt: {}\n        key: {}\n",
        STANDARD.encode(signer.certificate_pem()),
        STANDARD.encode(&issued.certificate_pem),
        STANDARD.encode(&issued.key_pem),
    );
    Ok(TalosClient { authority_pem: signer.certificate_pem().to_owned(), issued, talosconfig })
}
