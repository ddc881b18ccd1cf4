//! The only way from a resource that somebody wrote to a specification that may be acted on.
//!
//! What the API server's rules can judge is judged there already; a file on a laptop has not met them, so nothing is
//! taken for granted here. All rejections are found at once, and each says what to write instead.

mod adopt;
mod backup;
mod dns;
mod image;
mod layers;
mod network;
mod pace;
mod pools;
mod ports;
mod quantity;
mod rejection;
mod schedule;
mod sign_on;
mod versions;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;

use helix_crds::{DiskEncryption, EndpointType, HelixPlatform, HelixPlatformSpec, Management, PhaseName, ProviderSpec};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use semver::Version;

pub use adopt::{Adoption, kind_of};
pub use backup::{Bucket, EtcdBackup, RestoreFrom};
pub use dns::Dns;
pub use helix_crds::{ApprovalMode, Spread};
pub use layers::Layers;
pub use pace::{Pace, Remediation, Share};
pub(crate) use ports::mesh as mesh_account;
pub use ports::{AdminPorts, MeshAccount};
pub use rejection::{Rejection, Rejections};
pub use schedule::Schedule;
pub use window::Window;

use crate::approval::Approved;
use crate::catalogue::{Architecture, Catalogue, EurMonthly, Source};
use crate::components::{Component, Wanted, talos_extensions, wanted};
use crate::names::PlatformIdentity;
use crate::observed::NodeTaint;
use crate::render::machine_config::{Storage, TrustedIssuer};

/// The private network as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The whole range.
    pub cidr: Ipv4Net,
    /// The subnet in which machines have their addresses.
    pub subnet: Ipv4Net,
    /// Hetzner's network zone.
    pub zone: String,
    /// Addresses of pods.
    pub pods: Ipv4Net,
    /// Addresses of services.
    pub services: Ipv4Net,
}

/// How the Kubernetes API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// By a load balancer of Hetzner's.
    LoadBalancer {
        /// Whether the world may reach it.
        public: bool,
    },
    /// By a name that the user sees to.
    Dns {
        /// The name.
        host: String,
    },
}

/// Versions of a pair that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Talos.
    pub talos: Version,
    /// Kubernetes.
    pub kubernetes: Version,
}

/// A server type in a location where machines may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Hetzner's name of the type.
    pub server_type: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// The type's architecture.
    pub architecture: Architecture,
    /// What a machine costs per month there, its address included.
    pub monthly: EurMonthly,
    /// Why no further machine may be made there, if so; machines that exist go on.
    pub closed: Option<Closed>,
}

/// Why no further machine is made in a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Hetzner no longer sells the type there.
    Retired,
    /// It costs more than the pool's `maxMonthlyPrice`.
    TooDear,
    /// Hetzner says that it cannot be ordered now.
    NotOrderable,
}

/// Machines of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name; `cp` is the control planes'.
    pub name: String,
    /// How many machines.
    pub replicas: u32,
    /// Where they may be made, in order of preference; at least one.
    pub placements: Vec<Placement>,
    /// How they are kept apart.
    pub spread: Spread,
    /// Labels of the nodes.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Taints of the nodes.
    pub taints: Vec<NodeTaint>,
    /// Where they keep replicated data.
    pub storage: Option<Storage>,
    /// The user's patches of their configurations.
    pub patches: Vec<serde_json::Value>,
}

impl Pool {
    /// Whether its machines are the control planes.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.name == helix_crds::labels::CONTROL_PLANE_POOL
    }
}

/// A specification that may be acted on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedPlatform {
    /// Which platform this is.
    pub identity: PlatformIdentity,
    /// `metadata.generation`; 0 for a file.
    pub generation: i64,
    /// The last phase that is asked for.
    pub until: PhaseName,
    /// What runs on the machines.
    pub versions: Versions,
    /// The private network.
    pub network: Network,
    /// How the API is reached.
    pub endpoint: Endpoint,
    /// Who may reach the admin ports, as CIDRs, sorted.
    pub api_allowlist: Vec<String>,
    /// Whether they are to close to all but Helix itself.
    pub ports: AdminPorts,
    /// The mesh by which people come in, if there is one.
    pub mesh: Option<MeshAccount>,
    /// Image factory schematic, 64 hex digits.
    pub schematic: String,
    /// Labels that a snapshot must have besides those of version and schematic; `None` for any value.
    pub snapshot_labels: Vec<(String, Option<String>)>,
    /// System extensions that the image of every machine must hold for what runs on it, as in `siderolabs/iscsi-tools`.
    pub extensions: BTreeSet<&'static str>,
    /// The control planes.
    pub control_plane: Pool,
    /// The worker pools.
    pub workers: Vec<Pool>,
    /// What is to be taken over.
    pub adoptions: Vec<Adoption>,
    /// How fast machines may be disturbed.
    pub pace: Pace,
    /// When a lost machine is given up.
    pub remediation: Remediation,
    /// Whom the API server believes about people, besides its own authority.
    pub trusted_issuer: Option<TrustedIssuer>,
    /// Its names, and who writes their records.
    pub dns: Dns,
    /// Regular snapshots of etcd.
    pub backup: Option<EtcdBackup>,
    /// The snapshot that etcd is to be restored from, should it be lost.
    pub restore_from: Option<RestoreFrom>,
    /// What has to be approved before it is done.
    pub approval: ApprovalMode,
    /// What asks for a rotation of the certificate authorities, if anything does: each other text is another request.
    pub rotate_authorities: Option<String>,
    /// What has been approved so far.
    pub approved: Approved,
    /// Where prices come from.
    pub prices: Source,
    /// What runs in the cluster, as it is wanted.
    pub layers: Layers,
    /// What of that cannot be acted on; it holds up the components that it concerns, and nothing else.
    pub refused: Vec<Rejection>,
    /// The components up to the last phase, in the order in which they are installed.
    pub components: Arc<[Wanted]>,
}

impl ValidatedPlatform {
    /// Judges a resource. `catalogue` says what can be bought, `now` whether an announced retirement has come.
    ///
    /// # Errors
    /// [`Rejections`]: every field that cannot be acted on, with the reason and what to write instead.
    pub fn new(platform: &HelixPlatform, catalogue: &Catalogue, now: Timestamp) -> Result<Self, Rejections> {
        let spec = &platform.spec;
        let ProviderSpec::Hetzner(hetzner) = &spec.provider;
        let mut rejections = Rejections::default();
        let identity = identity(platform, &mut rejections);
        let versions = versions::validate(&spec.versions, &mut rejections);
        let control_plane = pools::control_plane(spec, catalogue, now, &mut rejections);
        let workers = pools::workers(spec, catalogue, now, &mut rejections);
        let machines = workers.iter().fold(control_plane.replicas, |sum, pool| sum.saturating_add(pool.replicas));
        let network = network::validate(&hetzner.network, machines, &mut rejections);
        let endpoint = endpoint(spec, &mut rejections);
        let api_allowlist = network::allowlist(&hetzner.api_allowlist, &mut rejections);
        let ports = ports::admin_ports(spec, hetzner, &mut rejections);
        network::locations_in_zone(spec, catalogue, &hetzner.network.zone, &mut rejections);
        network::attachments(machines, &endpoint, &mut rejections);
        pools::placement_groups(&control_plane, &workers, &mut rejections);
        let pools: Vec<&Pool> = std::iter::once(&control_plane).chain(&workers).collect();
        let adoptions = adopt::adoptions(platform, &identity, &pools, &mut rejections);
        let pace = pace::pace(spec, &mut rejections);
        let remediation = pace::remediation(&spec.remediation, &mut rejections);
        let backup = backup::etcd(spec, &identity, &mut rejections);
        // What is refused of the layers above does not stop the machines.
        let judged = Layers::judge(platform);
        let layers = judged.as_ref().ok().map(|(layers, _)| layers);
        let dns = dns::dns(spec, endpoint.as_ref(), layers, &mut rejections);
        not_built(spec, &mut rejections);
        image::schematic(&hetzner.image.schematic, &mut rejections);
        let snapshot_labels = image::snapshot_labels(hetzner.image.snapshot_selector.as_deref(), &mut rejections);
        let (Some(versions), Some(network), Some(endpoint)) = (versions, network, endpoint) else {
            return Err(rejections);
        };
        let (layers, refused) = judged?;
        pools::check_all_patches(&control_plane, &workers, &versions.talos, &mut rejections);
        rejections.into_result(Self {
            identity,
            generation: platform.metadata.generation.unwrap_or_default(),
            until: spec.until_phase,
            versions,
            network,
            endpoint,
            api_allowlist,
            ports,
            mesh: ports::mesh(spec),
            schematic: hetzner.image.schematic.clone(),
            snapshot_labels,
            extensions: talos_extensions(&layers),
            control_plane,
            workers,
            adoptions,
            pace,
            remediation,
            trusted_issuer: sign_on::trusted_issuer(spec),
            dns,
            backup,
            restore_from: RestoreFrom::of(platform),
            approval: spec.approval,
            rotate_authorities: rotate_authorities(platform),
            approved: Approved::of(platform),
            prices: catalogue.source,
            components: wanted(&layers).into(),
            layers,
            refused: refused.into_vec(),
        })
    }

    /// All pools, the control planes first.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        std::iter::once(&self.control_plane).chain(&self.workers)
    }

    /// The pool of that name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools().find(|pool| pool.name == name)
    }

    /// What is wanted of a component; `None` where it is not asked for, or not yet.
    #[must_use]
    pub fn component(&self, component: Component) -> Option<&Wanted> {
        self.components.iter().find(|wanted| wanted.component == component)
    }

    /// How many machines are wanted.
    #[must_use]
    pub fn machines(&self) -> u32 {
        self.pools().map(|pool| pool.replicas).sum()
    }

    /// What images carry as label `helix.dev/schematic`: label values are too short for the whole id.
    #[must_use]
    pub fn schematic_label(&self) -> &str {
        const DIGITS: usize = 32;
        self.schematic.get(..DIGITS).unwrap_or(&self.schematic)
    }

    /// Whether workloads run on control planes: where there are no workers.
    #[must_use]
    pub fn schedulable_control_planes(&self) -> bool {
        self.workers.iter().all(|pool| pool.replicas == 0)
    }
}

fn rotate_authorities(platform: &HelixPlatform) -> Option<String> {
    let asked = platform.metadata.annotations.as_ref()?.get(helix_crds::labels::ROTATE_CA)?.trim();
    (!asked.is_empty()).then(|| asked.to_owned())
}

/// Who the resource is, for a teardown: needs no valid specification.
#[must_use]
pub fn identity_of(platform: &HelixPlatform) -> PlatformIdentity {
    identity(platform, &mut Rejections::default())
}

fn identity(platform: &HelixPlatform, rejections: &mut Rejections) -> PlatformIdentity {
    const LONGEST: usize = 40;
    let name = platform.metadata.name.clone().unwrap_or_default();
    if name.is_empty() || name.len() > LONGEST || !is_dns_label(&name) {
        rejections.add(
            "metadata.name",
            format!("`{name}` cannot begin the name of a server"),
            "write at most 40 lower-case letters, digits and dashes, beginning and ending with a letter or digit",
        );
    }
    PlatformIdentity {
        namespace: platform.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        uid: platform.metadata.uid.clone().unwrap_or_default(),
        name,
    }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn endpoint(spec: &HelixPlatformSpec, rejections: &mut Rejections) -> Option<Endpoint> {
    match (spec.endpoint.kind, &spec.endpoint.host) {
        (EndpointType::LoadBalancer, _) => Some(Endpoint::LoadBalancer { public: spec.endpoint.public }),
        (EndpointType::Dns, Some(host)) => {
            if host.is_empty() || !host.split('.').all(|label| !label.is_empty() && is_dns_label(label)) {
                rejections.add(
                    "spec.endpoint.host",
                    format!("`{host}` is no DNS name"),
                    "write it in lower case without scheme and port, as in api.example.com",
                );
            }
            Some(Endpoint::Dns { host: host.clone() })
        }
        (EndpointType::Dns, None) => {
            rejections.add(
                "spec.endpoint.host",
                "is missing for type Dns",
                "write the name under which the API is reached",
            );
            None
        }
        (EndpointType::PrivateVip, _) => {
            rejections.not_implemented("spec.endpoint.type", "PrivateVip", "write LoadBalancer or Dns");
            None
        }
    }
}

/// What the resource can say but this Helix cannot do; refused rather than passed over in silence.
fn not_built(spec: &HelixPlatformSpec, rejections: &mut Rejections) {
    if spec.management == Management::SelfManaged {
        rejections.not_implemented("spec.management", "Self", "write External");
    }
    if spec.encryption.disk != DiskEncryption::None {
        rejections.not_implemented("spec.encryption.disk", "disk encryption", "write None");
    }
    if !spec.policies.is_empty() {
        rejections.not_implemented("spec.policies", "judging plans by policies", "leave it out");
    }
    if spec.supply_chain.as_ref().is_some_and(|chain| !chain.verify.is_empty()) {
        let remedy = "leave it out; charts are held to what they hashed to when they were first fetched";
        rejections.not_implemented("spec.supplyChain.verify", "verifying signatures", remedy);
    }
    for (index, pool) in spec.worker_pools.iter().enumerate() {
        if pool.autoscale.is_some() {
            let field = format!("spec.workerPools[{index}].autoscale");
            rejections.not_implemented(field, "autoscaling", "write replicas");
        }
        if pool.storage.as_ref().is_some_and(|storage| storage.volume.is_some()) {
            let field = format!("spec.workerPools[{index}].storage.volume");
            rejections.not_implemented(field, "storage on volumes", "write systemDisk");
        }
    }
}

#[cfg(test)]
mod tests;
