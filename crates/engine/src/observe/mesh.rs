//! Asking the mesh, and proving that Helix comes in by itself: a Talos call and an API call that need no load balancer.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use helix_plan::endpoints::api_url;
use helix_plan::mesh::proved;
use helix_plan::names::{MachineName, PlatformIdentity};
use helix_plan::observed::{Fact, MeshFacts, Missing, Observed, TalosFacts};
use helix_plan::validated::{MeshAccount, ValidatedPlatform};
use jiff::{SignedDuration, Timestamp};

use super::{Access, race};
use crate::memory::Memory;
use crate::seams::{MeshError, Seams, WorkloadRoute};

/// For how long an answer is good: the account is somebody else's service, and what is looked for changes rarely.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(30);

/// What the mesh tells; nothing where none is asked for.
pub(super) async fn ask(
    seams: &Seams,
    platform: &ValidatedPlatform,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<MeshFacts> {
    look(seams, &platform.identity.namespace, platform.mesh.as_ref(), memory, now).await
}

/// What the account of a platform that goes holds of it, as far as that is proved.
pub(super) async fn ask_of_the_leaving(
    seams: &Seams,
    platform: &PlatformIdentity,
    account: Option<&MeshAccount>,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<MeshFacts> {
    match look(seams, &platform.namespace, account, memory, now).await {
        Fact::Known { value: mesh, at } => Fact::known(proved(&mesh, platform), at),
        missing @ Fact::Missing(_) => missing,
    }
}

async fn look(
    seams: &Seams,
    namespace: &str,
    account: Option<&MeshAccount>,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<MeshFacts> {
    let Some(account) = account else {
        memory.mesh = None;
        return Fact::known(MeshFacts::default(), now);
    };
    if let Some((at, mesh)) = &memory.mesh
        && *at + GOOD_FOR > now
    {
        return Fact::known(mesh.clone(), *at);
    }
    match seams.mesh.look(namespace, account).await {
        Ok(mesh) => {
            memory.mesh = Some((now, mesh.clone()));
            Fact::known(mesh, now)
        }
        Err(error) => Fact::Missing(missing(&error)),
    }
}

fn missing(error: &MeshError) -> Missing {
    let who = "the mesh".to_owned();
    match error {
        MeshError::NoToken { .. } | MeshError::Refused { .. } => Missing::Refused {
            who,
            why: error.to_string(),
            remedy: "The rest of the platform goes on without the mesh".to_owned(),
        },
        MeshError::Unreachable { .. } => Missing::Unreachable { who, why: error.to_string() },
    }
}

/// When Helix has come in by itself: a control plane's Talos and a control plane's API server have answered it directly.
/// Asked for only where ports are to close.
pub(super) async fn way_in(
    seams: &Seams,
    platform: &ValidatedPlatform,
    observed: &Observed,
    access: &Access,
    now: Timestamp,
) -> Option<Timestamp> {
    let heard = |talos: &BTreeMap<MachineName, Fact<TalosFacts>>| {
        talos.iter().any(|(machine, it)| machine.is_control_plane() && it.value().is_some())
    };
    if !platform.ports.close || !heard(&observed.talos) || observed.kubernetes.value().is_none() {
        return None;
    }
    if access.endpoints.front.is_none() {
        // Then it was a control plane that has answered.
        return Some(now);
    }
    let credentials = &access.credentials.as_ref()?.kubernetes;
    let questions = access.control_planes.iter().map(|control_plane| {
        let endpoint = api_url(&control_plane.public.to_string());
        let route = WorkloadRoute { endpoint, credentials: credentials.clone() };
        async move { seams.workload.nodes(&route).await }.boxed()
    });
    let answer = race::first_good(seams.clock.as_ref(), questions.collect::<Vec<_>>()).await;
    answer?.ok().map(|_| now)
}
