//! What modelled clusters hold for Hetzner's controllers: Services of type LoadBalancer and claims to volumes. An object that
//! is being deleted stays until its controller has removed what it made, as finalizers see to it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::Guests;
use super::copies::Replicated;
use super::nodes::NodeCondition;
use crate::world::ids::ServerId;
use crate::world::labels::Labels;

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedService {
    /// Its UID.
    pub uid: String,
    /// Since when it is being deleted.
    pub leaving: Option<Timestamp>,
}

/// A claim to a volume that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its UID.
    pub uid: String,
    /// What the driver labels the volume with.
    pub labels: Labels,
    /// Since when it is being deleted.
    pub leaving: Option<Timestamp>,
}

/// An object of a component, as far as it is modelled: not what is in it, but whether it is what was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldObject {
    /// Its UID.
    pub uid: String,
    /// The component that its label names.
    pub component: Option<String>,
    /// Who has made it.
    pub manager: String,
    /// The digest of what was applied last; none where somebody has changed it since.
    pub digest: Option<String>,
    /// Fields that others have set and will not let go of, each with its manager.
    pub contested: Vec<(String, String)>,
    /// Models that its pods pull, where it is a workload that serves such.
    pub models: Vec<String>,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// The variable by which a stand-in of Ollama is told what to pull, separated by commas.
pub(crate) const MODELS: &str = "OLLAMA_PULL";

/// The models that the containers of a pod's spec pull.
pub(crate) fn models(pod_spec: &Value) -> Vec<String> {
    let containers = pod_spec["containers"].as_array().into_iter().flatten();
    let variables = containers.flat_map(|it| it["env"].as_array().into_iter().flatten());
    let pulled = variables.filter(|it| it["name"] == MODELS).filter_map(|it| it["value"].as_str());
    pulled.flat_map(|it| it.split(',')).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Which object: API version, kind, namespace and name.
pub type ObjectKey = (String, String, Option<String>, String);

/// The values of one Secret.
pub type HeldSecret = BTreeMap<String, String>;

/// Services and claims by name, and what components consist of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Services.
    pub services: BTreeMap<String, ExposedService>,
    /// Claims.
    pub claims: BTreeMap<String, Claim>,
    /// What has copies on several nodes.
    pub volumes: BTreeMap<String, Replicated>,
    /// Objects of components.
    pub objects: BTreeMap<ObjectKey, HeldObject>,
    /// Secrets of components, by namespace and name.
    pub secrets: BTreeMap<(String, String), HeldSecret>,
}

impl Inside {
    pub(in crate::world) fn has_work(&self) -> bool {
        !self.services.is_empty() || !self.claims.is_empty()
    }
}

/// A cluster as its controllers see it.
#[derive(Clone, Debug)]
pub(in crate::world) struct ControlledCluster {
    pub(in crate::world) id: u64,
    pub(in crate::world) machines: Vec<ServerId>,
    pub(in crate::world) inside: Inside,
    /// Whether the controllers run: they are installed, the API answers them, and some node takes pods.
    pub(in crate::world) controlled: bool,
}

impl Guests {
    /// What the cluster holds whose API the machine `server` serves; `None` where it serves none.
    #[must_use]
    pub fn inside_at(&self, server: ServerId) -> Option<&Inside> {
        Some(&self.registry_at(server)?.inside)
    }

    /// The same, to change it as its API would.
    pub fn inside_at_mut(&mut self, server: ServerId) -> Option<&mut Inside> {
        Some(&mut self.registry_at_mut(server)?.inside)
    }

    /// What all clusters hold.
    pub fn all_inside(&self) -> impl Iterator<Item = &Inside> {
        self.registries().map(|registry| &registry.inside)
    }

    /// The clusters that hold something for controllers.
    pub(in crate::world) fn clusters_to_control(&self) -> Vec<ControlledCluster> {
        let served = self.served();
        self.registries_by_cluster()
            .filter(|(_, registry)| registry.inside.has_work())
            .map(|(id, registry)| {
                let ready = registry.nodes.values().any(|node| node.condition == NodeCondition::Ready);
                let of_cluster = |name: &str| registry.nodes.contains_key(name);
                let machines = self.guests.values().filter(|guest| of_cluster(guest.hostname()));
                ControlledCluster {
                    id: *id,
                    machines: machines.map(|guest| guest.host().server).collect(),
                    inside: registry.inside.clone(),
                    controlled: served.has(*id) && ready && registry.runs_cloud_controller(),
                }
            })
            .collect()
    }

    pub(in crate::world) fn forget_service(&mut self, cluster: u64, name: &str) {
        if let Some(registry) = self.registry_of_mut(cluster) {
            registry.inside.services.remove(name);
        }
    }

    pub(in crate::world) fn forget_claim(&mut self, cluster: u64, name: &str) {
        if let Some(registry) = self.registry_of_mut(cluster) {
            registry.inside.claims.remove(name);
        }
    }
}
