//! Proving that the next stage of a rotation of authorities locks nobody out: every machine and every API server is asked
//! with the certificates that that stage makes, trusting only whom it trusts. Nothing is asked while no rotation is under way.

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use helix_plan::endpoints::api_url;
use helix_plan::names::MachineName;
use helix_plan::observed::{CloudFacts, Proofs};

use super::Access;
use crate::seams::{Talos, TalosRoute, Workload, WorkloadRoute};

pub(super) async fn ask(talos: &dyn Talos, workload: &dyn Workload, cloud: &CloudFacts, access: &Access) -> Proofs {
    let mut proofs = Proofs::default();
    let Some(next) = access.of_the_next_stage() else { return proofs };
    let Some(credentials) = &next.credentials else { return proofs };
    let machines = cloud.servers.iter().filter_map(|server| MachineName::parse(&server.name).ok());
    // Boxed, because a stream of borrowing futures is not `Send` for the compiler.
    let at_talos: Vec<BoxFuture<'_, Option<MachineName>>> = machines
        .filter_map(|machine| Some((route(&next, &machine)?, machine)))
        .map(|(route, machine)| async move { talos.status(&route).await.ok().map(|_| machine) }.boxed())
        .collect();
    let at_kubernetes: Vec<BoxFuture<'_, Option<MachineName>>> = next
        .control_planes
        .iter()
        .map(|control_plane| {
            let endpoint = api_url(&control_plane.public.to_string());
            let route = WorkloadRoute { endpoint, credentials: credentials.kubernetes.clone() };
            let machine = control_plane.machine.clone();
            async move { workload.nodes(&route).await.ok().map(|_| machine) }.boxed()
        })
        .collect();
    proofs.machines = join_all(at_talos).await.into_iter().flatten().collect();
    proofs.api_servers = join_all(at_kubernetes).await.into_iter().flatten().collect();
    proofs
}

/// The way to a machine: a control plane directly, a worker through the first that has one.
pub(super) fn route(access: &Access, machine: &MachineName) -> Option<TalosRoute> {
    if machine.is_control_plane() {
        let found = access.control_planes.iter().find(|control_plane| control_plane.machine == *machine)?;
        return access.to_control_plane(found.public);
    }
    let node = *access.workers.get(machine)?;
    let through = access.to_control_plane(access.control_planes.first()?.public)?;
    Some(TalosRoute { node: Some(node), ..through })
}
