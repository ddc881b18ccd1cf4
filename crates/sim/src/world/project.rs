//! A project: the scope of names, quotas, tokens and the request budget.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::actions::{Action, ResourceRef};
use super::cost::Ledger;
use super::error::{ApiError, ApiResult};
use super::firewalls::Firewall;
use super::ids::{
    ActionId, FirewallId, ImageId, LoadBalancerId, NetworkId, PlacementGroupId, PrimaryIpId, ServerId, SshKeyId,
    VolumeId, ZoneId,
};
use super::images::Image;
use super::labels::{self, Labels};
use super::load_balancers::LoadBalancer;
use super::networks::Network;
use super::placement_groups::PlacementGroup;
use super::primary_ips::PrimaryIp;
use super::rate_limit::TokenBucket;
use super::servers::Server;
use super::ssh_keys::SshKey;
use super::volumes::Volume;
use super::zones::Zone;

/// Everything that one token can see. Read it freely; only the world's methods change it.
#[derive(Clone, Debug)]
pub struct Project {
    /// For people.
    pub name: String,
    /// Servers.
    pub servers: BTreeMap<ServerId, Server>,
    /// Private networks.
    pub networks: BTreeMap<NetworkId, Network>,
    /// Firewalls.
    pub firewalls: BTreeMap<FirewallId, Firewall>,
    /// SSH keys.
    pub ssh_keys: BTreeMap<SshKeyId, SshKey>,
    /// Placement groups.
    pub placement_groups: BTreeMap<PlacementGroupId, PlacementGroup>,
    /// Load balancers.
    pub load_balancers: BTreeMap<LoadBalancerId, LoadBalancer>,
    /// Images and snapshots.
    pub images: BTreeMap<ImageId, Image>,
    /// Volumes.
    pub volumes: BTreeMap<VolumeId, Volume>,
    /// Primary IPs.
    pub primary_ips: BTreeMap<PrimaryIpId, PrimaryIp>,
    /// Zones of DNS.
    pub zones: BTreeMap<ZoneId, Zone>,
    /// Actions, also those about what is gone.
    pub actions: BTreeMap<ActionId, Action>,
    /// What was and is billed.
    pub ledger: Ledger,
    pub(super) bucket: TokenBucket,
}

impl Project {
    pub(super) fn new(name: String, bucket: TokenBucket) -> Self {
        Self {
            name,
            servers: BTreeMap::new(),
            networks: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            ssh_keys: BTreeMap::new(),
            placement_groups: BTreeMap::new(),
            load_balancers: BTreeMap::new(),
            images: BTreeMap::new(),
            volumes: BTreeMap::new(),
            primary_ips: BTreeMap::new(),
            zones: BTreeMap::new(),
            actions: BTreeMap::new(),
            ledger: Ledger::default(),
            bucket,
        }
    }

    /// Whether nothing is left that a platform made: what a finished teardown leaves. Images stay, and zones of DNS with
    /// what others have in them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
            && self.networks.is_empty()
            && self.firewalls.is_empty()
            && self.ssh_keys.is_empty()
            && self.placement_groups.is_empty()
            && self.load_balancers.is_empty()
            && self.volumes.is_empty()
            && self.primary_ips.is_empty()
            && self.zones.values().all(|zone| zone.rrsets.values().all(|it| it.labels.is_empty()))
    }

    /// Name, labels, age and protection of anything.
    #[must_use]
    pub fn meta_of(&self, resource: ResourceRef) -> Option<&Meta> {
        match resource {
            ResourceRef::Server(id) => self.servers.get(&id).map(Resource::meta),
            ResourceRef::Network(id) => self.networks.get(&id).map(Resource::meta),
            ResourceRef::Firewall(id) => self.firewalls.get(&id).map(Resource::meta),
            ResourceRef::LoadBalancer(id) => self.load_balancers.get(&id).map(Resource::meta),
            ResourceRef::Volume(id) => self.volumes.get(&id).map(Resource::meta),
            ResourceRef::PrimaryIp(id) => self.primary_ips.get(&id).map(Resource::meta),
            ResourceRef::Image(id) => self.images.get(&id).map(Resource::meta),
            ResourceRef::PlacementGroup(id) => self.placement_groups.get(&id).map(Resource::meta),
            ResourceRef::Zone(id) => self.zones.get(&id).map(Resource::meta),
        }
    }

    pub(super) fn meta_of_mut(&mut self, resource: ResourceRef) -> Option<&mut Meta> {
        match resource {
            ResourceRef::Server(id) => self.servers.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::Network(id) => self.networks.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::Firewall(id) => self.firewalls.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::LoadBalancer(id) => self.load_balancers.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::Volume(id) => self.volumes.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::PrimaryIp(id) => self.primary_ips.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::Image(id) => self.images.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::PlacementGroup(id) => self.placement_groups.get_mut(&id).map(Resource::meta_mut),
            ResourceRef::Zone(id) => self.zones.get_mut(&id).map(Resource::meta_mut),
        }
    }
}

/// What every resource has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Unique among its kind in the project.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// When it was made.
    pub created: Timestamp,
    /// Whether deletion is refused.
    pub delete_protected: bool,
}

impl Meta {
    pub(super) fn new(name: String, labels: Labels, created: Timestamp) -> Self {
        Self { name, labels, created, delete_protected: false }
    }
}

/// A kind of resource, for what is the same about all.
pub trait Resource {
    /// In Hetzner's words, as in `load_balancer`.
    const KIND: &'static str;

    /// Name, labels, age, protection.
    fn meta(&self) -> &Meta;

    /// The same, to change.
    fn meta_mut(&mut self) -> &mut Meta;
}

macro_rules! resources {
    ($($kind:ty: $name:literal),* $(,)?) => {$(
        impl Resource for $kind {
            const KIND: &'static str = $name;

            fn meta(&self) -> &Meta {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut Meta {
                &mut self.meta
            }
        }
    )*};
}

resources! {
    Firewall: "firewall",
    Image: "image",
    LoadBalancer: "load_balancer",
    Network: "network",
    PlacementGroup: "placement_group",
    PrimaryIp: "primary_ip",
    Server: "server",
    SshKey: "ssh_key",
    Volume: "volume",
    Zone: "zone",
}

/// Names of anything but servers, which must be host names.
const MAX_NAME: usize = 128;

/// A change of name or labels. Labels are replaced as a whole: keys that aren't sent are dropped (behaviour 9).
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The new name.
    pub name: Option<String>,
    /// The new labels.
    pub labels: Option<Labels>,
}

pub(super) fn find<K, T>(all: &BTreeMap<K, T>, id: K) -> ApiResult<&T>
where
    K: Ord + std::fmt::Display + Copy,
    T: Resource,
{
    all.get(&id).ok_or_else(|| ApiError::not_found(T::KIND, id))
}

pub(super) fn find_mut<K, T>(all: &mut BTreeMap<K, T>, id: K) -> ApiResult<&mut T>
where
    K: Ord + std::fmt::Display + Copy,
    T: Resource,
{
    all.get_mut(&id).ok_or_else(|| ApiError::not_found(T::KIND, id))
}

/// Checks the name and the labels of a new resource.
pub(super) fn check_new<K, T: Resource>(all: &BTreeMap<K, T>, name: &str, labels: &Labels) -> ApiResult<()> {
    check_name(name)?;
    labels::validate(labels)?;
    check_free(all.values(), name)
}

pub(super) fn update<K, T>(all: &mut BTreeMap<K, T>, id: K, update: Update) -> ApiResult<()>
where
    K: Ord + std::fmt::Display + Copy,
    T: Resource,
{
    find(all, id)?;
    if let Some(name) = &update.name {
        check_name(name)?;
        check_free(all.iter().filter(|(other, _)| **other != id).map(|(_, it)| it), name)?;
    }
    if let Some(labels) = &update.labels {
        labels::validate(labels)?;
    }
    let meta = find_mut(all, id)?.meta_mut();
    meta.name = update.name.unwrap_or_else(|| meta.name.clone());
    meta.labels = update.labels.unwrap_or_else(|| meta.labels.clone());
    Ok(())
}

/// Refuses what is protected from deletion (behaviour 21).
pub(super) fn check_deletable<T: Resource>(it: &T) -> ApiResult<()> {
    if it.meta().delete_protected { Err(ApiError::protected(T::KIND)) } else { Ok(()) }
}

/// Refuses a change while another is under way.
pub(super) fn check_unlocked<T: Resource>(locks: &BTreeSet<ActionId>) -> ApiResult<()> {
    if locks.is_empty() { Ok(()) } else { Err(ApiError::locked(T::KIND)) }
}

/// Refuses a parallel change of what isn't locked but can only change once at a time (behaviour 15).
pub(super) fn check_unchanging<T: Resource>(locks: &BTreeSet<ActionId>) -> ApiResult<()> {
    if locks.is_empty() { Ok(()) } else { Err(ApiError::conflict(T::KIND)) }
}

fn check_name(name: &str) -> ApiResult<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.trim() != name {
        return Err(ApiError::invalid("name", "must have 1 to 128 characters and no spaces around them"));
    }
    Ok(())
}

fn check_free<'a, T: Resource + 'a>(mut others: impl Iterator<Item = &'a T>, name: &str) -> ApiResult<()> {
    if others.any(|other| other.meta().name == name) {
        return Err(ApiError::not_unique(T::KIND, "name"));
    }
    Ok(())
}
