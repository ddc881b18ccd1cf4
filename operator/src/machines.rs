//! The `HelixMachine`s of a platform: one per server, kept equal to what the engine observed.
//!
//! They are projections. One whose server is gone goes, and where its name has another server, it is made anew: what was
//! asked of the old machine is not asked of its successor. One that a user deletes is an order to replace the machine; its
//! finalizer keeps it until that is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use helix_crds::labels::{self, FIELD_MANAGER, REPLACEMENT_FINALIZER};
use helix_crds::{HelixMachine, HelixPlatform};
use helix_engine::turn::MachineProjection;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use crate::error::{CallError, call};

/// Writes under way at the same time.
const WRITES: usize = 8;

/// One write that brings a `HelixMachine` nearer to its server.
#[derive(Debug)]
enum Write<'a> {
    /// It is not there, or can be deleted without a replacement of its machine.
    Create(&'a MachineProjection),
    /// Its status is not what was observed.
    Status(&'a MachineProjection),
    /// There is no such server (any more), or it belonged to a namesake of the platform.
    Delete(&'a HelixMachine),
}

/// Makes the `HelixMachine`s that there are equal to the wanted ones.
pub(crate) async fn project(
    api: &Api<HelixMachine>,
    platform: &HelixPlatform,
    wanted: &[MachineProjection],
    found: &[Arc<HelixMachine>],
) -> Result<(), CallError> {
    let uid = platform.uid().unwrap_or_default();
    // Boxed, because a stream of borrowing futures is not `Send` for the compiler.
    let writes: Vec<BoxFuture<'_, _>> =
        writes(&uid, wanted, found).into_iter().map(|write| carry_out(api, platform, write).boxed()).collect();
    stream::iter(writes).buffer_unordered(WRITES).try_collect().await
}

fn writes<'a>(uid: &str, wanted: &'a [MachineProjection], found: &'a [Arc<HelixMachine>]) -> Vec<Write<'a>> {
    let mut found: BTreeMap<String, &HelixMachine> = found.iter().map(|m| (m.name_any(), m.as_ref())).collect();
    let mut writes = Vec::new();
    for machine in wanted {
        match found.remove(&machine.name) {
            None => writes.push(Write::Create(machine)),
            // The next pass makes it anew: a deletion that is refused must not end in two owners.
            Some(found) if !is_owned_by(found, uid) || is_of_another_server(found, machine) => {
                writes.push(Write::Delete(found));
            }
            Some(found) if !is_kept(found) && found.metadata.deletion_timestamp.is_none() => {
                writes.push(Write::Create(machine));
            }
            Some(found) if found.status.as_ref() != Some(&machine.status) => writes.push(Write::Status(machine)),
            Some(_) => {}
        }
    }
    writes.extend(found.into_values().map(Write::Delete));
    writes
}

fn is_owned_by(machine: &HelixMachine, uid: &str) -> bool {
    machine.owner_references().iter().any(|owner| owner.uid == uid)
}

/// Whether it was written of a server that has been replaced.
fn is_of_another_server(found: &HelixMachine, wanted: &MachineProjection) -> bool {
    let shown = found.status.as_ref().and_then(|status| status.server_id);
    shown.is_some() && shown != wanted.status.server_id
}

/// Whether it stays, when it is deleted, until its machine is replaced.
fn is_kept(machine: &HelixMachine) -> bool {
    machine.finalizers().iter().any(|finalizer| finalizer == REPLACEMENT_FINALIZER)
}

async fn carry_out(api: &Api<HelixMachine>, platform: &HelixPlatform, write: Write<'_>) -> Result<(), CallError> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match write {
        Write::Create(machine) => {
            let patch = Patch::Apply(whole(platform, machine));
            call("create a HelixMachine", api.patch(&machine.name, &params, &patch)).await?;
            let patch = Patch::Apply(status(machine));
            call("write a HelixMachine's status", api.patch_status(&machine.name, &params, &patch)).await.map(drop)
        }
        Write::Status(machine) => {
            let patch = Patch::Apply(status(machine));
            let written = call("write a HelixMachine's status", api.patch_status(&machine.name, &params, &patch)).await;
            tolerate_absence(written.map(drop))
        }
        Write::Delete(machine) => {
            // Exactly the one that was looked at.
            let exactly = Preconditions { uid: machine.uid(), resource_version: None };
            let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
            let deleted = call("delete a HelixMachine", api.delete(&machine.name_any(), &params)).await;
            match deleted.map(|answer| answer.left()) {
                Ok(Some(deleted)) => let_go(api, &deleted).await,
                outcome => tolerate_absence(outcome.map(drop)),
            }
        }
    }
}

/// Lets one go that is deleted: nothing has to be replaced for it any more.
pub(crate) async fn let_go(api: &Api<HelixMachine>, machine: &HelixMachine) -> Result<(), CallError> {
    if !is_kept(machine) {
        return Ok(());
    }
    let mut finalizers = machine.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != REPLACEMENT_FINALIZER);
    // With the version that was read, so that no finalizer of anybody else is lost.
    let metadata = json!({
        "uid": machine.uid(), "resourceVersion": machine.resource_version(), "finalizers": finalizers,
    });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"metadata": metadata}));
    let patched = call("let a HelixMachine go", api.patch(&machine.name_any(), &params, &patch)).await;
    tolerate_absence(patched.map(drop))
}

/// Whether it is deleted and waits for an operator, but belongs to no platform that an operator would look after.
pub(crate) fn is_forsaken(machine: &HelixMachine, platform_exists: impl Fn(&str) -> bool) -> bool {
    machine.metadata.deletion_timestamp.is_some()
        && is_kept(machine)
        && !machine.owner_references().iter().any(|owner| platform_exists(&owner.uid))
}

/// One that somebody deletes meanwhile is made anew by the pass that its deletion causes.
fn tolerate_absence(outcome: Result<(), CallError>) -> Result<(), CallError> {
    match outcome {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

fn whole(platform: &HelixPlatform, machine: &MachineProjection) -> Value {
    json!({
        "apiVersion": HelixMachine::api_version(&()),
        "kind": HelixMachine::kind(&()),
        "metadata": {
            "name": machine.name,
            "labels": {
                labels::PLATFORM: machine.spec.platform,
                labels::PLATFORM_UID: platform.uid(),
                labels::POOL: machine.spec.pool,
                labels::MACHINE: machine.name,
            },
            "finalizers": [REPLACEMENT_FINALIZER],
            "ownerReferences": platform.controller_owner_ref(&()).map(|owner| vec![owner]),
        },
        "spec": machine.spec,
    })
}

fn status(machine: &MachineProjection) -> Value {
    json!({
        "apiVersion": HelixMachine::api_version(&()),
        "kind": HelixMachine::kind(&()),
        "metadata": {"name": machine.name},
        "status": machine.status,
    })
}

#[cfg(test)]
mod tests {
    use helix_crds::{HelixMachineSpec, HelixMachineStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    fn wanted(slot: u32, ready: bool) -> MachineProjection {
        of_server(slot, ready, None)
    }

    fn of_server(slot: u32, ready: bool, server_id: Option<u64>) -> MachineProjection {
        MachineProjection {
            name: format!("dev-cp-{slot}"),
            spec: HelixMachineSpec { platform: "dev".to_owned(), pool: "cp".to_owned(), slot },
            status: HelixMachineStatus { ready, server_id, ..HelixMachineStatus::default() },
        }
    }

    fn found(slot: u32, ready: bool, owner: &str) -> Arc<HelixMachine> {
        Arc::new(shown(wanted(slot, ready), owner))
    }

    fn shown(machine: MachineProjection, owner: &str) -> HelixMachine {
        let MachineProjection { name, spec, status } = machine;
        let mut machine = HelixMachine::new(&name, spec);
        machine.status = Some(status);
        machine.finalizers_mut().push(REPLACEMENT_FINALIZER.to_owned());
        machine.metadata.owner_references =
            Some(vec![OwnerReference { uid: owner.to_owned(), ..OwnerReference::default() }]);
        machine
    }

    fn words(writes: &[Write<'_>]) -> Vec<String> {
        let word = |write: &Write<'_>| match write {
            Write::Create(machine) => format!("create {}", machine.name),
            Write::Status(machine) => format!("status {}", machine.name),
            Write::Delete(machine) => format!("delete {}", machine.name_any()),
        };
        writes.iter().map(word).collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        let machines = [wanted(0, true), wanted(1, true), wanted(2, false)];
        let there = [found(0, true, "u"), found(1, false, "u"), found(7, true, "u")];
        assert_eq!(words(&writes("u", &machines, &there)), ["status dev-cp-1", "create dev-cp-2", "delete dev-cp-7"]);
        assert!(writes("u", &machines[..1], &there[..1]).is_empty());
    }

    #[test]
    fn what_a_namesake_of_the_platform_left_goes_first() {
        let machines = [wanted(0, true)];
        assert_eq!(words(&writes("new", &machines, &[found(0, true, "old")])), ["delete dev-cp-0"]);
    }
    #[test]
    fn what_was_asked_of_a_machine_goes_with_its_server() {
        let old = Arc::new(shown(of_server(0, true, Some(1)), "u"));
        let successor = [of_server(0, true, Some(2))];
        assert_eq!(words(&writes("u", &successor, &[old])), ["delete dev-cp-0"]);
        assert_eq!(words(&writes("u", &successor, &[])), ["create dev-cp-0"]);
    }

    #[test]
    fn one_that_is_deleted_stays_until_its_server_is_gone() {
        let mut deleted = shown(of_server(0, true, Some(1)), "u");
        deleted.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-11-21T12:00:00Z")).unwrap());
        let there = [Arc::new(deleted.clone())];
        assert!(writes("u", &[of_server(0, true, Some(1))], &there).is_empty());
        assert_eq!(words(&writes("u", &[], &there)), ["delete dev-cp-0"]);
        assert!(is_forsaken(&deleted, |uid| uid != "u"));
        assert!(!is_forsaken(&deleted, |uid| uid == "u"));
    }

    #[test]
    fn one_that_could_be_deleted_unnoticed_is_kept_from_then_on() {
        let mut loose = shown(wanted(0, true), "u");
        loose.finalizers_mut().clear();
        assert_eq!(words(&writes("u", &[wanted(0, true)], &[Arc::new(loose)])), ["create dev-cp-0"]);
    }
}
