//! What users ask of single machines, read from their `HelixMachine`s. No I/O.

use helix_crds::HelixMachine;
use helix_crds::labels::{HOLD, REPLACE};
use helix_plan::names::MachineName;
use helix_plan::observed::Intents;
use kube::ResourceExt as _;

/// What the `HelixMachine`s of the platform with that UID ask for. Those of a namesake ask for nothing.
///
/// A deletion and the annotation `helix.dev/replace` mean the server that the resource shows in its status: one that was
/// replaced already is not asked about again, and one that shows none yet asks when it does.
pub fn intents<'a>(platform_uid: &str, machines: impl IntoIterator<Item = &'a HelixMachine>) -> Intents {
    let mut intents = Intents::default();
    let is_ours = |machine: &HelixMachine| machine.owner_references().iter().any(|owner| owner.uid == platform_uid);
    for machine in machines.into_iter().filter(|machine| is_ours(machine)) {
        if machine.metadata.deletion_timestamp.is_some() || says(machine, REPLACE) {
            intents.replace.extend(machine.status.as_ref().and_then(|status| status.server_id));
        }
        if says(machine, HOLD) {
            intents.hold.extend(MachineName::parse(&machine.name_any()));
        }
    }
    intents
}

/// Whether the annotation is there and does not say no.
fn says(machine: &HelixMachine, annotation: &str) -> bool {
    machine.annotations().get(annotation).is_some_and(|value| value != "false")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn machine(name: &str, server: Option<u64>, metadata: Value) -> HelixMachine {
        let mut machine = json!({
            "metadata": {"name": name, "ownerReferences": [
                {"apiVersion": "helix.dev/v1alpha1", "kind": "HelixPlatform", "name": "dev", "uid": "u"},
            ]},
            "spec": {"platform": "dev", "pool": "general", "slot": 0},
            "status": {"serverId": server},
        });
        let fields = metadata.as_object().unwrap().clone();
        machine["metadata"].as_object_mut().unwrap().extend(fields);
        serde_json::from_value(machine).unwrap()
    }

    fn annotated(name: &str, server: Option<u64>, annotation: &str, value: &str) -> HelixMachine {
        machine(name, server, json!({"annotations": {annotation: value}}))
    }

    #[test]
    fn an_intent_is_bound_to_the_server_that_the_machine_shows() {
        let machines = [
            machine("dev-general-0", Some(1), json!({})),
            machine("dev-general-1", Some(2), json!({"deletionTimestamp": "2026-11-21T12:00:00Z"})),
            annotated("dev-general-2", Some(3), REPLACE, ""),
            annotated("dev-general-3", Some(4), REPLACE, "false"),
            annotated("dev-general-4", None, REPLACE, "true"),
            annotated("dev-general-5", Some(5), HOLD, "true"),
        ];
        let found = intents("u", &machines);
        assert_eq!(found.replace, BTreeSet::from([2, 3]));
        assert_eq!(found.hold, BTreeSet::from([MachineName::parse("dev-general-5").unwrap()]));
        assert_eq!(intents("another", &machines), Intents::default());
    }
}
