//! A kubelet without containers: it has its client certificate signed by the cluster, registers its node as that, keeps
//! status and lease fresh while its machine runs, and lets pods that are scheduled to it count as running.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Setting;
use super::api::{Api, ApiError, Body};
use super::control_plane::{ControlPlaneError, admin};
use super::files::{FilesError, Site, write_private};
use super::node::NodeFacts;
use super::pods;
use crate::talos::machines::{Peer, cluster_of};
use crate::talos::pki::{Issued, PkiError, pem_text, pem_texts};
use crate::talos::tls::{self, Protocol};
use crate::world::ServerId;
use crate::world::machine::Guest;
use crate::world::machine::config::Role;

/// Between two looks.
const MOMENT: Duration = Duration::from_millis(500);
/// Kubelets renew their lease this often.
const LEASE: Duration = Duration::from_secs(10);
/// And send an unchanged status this often.
const STATUS: Duration = Duration::from_secs(60);

/// Why a kubelet does not get on; it tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum KubeletError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Crypto(#[from] rcgen::Error),
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    #[error("the signed certificate cannot be read")]
    Certificate,
}

/// One machine's kubelet.
pub(super) struct Kubelet {
    setting: Setting,
    server: ServerId,
    site: Site,
    /// The start in which the node was registered.
    registered: Option<Timestamp>,
    decorated: Option<Value>,
    /// Readiness, boot and version that the status told last.
    told: Option<(bool, String, String)>,
    changed_at: Timestamp,
    status_at: Instant,
    lease_at: Instant,
    said: String,
}

impl Kubelet {
    pub(super) fn new(setting: Setting, server: ServerId, site: Site) -> Self {
        let now = Instant::now();
        Self {
            setting,
            server,
            site,
            registered: None,
            decorated: None,
            told: None,
            changed_at: Timestamp::now(),
            status_at: now,
            lease_at: now,
            said: String::new(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            if let Err(error) = self.look().await {
                let text = error.to_string();
                if text != self.said {
                    tracing::debug!(machine = %self.site.hostname, error = %text, "kubelet");
                    self.said = text;
                }
            }
            sleep(MOMENT).await;
        }
    }

    async fn look(&mut self) -> Result<(), KubeletError> {
        let server_type = self.setting.machines.server_type(self.site.address);
        let seen = self
            .setting
            .machines
            .look_at(self.server, |guest, now| Some((guest.kubelet_since(now)?, NodeFacts::of(guest, server_type)?)));
        let Some((since, facts)) = seen.flatten() else { return Ok(()) };
        let Some(peer) = self.setting.machines.control_planes(self.server, Guest::api_server_healthy).first().copied()
        else {
            return Ok(());
        };
        let api = self.identified(&facts, peer).await?;
        self.register(since, &facts, &api).await?;
        self.decorate(&facts, &api, peer).await?;
        self.tell_status(&facts, &api).await?;
        self.renew_lease(&facts, &api).await?;
        let crashes = |namespace: &str, name: &str| {
            self.setting.machines.with_world(|world, _| world.faults().is_pod_crashing(namespace, name))
        };
        pods::run(&api, &facts.name, facts.internal_ip, facts.ready, crashes).await?;
        Ok(())
    }

    /// The API as this kubelet, which first has its certificate signed.
    async fn identified(&self, facts: &NodeFacts, peer: Peer) -> Result<Api, KubeletError> {
        let cluster = self.setting.machines.look_at(self.server, |guest, _| cluster_of(guest)).flatten();
        let cluster = cluster.ok_or(KubeletError::Certificate)?;
        let authority = pem_texts(&cluster.known_authorities(), "cluster.ca")?;
        let kept = |name: &str| std::fs::read_to_string(self.site.dir.join("kubelet").join(name)).ok();
        // Talos throws a kubelet's certificate away when it is not of the authority that issues: whoever signed it may not have
        // heard of that one yet.
        let issuer = pem_text(&cluster.ca.crt, "cluster.ca")?;
        let certificate = kept("client.crt").filter(|certificate| tls::is_issued_by(certificate, &issuer));
        if let (Some(certificate_pem), Some(key_pem)) = (certificate, kept("client.key")) {
            let tls = tls::client(&authority, &Issued { certificate_pem, key_pem }, Protocol::Http1)?;
            return Ok(Api::new(peer.address, tls));
        }
        let anonymous = Api::new(peer.address, tls::anonymous_client(&authority, Protocol::Http1)?);
        let issued = request_certificate(&anonymous.with_token(cluster.token.clone()), &facts.name).await?;
        write_private(&self.site.dir.join("kubelet/client.key"), &issued.key_pem)?;
        write_private(&self.site.dir.join("kubelet/client.crt"), &issued.certificate_pem)?;
        let tls = tls::client(&authority, &issued, Protocol::Http1)?;
        Ok(Api::new(peer.address, tls))
    }

    /// Registers the node once in a start; one that is there already is taken as it is.
    async fn register(&mut self, since: Timestamp, facts: &NodeFacts, api: &Api) -> Result<(), KubeletError> {
        if self.registered == Some(since) {
            return Ok(());
        }
        match api.call(Method::POST, "/api/v1/nodes", Body::Object(&facts.registration())).await {
            Err(error) if !error.is(StatusCode::CONFLICT) => Err(error.into()),
            Ok(_) | Err(_) => {
                self.registered = Some(since);
                // It may be another node than the one that was told before.
                (self.decorated, self.told) = (None, None);
                Ok(())
            }
        }
    }

    /// Talos writes labels and annotations: on control planes as administrator, on workers as the kubelet, where
    /// NodeRestriction refuses the whole write for one label that it forbids.
    async fn decorate(&mut self, facts: &NodeFacts, api: &Api, peer: Peer) -> Result<(), KubeletError> {
        let wanted = facts.decoration();
        if self.decorated.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let path = format!("/api/v1/nodes/{}", facts.name);
        let node = match api.call(Method::GET, &path, Body::Empty).await {
            Ok(node) => node,
            // Somebody deleted it; it has nothing to be written to until the next start.
            Err(error) if error.is(StatusCode::NOT_FOUND) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let as_admin = match facts.role {
            Role::ControlPlane => {
                let at = Site { address: peer.address, ..self.site.clone() };
                // Its certificate may not be written yet; then it is tried again at the next look.
                Some(admin(&self.site, &at)?)
            }
            Role::Worker => None,
        };
        let api = as_admin.as_ref().unwrap_or(api);
        match api.call(Method::PATCH, &path, Body::Merge(&facts.replacement(&node))).await {
            Err(error) if !error.is(StatusCode::FORBIDDEN) => Err(error.into()),
            Ok(_) => {
                self.decorated = Some(wanted);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(machine = %facts.name, %error, "labels of the configuration are not set");
                self.decorated = Some(wanted);
                Ok(())
            }
        }
    }

    async fn tell_status(&mut self, facts: &NodeFacts, api: &Api) -> Result<(), KubeletError> {
        let now = (facts.ready, facts.boot_id.clone(), facts.kubelet_version.clone());
        if self.told.as_ref() == Some(&now) && Instant::now() < self.status_at {
            return Ok(());
        }
        if self.told.as_ref().is_none_or(|told| told.0 != now.0) {
            self.changed_at = Timestamp::now();
        }
        let status = json!({"status": facts.status(Some(self.changed_at))});
        let path = format!("/api/v1/nodes/{}/status", facts.name);
        match api.call(Method::PATCH, &path, Body::Strategic(&status)).await {
            Ok(_) => {
                self.told = Some(now);
                self.status_at = Instant::now() + STATUS;
                Ok(())
            }
            Err(error) if error.is(StatusCode::NOT_FOUND) => {
                // Somebody deleted the node: a kubelet registers it anew only when it starts.
                self.status_at = Instant::now() + STATUS;
                self.told = Some(now);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn renew_lease(&mut self, facts: &NodeFacts, api: &Api) -> Result<(), KubeletError> {
        if Instant::now() < self.lease_at {
            return Ok(());
        }
        let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        let renewal = json!({"spec": facts.lease_spec()});
        let path = format!("{leases}/{}", facts.name);
        if let Err(error) = api.call(Method::PATCH, &path, Body::Merge(&renewal)).await {
            if !error.is(StatusCode::NOT_FOUND) {
                return Err(error.into());
            }
            api.call(Method::POST, leases, Body::Object(&facts.lease())).await?;
        }
        self.lease_at = Instant::now() + LEASE;
        Ok(())
    }
}

/// Has a client certificate signed, as the holder of the bootstrap token: the controller manager approves and signs.
async fn request_certificate(api: &Api, node: &str) -> Result<Issued, KubeletError> {
    const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, format!("system:node:{node}"));
    let request = params.serialize_request(&key)?.pem()?;
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "node-csr-"},
        "spec": {
            "request": STANDARD.encode(request),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        },
    });
    let created = api.call(Method::POST, REQUESTS, Body::Object(&object)).await?;
    let name = created.pointer("/metadata/name").and_then(Value::as_str).ok_or(KubeletError::Certificate)?.to_owned();
    let path = format!("{REQUESTS}/{name}");
    loop {
        let seen = api.call(Method::GET, &path, Body::Empty).await?;
        if let Some(certificate) = seen.pointer("/status/certificate").and_then(Value::as_str) {
            return Ok(Issued {
                certificate_pem: pem_text(certificate, "the signed certificate")?,
                key_pem: key.serialize_pem(),
            });
        }
        sleep(MOMENT).await;
    }
}
