//! Machines that come, go, and come back: scaled, replaced, lost by hands, and restored.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::platform::{LONGEST, NAME, boot_ids, ids, is_whole, look_now, nodes, patch, uids};
use crate::support::{Cluster, NAMESPACE, Sandbox, until};

pub(crate) fn scales(sandbox: &Sandbox, control_planes: u32, workers: u32) {
    let mut pool = sandbox.platform(NAME).unwrap()["spec"]["workerPools"][0].clone();
    pool["replicas"] = json!(workers);
    patch(sandbox, &json!({"controlPlane": {"replicas": control_planes}, "workerPools": [pool]}));
    is_whole(sandbox, (control_planes + workers) as usize, control_planes as usize);
}

fn machine(sandbox: &Sandbox, name: &str) -> Result<Value, String> {
    sandbox.try_get(Cluster::Management, &["hm", name, &format!("--namespace={NAMESPACE}")])
}

pub(crate) fn replaces_a_worker_once_it_is_not_held(sandbox: &Sandbox) {
    let before = ids(sandbox);
    let name = before.keys().find(|name| name.contains("-general-")).unwrap().clone();
    let namespace = format!("--namespace={NAMESPACE}");
    let on_machine = |verb: &[&str]| {
        let arguments = [&[verb[0], "hm", name.as_str(), namespace.as_str()], &verb[1..]].concat();
        sandbox.run(Cluster::Management, &arguments).unwrap();
    };
    on_machine(&["annotate", "helix.dev/hold=true"]);
    on_machine(&["delete", "--wait=false"]);
    until("it says that it is held", LONGEST, || {
        let status = machine(sandbox, &name)?["status"].clone();
        let told = status["state"].as_str().is_some_and(|state| state.contains("held, and to be replaced"));
        if status["held"] == true && told { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(ids(sandbox), before);
    on_machine(&["annotate", "helix.dev/hold-"]);
    until("the server is replaced", LONGEST, || match ids(sandbox) {
        after if after.values().any(|id| *id == before[&name]) => Err(format!("{after:?}")),
        _ => Ok(()),
    });
    is_whole(sandbox, 5, 3);
    let after = ids(sandbox);
    let kept = before.values().filter(|id| after.values().any(|other| other == *id)).count();
    assert_eq!(kept, 4, "nothing else is made anew: {before:?}, {after:?}");
    until("there is a HelixMachine for every server", LONGEST, || {
        let list = sandbox.get(Cluster::Management, &["hm", &namespace]);
        let items = list["items"].as_array().unwrap().iter();
        let told: BTreeMap<String, u64> = items
            .filter(|machine| machine["metadata"]["deletionTimestamp"].is_null())
            .filter_map(|it| Some((it["metadata"]["name"].as_str()?.to_owned(), it["status"]["serverId"].as_u64()?)))
            .collect();
        if told == after { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

/// Pulls the plug of a server by hand.
fn powers_off(sandbox: &Sandbox, id: u64) {
    let (status, body) = sandbox.hetzner("POST", &format!("/servers/{id}/actions/poweroff"));
    assert_eq!(status, 201, "{body}");
    until("it was off", LONGEST, || {
        let (_, body) = sandbox.hetzner("GET", &format!("/actions?id={}", body["action"]["id"]));
        if body["actions"][0]["status"] == "success" { Ok(()) } else { Err(body) }
    });
}

/// The ids of etcd's members by their machines' names.
fn members(sandbox: &Sandbox) -> Result<BTreeMap<String, u64>, String> {
    Ok(sandbox.etcd_members()?.into_iter().map(|member| (member.hostname, member.id)).collect())
}

/// A worker is powered off by hand and a control plane's server deleted: the worker is started again; the control plane's
/// member of etcd goes first, then the machine is made anew.
pub(crate) fn repairs_what_hands_have_done(sandbox: &Sandbox) {
    let (before, members_before) = (ids(sandbox), members(sandbox).unwrap());
    let nodes_before = nodes(sandbox).unwrap();
    let (worker, off) = before.iter().find(|(name, _)| name.contains("-general-")).unwrap();
    powers_off(sandbox, *off);
    // The one that etcd was bootstrapped on: that must not happen again.
    let (lost, id) = before.iter().find(|(name, _)| name.contains("-cp-")).unwrap();
    let (status, body) = sandbox.hetzner("DELETE", &format!("/servers/{id}"));
    assert_eq!(status, 200, "{body}");
    until("another control plane has joined", LONGEST, || {
        // In this order: who leaves is asked after who came, so whatever happens in between is no breach.
        let servers = ids(sandbox);
        let members = sandbox.etcd_members()?;
        let is_left = members.iter().any(|it| it.id == members_before[lost]);
        let is_new = servers.get(lost).is_some_and(|server| server != id);
        assert!(!(is_left && is_new), "{lost} is made anew before its member went");
        let voters: Vec<_> = members.iter().filter(|it| !it.learner).collect();
        let alive = voters.iter().filter(|it| servers.contains_key(&it.hostname)).count();
        assert!(2 * alive > voters.len(), "etcd is below its quorum: {members:?}, servers {servers:?}");
        let has_joined = !is_left && voters.iter().any(|it| it.hostname == *lost);
        if is_new && has_joined { Ok(()) } else { Err(format!("{members:?}, servers {servers:?}")) }
    });
    until("the worker runs", LONGEST, || match &sandbox.servers()[worker]["status"] {
        status if status == "running" => Ok(()),
        status => Err(status.clone()),
    });
    is_whole(sandbox, 5, 3);
    let without_the_lost = |all: &BTreeMap<String, u64>| {
        let others = all.iter().filter(|(name, _)| *name != lost);
        others.map(|(name, id)| (name.clone(), *id)).collect::<BTreeMap<_, _>>()
    };
    let (after, members_after) = (ids(sandbox), members(sandbox).unwrap());
    assert_eq!(without_the_lost(&after), without_the_lost(&before), "nothing else is made anew");
    assert_eq!(without_the_lost(&members_after), without_the_lost(&members_before), "the others stay in etcd");
    assert_ne!(after[lost], *id, "its server is another one");
    let nodes_after = nodes(sandbox).unwrap();
    assert_ne!(uids(&nodes_after)[lost], uids(&nodes_before)[lost], "its node is another one");
    assert_ne!(boot_ids(&nodes_after)[worker], boot_ids(&nodes_before)[worker], "the worker was off");
}

/// What outlives the loss of all control planes.
const KEPT: [&str; 3] = ["configmap", "kept", "--namespace=default"];

pub(crate) fn writes_what_is_to_be_kept(sandbox: &Sandbox) {
    sandbox.run(Cluster::Workload, &[&["create"], &KEPT[..], &["--from-literal=word=saved"]].concat()).unwrap();
}

/// Nothing of the cluster is left but its workers and what is in the bucket.
pub(crate) fn loses_and_restores_all_control_planes(sandbox: &Sandbox) {
    let before = ids(sandbox);
    let written = sandbox.get(Cluster::Workload, &KEPT)["metadata"]["creationTimestamp"].as_str().unwrap().to_owned();
    until("a snapshot is taken after that", LONGEST, || {
        let newest = &sandbox.platform(NAME).unwrap()["status"]["backup"]["newest"];
        // Times are all in UTC and sort as text.
        if newest["takenAt"].as_str().is_some_and(|taken| taken > written.as_str()) {
            Ok(())
        } else {
            Err(newest.clone())
        }
    });
    let control_planes = || ids(sandbox).into_iter().filter(|(name, _)| name.contains("-cp-"));
    for (name, id) in control_planes() {
        let (status, body) = sandbox.hetzner("DELETE", &format!("/servers/{id}"));
        assert_eq!(status, 200, "{name}: {body}");
    }
    look_now(sandbox);
    until("it is said how etcd is restored", LONGEST, || {
        let waiting = sandbox.platform(NAME).unwrap()["status"]["waitingFor"].clone();
        let told = waiting.as_str().is_some_and(|told| told.contains("helix.dev/restore-from=latest"));
        if told && control_planes().next().is_none() { Ok(()) } else { Err(waiting) }
    });
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.run(Cluster::Management, &["annotate", "hp", NAME, &namespace, "helix.dev/restore-from=latest"]).unwrap();
    is_whole(sandbox, 5, 3);
    assert_eq!(sandbox.get(Cluster::Workload, &KEPT)["data"], json!({"word": "saved"}));
    let after = ids(sandbox);
    let stayed: Vec<&String> = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).map(|it| it.0).collect();
    assert!(stayed.len() == 2 && stayed.iter().all(|name| name.contains("-general-")), "{before:?}, {after:?}");
}
