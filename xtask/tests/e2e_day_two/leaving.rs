//! The end of a platform, and of what was made from inside its cluster.

use serde_json::{Value, json};

use crate::platform::{LONGEST, NAME, nodes, patch};
use crate::support::{Cluster, NAMESPACE, Sandbox, until};

/// The name of a Service of type LoadBalancer that lives as long as its controller, and of one that outlives it.
const SERVICES: [&str; 2] = ["web", "leaked"];

/// A Service that comes when its controller is gone, and that nobody deletes but Helix.
const LATE: &str = "late";

/// A load balancer that nobody in the cluster has made, and that looks as if somebody had.
const FOREIGN: &str = "somebody-elses";

/// Two Services get load balancers; one is removed by its controller, then the controller dies before the other is deleted.
pub(crate) fn leaks_a_load_balancer(sandbox: &Sandbox) {
    for name in SERVICES {
        sandbox.run(Cluster::Workload, &["create", "service", "loadbalancer", name, "--tcp=80:80"]).unwrap();
    }
    let uid = |name: &str| {
        let service = sandbox.get(Cluster::Workload, &["service", name]);
        service["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let uids = SERVICES.map(uid);
    let attached = |uid: &str| {
        let all = sandbox.resources("load_balancers");
        let found = all.into_iter().find(|it| it["labels"]["hcloud-ccm/service-uid"] == uid);
        found.filter(|it| !it["private_net"].as_array().unwrap().is_empty())
    };
    until("both have load balancers in the platform's network", LONGEST, || {
        let there = uids.iter().filter(|uid| attached(uid).is_some()).count();
        if there == 2 { Ok(()) } else { Err(format!("{there} of 2")) }
    });
    // Helix looks into a settled cluster once a minute, and at once when something else is asked for.
    labels_workers(sandbox);
    until("both are recorded", LONGEST, || {
        let status = sandbox.platform(NAME).unwrap()["status"]["services"].clone();
        let recorded = status.as_array().into_iter().flatten().filter(|it| uids.iter().any(|uid| it["uid"] == *uid));
        if recorded.count() == 2 { Ok(()) } else { Err(status) }
    });
    sandbox.run(Cluster::Workload, &["delete", "service", SERVICES[0], "--timeout=60s"]).unwrap();
    assert_eq!(attached(&uids[0]), None, "its controller has removed it");
    let controller = ["delete", "deployment", "hcloud-cloud-controller-manager", "--namespace=kube-system"];
    sandbox.run(Cluster::Workload, &controller).unwrap();
    let look_alike = json!({
        "name": FOREIGN, "load_balancer_type": "lb11", "location": "fsn1",
        "labels": {"hcloud-ccm/service-uid": uids[1]},
    });
    let (status, body) = sandbox.hetzner_with("POST", "/load_balancers", &look_alike);
    assert_eq!(status, 201, "{body}");
    sandbox.run(Cluster::Workload, &["delete", "service", SERVICES[1], "--wait=false"]).unwrap();
    sandbox.run(Cluster::Workload, &["create", "service", "loadbalancer", LATE, "--tcp=80:80"]).unwrap();
}

/// Another label for the nodes of a pool, which is changed in place.
fn labels_workers(sandbox: &Sandbox) {
    let mut pool = sandbox.platform(NAME).unwrap()["spec"]["workerPools"][0].clone();
    pool["labels"] = json!({"workload": "changed"});
    patch(sandbox, &json!({"workerPools": [pool]}));
    until("the workers have another label", LONGEST, || {
        let nodes = nodes(sandbox)?;
        let changed = nodes.values().filter(|node| node["metadata"]["labels"]["workload"] == "changed").count();
        if changed == 2 { Ok(()) } else { Err(format!("{changed} of 2")) }
    });
}

/// What the receipt says was deleted, and what was kept.
fn receipt(sandbox: &Sandbox) -> (String, String) {
    let namespace = format!("--namespace={NAMESPACE}");
    let stored = sandbox.get(Cluster::Management, &["configmap", &format!("{NAME}-receipt"), &namespace]);
    let text = |key: &str| stored["data"][key].as_str().unwrap().to_owned();
    (text("deleted"), text("kept"))
}

pub(crate) fn is_deleted(sandbox: &Sandbox) {
    let own: Vec<Value> = sandbox.resources("load_balancers").into_iter().filter(|it| it["name"] != FOREIGN).collect();
    assert_eq!(own.len(), 2, "the API's and the one that leaks: {own:?}");
    let namespace = format!("--namespace={NAMESPACE}");
    sandbox.delete(NAME);
    sandbox.until_gone(NAME, LONGEST, &[FOREIGN]);
    let (deleted, kept) = receipt(sandbox);
    for balancer in &own {
        let line = format!("load balancer {}\n", balancer["name"].as_str().unwrap());
        assert!(deleted.contains(&line), "the receipt names {line:?}: {deleted}");
    }
    assert!(kept.contains(FOREIGN) && !deleted.contains(FOREIGN), "{kept}");
    let events = sandbox.get(Cluster::Management, &["events", &namespace]);
    let mut told = events["items"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str());
    assert!(
        told.any(|message| message.contains(&format!("default/{LATE}"))),
        "Helix has deleted the Service: {events}"
    );
    until("no HelixMachine is left", LONGEST, || match sandbox.names(&["hm", &namespace]) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}
