//! The `HelixMachine`s of a platform: one per server, kept equal to what the engine observed.
//!
//! They are projections. One that was deleted comes back as long as its server is there; one whose server is gone goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use helix_crds::labels::{self, FIELD_MANAGER};
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
    /// It is not there.
    Create(&'a MachineProjection),
    /// Its status is not what was observed.
    Status(&'a MachineProjection),
    /// There is no such server, or it belonged to a namesake of the platform.
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
            Some(found) if !is_owned_by(found, uid) => writes.push(Write::Delete(found)),
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
            tolerate_absence(call("delete a HelixMachine", api.delete(&machine.name_any(), &params)).await.map(drop))
        }
    }
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
        MachineProjection {
            name: format!("dev-cp-{slot}"),
            spec: HelixMachineSpec { platform: "dev".to_owned(), pool: "cp".to_owned(), slot },
            status: HelixMachineStatus { ready, ..HelixMachineStatus::default() },
        }
    }

    fn found(slot: u32, ready: bool, owner: &str) -> Arc<HelixMachine> {
        let MachineProjection { name, spec, status } = wanted(slot, ready);
        let mut machine = HelixMachine::new(&name, spec);
        machine.status = Some(status);
        machine.metadata.owner_references =
            Some(vec![OwnerReference { uid: owner.to_owned(), ..OwnerReference::default() }]);
        Arc::new(machine)
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
}
