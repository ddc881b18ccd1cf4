//! What a machine shows through COSI: its resources of the types that are served, each as protobuf and as YAML.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::events::stage_number;
use super::wire::common::NetIp;
use super::wire::cosi::resource::{Metadata, Resource, Spec};
use super::wire::resource::config::MachineConfigSpec;
use super::wire::talos::resource::definitions::cluster::{self, ControlPlane};
use super::wire::talos::resource::definitions::enums::MachineType;
use super::wire::talos::resource::definitions::etcd;
use super::wire::talos::resource::definitions::extensions::{Layer, Metadata as ExtensionMetadata};
use super::wire::talos::resource::definitions::runtime::{MachineStatusSpec, MachineStatusStatus, UnmetCondition};
use crate::world::ServerId;
use crate::world::machine::config::Role;
use crate::world::machine::{Guest, Guests};

/// A type of resources that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `MachineStatuses.runtime.talos.dev`
    MachineStatus,
    /// `Members.cluster.talos.dev`
    Member,
    /// `EtcdMembers.etcd.talos.dev`
    EtcdMember,
    /// `MachineConfigs.config.talos.dev`
    MachineConfig,
    /// `ExtensionStatuses.runtime.talos.dev`
    ExtensionStatus,
}

impl Kind {
    /// The type of this name in its namespace; an empty namespace is the type's own.
    #[must_use]
    pub(super) fn named(namespace: &str, name: &str) -> Option<Self> {
        let all = [Self::MachineStatus, Self::Member, Self::EtcdMember, Self::MachineConfig, Self::ExtensionStatus];
        all.into_iter().find(|kind| kind.name() == name && (namespace.is_empty() || kind.namespace() == namespace))
    }

    /// Its name.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MachineStatus => "MachineStatuses.runtime.talos.dev",
            Self::Member => "Members.cluster.talos.dev",
            Self::EtcdMember => "EtcdMembers.etcd.talos.dev",
            Self::MachineConfig => "MachineConfigs.config.talos.dev",
            Self::ExtensionStatus => "ExtensionStatuses.runtime.talos.dev",
        }
    }

    /// Its namespace.
    #[must_use]
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::MachineStatus | Self::ExtensionStatus => "runtime",
            Self::Member => "cluster",
            Self::EtcdMember => "etcd",
            Self::MachineConfig => "config",
        }
    }

    /// Whether only administrators may see it.
    #[must_use]
    pub(super) fn is_sensitive(self) -> bool {
        self == Self::MachineConfig
    }
}

/// The resources of a type on a machine, by id.
#[must_use]
pub(super) fn list(guests: &Guests, server: ServerId, kind: Kind, now: Timestamp) -> Vec<Resource> {
    let Some(guest) = guests.get(server) else { return Vec::new() };
    match kind {
        Kind::MachineStatus => vec![machine_status(guest, now)],
        Kind::Member => members(guests, guest),
        Kind::EtcdMember => etcd_member(guest).into_iter().collect(),
        Kind::MachineConfig => machine_configs(guest),
        Kind::ExtensionStatus => extensions(guest),
    }
}

/// A resource whose version is a digest of its content: it changes when and only when that does.
fn resource(kind: Kind, id: &str, proto: &impl prost::Message, yaml: String) -> Resource {
    let proto_spec = proto.encode_to_vec();
    // FNV-1a, folded into what a version may be.
    let digest = proto_spec
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Resource {
        metadata: Some(Metadata {
            namespace: kind.namespace().to_owned(),
            r#type: kind.name().to_owned(),
            id: id.to_owned(),
            version: (digest >> 16).max(1).to_string(),
            phase: "running".to_owned(),
            ..Metadata::default()
        }),
        spec: Some(Spec { proto_spec, yaml_spec: yaml }),
    }
}

fn machine_status(guest: &Guest, now: Timestamp) -> Resource {
    let (stage, ready) = guest.status(now);
    let stage_name = match stage {
        crate::world::machine::Stage::Booting => "booting",
        crate::world::machine::Stage::Maintenance => "maintenance",
        crate::world::machine::Stage::Running => "running",
        crate::world::machine::Stage::Rebooting => "rebooting",
        crate::world::machine::Stage::ShuttingDown => "shutting down",
        crate::world::machine::Stage::Resetting => "resetting",
        crate::world::machine::Stage::Upgrading => "upgrading",
    };
    let unmet = if ready { Vec::new() } else { guest.unmet(now) };
    let mut yaml = format!("stage: {stage_name}\nstatus:\n    ready: {ready}\n    unmetConditions:");
    if unmet.is_empty() {
        yaml.push_str(" []");
    }
    for (name, reason) in &unmet {
        yaml.push_str(&format!("\n        - name: {name}\n          reason: {reason}"));
    }
    yaml.push('\n');
    let unmet_conditions = unmet
        .into_iter()
        .map(|(name, reason)| UnmetCondition { name: name.to_owned(), reason: reason.to_owned() })
        .collect();
    let status = Some(MachineStatusStatus { ready, unmet_conditions });
    resource(Kind::MachineStatus, "machine", &MachineStatusSpec { stage: stage_number(stage), status }, yaml)
}

/// The machines of the same cluster, as discovery tells: none where the configuration switches it off.
fn members(guests: &Guests, own: &Guest) -> Vec<Resource> {
    let cluster_id =
        |guest: &Guest| guest.config().and_then(|config| Some(config.cluster()?.discovery_id()?.to_owned()));
    let Some(id) = cluster_id(own) else { return Vec::new() };
    guests
        .iter()
        .filter(|guest| guest.is_up() && cluster_id(guest).as_ref() == Some(&id))
        .map(|guest| {
            let addresses: Vec<Ipv4Addr> =
                guest.host().private_ipv4.into_iter().chain(guest.host().public_ipv4).collect();
            let control = guest.role() == Some(Role::ControlPlane);
            let kind = if control { "controlplane" } else { "worker" };
            let listed: String = addresses.iter().map(|address| format!("\n    - {address}")).collect();
            let yaml = format!(
                "nodeId: {}\naddresses:{listed}\nhostname: {}\nmachineType: {kind}\noperatingSystem: Talos ({})\n",
                guest.boot_id(),
                guest.hostname(),
                guest.version()
            );
            let spec = cluster::MemberSpec {
                node_id: guest.boot_id().to_owned(),
                addresses: addresses.iter().map(|address| NetIp { ip: address.octets().to_vec() }).collect(),
                hostname: guest.hostname().to_owned(),
                machine_type: if control { MachineType::TypeControlPlane } else { MachineType::TypeWorker }.into(),
                operating_system: format!("Talos ({})", guest.version()),
                control_plane: control.then_some(ControlPlane { api_server_port: 6443 }),
            };
            resource(Kind::Member, guest.hostname(), &spec, yaml)
        })
        .collect()
}

fn etcd_member(guest: &Guest) -> Option<Resource> {
    let member_id = format!("{:016x}", guest.etcd_member_id()?);
    let yaml = format!("memberId: {member_id}\n");
    Some(resource(Kind::EtcdMember, "local", &etcd::MemberSpec { member_id }, yaml))
}

/// The configuration that runs (`v1alpha1`) and the one on disk (`persistent`), which differ during a trial.
fn machine_configs(guest: &Guest) -> Vec<Resource> {
    let configs = [("v1alpha1", guest.config()), ("persistent", guest.persistent_config())];
    let told = configs.into_iter().filter_map(|(id, config)| {
        let text = config?.text();
        let spec = MachineConfigSpec { yaml_marshalled: text.as_bytes().to_vec() };
        Some(resource(Kind::MachineConfig, id, &spec, text.to_string()))
    });
    told.collect()
}

/// The extensions of the installed image, and its schematic, which Talos tells as if it were one more.
fn extensions(guest: &Guest) -> Vec<Resource> {
    let named = guest.extensions().iter().map(|name| ExtensionMetadata {
        name: (*name).to_owned(),
        version: guest.version().to_owned(),
        author: "Sidero Labs".to_owned(),
        ..ExtensionMetadata::default()
    });
    let schematic = guest.schematic().map(|schematic| ExtensionMetadata {
        name: "schematic".to_owned(),
        version: schematic.to_owned(),
        author: "Image Factory".to_owned(),
        description: "Virtual extension which specifies the schematic of the image".to_owned(),
        ..ExtensionMetadata::default()
    });
    let told = named.chain(schematic).enumerate().map(|(index, metadata)| {
        let (name, version) = (&metadata.name, &metadata.version);
        let yaml = format!("image: \"\"\nmetadata:\n    name: {name}\n    version: {version}\n");
        let layer = Layer { image: String::new(), metadata: Some(metadata) };
        resource(Kind::ExtensionStatus, &index.to_string(), &layer, yaml)
    });
    told.collect()
}
