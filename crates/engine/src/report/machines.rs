//! Machines as they were observed: one projection for each server.

use helix_crds::{HelixMachineSpec, HelixMachineStatus, MachineAddresses};
use helix_plan::names::MachineName;
use helix_plan::observed::{Fact, Intents, MachineStage, Missing, NodeFacts, Server, ServerStatus, TalosFacts};

use super::{MachineProjection, Told};

/// All machines, by name; `None` where Hetzner could not be asked.
pub(crate) fn machines(told: &Told<'_>) -> Option<Vec<MachineProjection>> {
    let cloud = told.observed.cloud.value()?;
    let mut machines: Vec<MachineProjection> = cloud
        .servers
        .iter()
        .filter_map(|server| Some(projection(told, &MachineName::parse(&server.name).ok()?, server)))
        .collect();
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    Some(machines)
}

/// Whether the machine runs what is wanted.
pub(super) fn is_updated(told: &Told<'_>, machine: &MachineProjection) -> bool {
    let wanted = format!("v{}", told.validated.versions.talos);
    machine.status.talos_version.as_ref() == Some(&wanted) && machine.status.config_digest.is_some()
}

fn projection(told: &Told<'_>, machine: &MachineName, server: &Server) -> MachineProjection {
    let talos = told.observed.talos.get(machine);
    let name = machine.to_string();
    let kubernetes = told.observed.kubernetes.value();
    let node = kubernetes.and_then(|cluster| cluster.nodes.iter().find(|node| node.name == name));
    let facts = talos.and_then(Fact::value);
    let intents = &told.observed.intents;
    let state = state(server, talos, node, told.configured.contains(machine));
    let private = told.observed.cloud.value().and_then(|cloud| cloud.private_ipv4(&server.private));
    MachineProjection {
        spec: HelixMachineSpec {
            platform: told.validated.identity.name.clone(),
            pool: machine.pool().to_owned(),
            slot: machine.slot(),
        },
        status: HelixMachineStatus {
            server_id: Some(server.id),
            server_type: Some(server.server_type.clone()),
            location: Some(server.location.clone()),
            addresses: Some(MachineAddresses {
                private: private.map(|address| address.to_string()),
                public_ipv4: server.public_ipv4.map(|address| address.to_string()),
                public_ipv6: None,
            }),
            talos_version: facts.map(|facts| facts.version().to_owned()),
            ready: is_ready(machine, server, facts, node),
            config_digest: node.and_then(|node| node.config_digest.clone()),
            held: intents.hold.contains(machine),
            state: Some(with_intents(&state, machine, server, intents)),
            observed_generation: None,
            conditions: Vec::new(),
        },
        name,
    }
}

/// Until there is a pod network, health is Talos, kubelet and, on control planes, etcd: a node's own readiness does
/// not count yet.
fn is_ready(machine: &MachineName, server: &Server, talos: Option<&TalosFacts>, node: Option<&NodeFacts>) -> bool {
    let serves = |service| talos.is_some_and(|talos| talos.serves(service));
    let etcd = !machine.is_control_plane() || serves("etcd");
    server.status == ServerStatus::Running && serves("kubelet") && etcd && node.is_some()
}

/// The machine's state, and what a user asks of it.
fn with_intents(state: &str, machine: &MachineName, server: &Server, intents: &Intents) -> String {
    match (intents.hold.contains(machine), intents.replace.contains(&server.id)) {
        (true, true) => format!("{state}; held, and to be replaced once it is not"),
        (true, false) => format!("{state}; held"),
        (false, true) => format!("{state}; to be replaced"),
        (false, false) => state.to_owned(),
    }
}

fn state(server: &Server, talos: Option<&Fact<TalosFacts>>, node: Option<&NodeFacts>, configured: bool) -> String {
    match (&server.status, talos) {
        (ServerStatus::Off, _) => "powered off".to_owned(),
        (ServerStatus::Deleting, _) => "being deleted".to_owned(),
        (_, Some(Fact::Known { value: TalosFacts::Maintenance { .. }, .. })) => {
            "waiting for its configuration".to_owned()
        }
        (_, Some(Fact::Known { value: TalosFacts::Configured { stage, .. }, .. })) => match (stage, node) {
            (MachineStage::Booting, _) => "starting its services".to_owned(),
            (MachineStage::Rebooting, _) => "rebooting".to_owned(),
            (MachineStage::Other(stage), _) => stage.clone(),
            (MachineStage::Running, None) => "registering as a node".to_owned(),
            (MachineStage::Running, Some(_)) => "in service".to_owned(),
        },
        (_, Some(Fact::Missing(_))) if configured && node.is_none() => "starting with its configuration".to_owned(),
        (_, Some(Fact::Missing(Missing::Refused { .. }))) => "refuses Helix".to_owned(),
        (ServerStatus::Initializing | ServerStatus::Starting, _) => "being made".to_owned(),
        _ => "not answering".to_owned(),
    }
}
