//! How this turn reaches machines and cluster: the bundle, client certificates issued from it, and the addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use helix_plan::endpoints::ApiEndpoints;
use helix_plan::names::MachineName;
use helix_plan::observed::CloudFacts;
use helix_plan::secrets::{ClientCertificate, Rotation, SecretBundle};
use helix_plan::validated::{Bucket, MeshAccount, ValidatedPlatform, Versions};
use jiff::{SignedDuration, Timestamp};

use super::Stored;
use crate::memory::{Credentials, Memory};
use crate::seams::{KubernetesCredentials, Seams, TalosCredentials, TalosRoute, WorkloadRoute};
use crate::secrets::{ClientIdentity, SecretMaker, SecretMakerError, TalosRole};

/// The user as which Helix calls the workload cluster, as audit logs show it.
pub(crate) const KUBERNETES_USER: &str = "helix";

/// How long the engine's own client certificates are valid.
const VALIDITY: Duration = Duration::from_secs(24 * 3_600);

/// How long one must still be valid to be used.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(6);

/// A control plane that calls can go through.
#[derive(Clone, Debug)]
pub(crate) struct ControlPlane {
    pub(crate) machine: MachineName,
    pub(crate) public: Ipv4Addr,
}

/// Where snapshots go, and what is said of them.
#[derive(Clone, Debug)]
pub(crate) struct BackupPlace {
    pub(crate) bucket: Bucket,
    pub(crate) versions: Versions,
}

/// The ways in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// What is in force of the bundle.
    pub(crate) bundle: Option<Arc<SecretBundle>>,
    /// The rotation of authorities that was begun last.
    pub(crate) rotation: Option<Rotation>,
    pub(crate) credentials: Option<Credentials>,
    /// Those that the next stage of a rotation makes, while one is under way.
    pub(crate) next_credentials: Option<Credentials>,
    pub(crate) control_planes: Vec<ControlPlane>,
    /// Private addresses of workers, by which control planes reach them.
    pub(crate) workers: BTreeMap<MachineName, Ipv4Addr>,
    pub(crate) endpoints: ApiEndpoints,
    /// The name of the platform's network at Hetzner.
    pub(crate) network: Option<String>,
    /// Where snapshots of etcd go, if they are asked for.
    pub(crate) backup: Option<BackupPlace>,
    /// The mesh' account, if there is one.
    pub(crate) mesh: Option<MeshAccount>,
    /// The endpoint of the cluster's API that has answered in this turn.
    pub(crate) answered: Option<String>,
}

impl Access {
    /// No way in: there is no bundle yet, or nothing to reach.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The way to a control plane, directly.
    pub(crate) fn to_control_plane(&self, address: Ipv4Addr) -> Option<TalosRoute> {
        let credentials = Arc::clone(&self.credentials.as_ref()?.talos);
        Some(TalosRoute { endpoint: address, node: None, credentials })
    }

    /// The same way for those whom the next stage of a rotation makes.
    pub(crate) fn of_the_next_stage(&self) -> Option<Self> {
        let next = self.next_credentials.clone()?;
        Some(Self { credentials: Some(next), ..self.clone() })
    }

    /// The ways to the cluster's API: the one that has answered in this turn first, then the front, then each control
    /// plane. The flag says whether it is the front, or, where there is none, as good as one.
    pub(crate) fn to_cluster(&self) -> Vec<(WorkloadRoute, bool)> {
        let Some(credentials) = &self.credentials else {
            return Vec::new();
        };
        let no_front = self.endpoints.front.is_none();
        let front = self.endpoints.front.iter().map(|endpoint| (endpoint, true));
        let direct = self.endpoints.control_planes.iter().map(|endpoint| (endpoint, no_front));
        let mut routes: Vec<_> = front
            .chain(direct)
            .map(|(endpoint, is_front)| {
                let credentials = Arc::clone(&credentials.kubernetes);
                (WorkloadRoute { endpoint: endpoint.clone(), credentials }, is_front)
            })
            .collect();
        routes.sort_by_key(|(route, _)| self.answered.as_ref() != Some(&route.endpoint));
        routes
    }
}

impl BackupPlace {
    /// Where the platform keeps its snapshots, if it is asked to keep any.
    pub(crate) fn of(platform: &ValidatedPlatform) -> Option<Self> {
        let backup = platform.backup.as_ref()?;
        Some(Self { bucket: backup.bucket.clone(), versions: platform.versions.clone() })
    }
}

/// Makes the ways in ready. Without usable credentials machines are asked as strangers only.
pub(crate) fn prepare(
    seams: &Seams,
    endpoints: ApiEndpoints,
    cloud: &CloudFacts,
    stored: Option<Stored>,
    memory: &mut Memory,
    now: Timestamp,
) -> Access {
    let Some(stored) = stored else { return Access::none() };
    let bundle = stored.in_force();
    memory.credentials = kept_or_new(seams.secrets.as_ref(), &bundle, memory.credentials.take(), now);
    let next = stored.rotation.as_ref().and_then(|rotation| rotation.next_in_force(&stored.bundle));
    memory.next_credentials =
        next.and_then(|next| kept_or_new(seams.secrets.as_ref(), &next, memory.next_credentials.take(), now));
    let mut control_planes: Vec<ControlPlane> = cloud
        .servers
        .iter()
        .filter_map(|server| Some((MachineName::parse(&server.name).ok()?, server.public_ipv4?)))
        .filter(|(machine, _)| machine.is_control_plane())
        .map(|(machine, public)| ControlPlane { machine, public })
        .collect();
    control_planes.sort_by_key(|control_plane| control_plane.machine.slot());
    let workers = cloud
        .servers
        .iter()
        .filter_map(|server| Some((MachineName::parse(&server.name).ok()?, cloud.private_ipv4(&server.private)?)))
        .filter(|(machine, _)| !machine.is_control_plane());
    Access {
        bundle: Some(Arc::new(bundle)),
        rotation: stored.rotation,
        credentials: memory.credentials.clone(),
        next_credentials: memory.next_credentials.clone(),
        control_planes,
        workers: workers.collect(),
        endpoints,
        network: cloud.networks.first().map(|network| network.name.clone()),
        backup: None,
        mesh: None,
        answered: None,
    }
}

fn kept_or_new(
    secrets: &dyn SecretMaker,
    bundle: &SecretBundle,
    kept: Option<Credentials>,
    now: Timestamp,
) -> Option<Credentials> {
    open(secrets, bundle, kept, now)
        .inspect_err(|error| tracing::warn!(reason = error.reason(), %error, "no client certificates"))
        .ok()
}

/// Client certificates for this bundle: the kept ones if they are still good, else new ones.
fn open(
    secrets: &dyn SecretMaker,
    bundle: &SecretBundle,
    kept: Option<Credentials>,
    now: Timestamp,
) -> Result<Credentials, SecretMakerError> {
    let bundle_digest = bundle.digest();
    if let Some(kept) = kept
        && kept.bundle_digest == bundle_digest
        && kept.expires_at > now + RENEW_BEFORE
    {
        return Ok(kept);
    }
    let issue = |identity: &ClientIdentity| secrets.issue_client_certificate(bundle, identity, VALIDITY, now);
    let talos: ClientCertificate = issue(&ClientIdentity::Talos(TalosRole::Admin))?;
    let kubernetes = issue(&ClientIdentity::KubernetesAdmin { user: KUBERNETES_USER.to_owned() })?;
    Ok(Credentials {
        bundle_digest,
        expires_at: talos.expires_at.min(kubernetes.expires_at),
        talos: Arc::new(TalosCredentials {
            ca_pem: bundle.trusted_os_authorities(),
            certificate_pem: talos.certificate,
            key_pem: talos.key,
        }),
        kubernetes: Arc::new(KubernetesCredentials {
            ca_pem: bundle.trusted_kubernetes_authorities(),
            certificate_pem: kubernetes.certificate,
            key_pem: kubernetes.key,
        }),
    })
}
