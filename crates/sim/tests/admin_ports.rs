//! The public admin ports: closed once the mesh is another way in, never without a proof, and opened again when Helix is
//! shut out.

#![allow(clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use std::net::Ipv4Addr;

use helix_crds::{HelixPlatform, PhaseName, ProviderSpec};
use helix_plan::observed::{MeshNetwork, MeshSetupKey};
use helix_sim::inprocess::life::{Ended, Life};
use jiff::SignedDuration;

use support::{HOUR, is_empty, sandbox, universe};

/// From where Helix calls, and somewhere else.
const HELIX: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);

/// A platform with a mesh, whose ports are to close.
fn platform(egress: &[String]) -> HelixPlatform {
    let mut platform = sandbox();
    let weave = serde_json::json!({"netbird": {"apiKeySecretRef": {"name": "netbird", "key": "token"}}});
    platform.spec.security_weave = Some(serde_json::from_value(weave).expect("a section"));
    platform.spec.until_phase = PhaseName::SecurityWeave;
    let ProviderSpec::Hetzner(hetzner) = &mut platform.spec.provider;
    hetzner.operator_egress = egress.to_vec();
    hetzner.api_allowlist = vec![format!("{HELIX}/32"), format!("{ELSEWHERE}/32")];
    platform
}

fn live(life: &mut Life, minutes: i64) {
    let ended = life.until(SignedDuration::from_mins(minutes), |_, _| false);
    assert!(!matches!(ended, Err(Ended::Broken { .. })), "{ended:?}");
}

/// A platform that is up, but for NetBird's operator: the key of its account is not there.
fn up(egress: &[String]) -> Life {
    let mut life = Life::new(universe(21), platform(egress));
    life.universe().call_from(HELIX);
    live(&mut life, 45);
    life
}

/// Lets NetBird's operator be installed, and join.
fn join_mesh(life: &Life) {
    life.universe().put_users_secret("netbird", "token", "nbp_of_the_user");
}

/// Who may reach the admin ports, and whether the load balancer is open to the world.
fn open_to(life: &Life) -> (Vec<String>, bool) {
    life.universe().with_world(|world, project, _| {
        let project = world.project(project);
        let rules = project.firewalls.values().flat_map(|firewall| firewall.rules.iter());
        let mut sources: Vec<String> = rules.flat_map(|rule| rule.source_ips.iter().map(ToString::to_string)).collect();
        sources.sort();
        sources.dedup();
        (sources, project.load_balancers.values().any(|balancer| balancer.public))
    })
}

fn all() -> Vec<String> {
    vec![format!("{ELSEWHERE}/32"), format!("{HELIX}/32")]
}

#[test]
fn ports_close_when_the_mesh_leads_in_and_open_when_helix_is_shut_out() {
    let egress = format!("{HELIX}/32");
    let mut life = up(std::slice::from_ref(&egress));
    live(&mut life, 10);
    assert_eq!(open_to(&life), (all(), true), "nothing closes without the mesh");
    join_mesh(&life);
    live(&mut life, 15);
    assert_eq!(open_to(&life), (vec![egress.clone()], false));
    let routes = life.universe().with_mesh(|mesh| mesh.networks[0].resources.clone());
    assert_eq!(routes.len(), 1, "the machines' subnet is reached by the mesh: {routes:?}");

    // Helix calls from elsewhere, and nobody has told it: it is shut out, and opens by Hetzner's API alone.
    life.universe().call_from(ELSEWHERE);
    live(&mut life, 10);
    let (sources, public) = open_to(&life);
    assert!(sources.contains(&format!("{ELSEWHERE}/32")) && public, "{sources:?}");
    live(&mut life, 20);
    assert_eq!(open_to(&life), (all(), true), "it does not open and close by turns");

    life.universe().call_from(HELIX);
    live(&mut life, 90);
    assert_eq!(open_to(&life), (vec![egress], false), "in the end it tries again");
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert!(is_empty(&life));
}

#[test]
fn what_the_platform_has_in_the_mesh_goes_with_it_and_what_others_have_stays() {
    let egress = format!("{HELIX}/32");
    let mut life = up(std::slice::from_ref(&egress));
    join_mesh(&life);
    live(&mut life, 25);
    let office = MeshNetwork {
        id: "office".to_owned(),
        name: "office".to_owned(),
        router_groups: ["office-routers".to_owned()].into(),
        resources: ["10.7.0.0/16".to_owned()].into(),
        notes: ["printers".to_owned()].into(),
    };
    let key = |id: &str, group: &str| MeshSetupKey { id: id.to_owned(), groups: [group.to_owned()].into() };
    life.universe().with_mesh(|mesh| {
        let [ours] = mesh.networks.as_slice() else { panic!("one network: {:?}", mesh.networks) };
        let routers = ours.router_groups.first().expect("routing peers are in a group").clone();
        mesh.setup_keys = vec![key("ours", &routers), key("theirs", "office-routers")];
        mesh.groups.insert("office".to_owned(), "office-routers".to_owned());
        mesh.networks.push(office.clone());
    });
    assert_eq!(life.until_gone(HOUR), Ok(()));
    life.universe().with_mesh(|mesh| {
        assert_eq!(mesh.networks, [office]);
        assert_eq!(mesh.setup_keys, [key("theirs", "office-routers")]);
        assert_eq!(mesh.groups.keys().collect::<Vec<_>>(), ["office"]);
    });
}

#[test]
fn a_mesh_that_names_are_shared_in_keeps_what_is_not_proved() {
    let egress = format!("{HELIX}/32");
    let mut life = up(std::slice::from_ref(&egress));
    join_mesh(&life);
    live(&mut life, 25);
    let count = life.universe().with_mesh(|mesh| {
        for network in &mut mesh.networks {
            network.notes = ["The machines of another, made by Helix for somebody else".to_owned()].into();
        }
        mesh.networks.len()
    });
    assert_eq!(count, 1);
    assert_eq!(life.until_gone(HOUR), Ok(()));
    assert_eq!(life.universe().with_mesh(|mesh| mesh.networks.len()), 1);
}

#[test]
fn ports_never_close_where_nothing_says_from_where_helix_calls() {
    let mut life = up(&[]);
    join_mesh(&life);
    live(&mut life, 30);
    assert_eq!(open_to(&life), (all(), true));
    let status = life.platform().status.clone().expect("a status");
    let told = status.conditions.iter().any(|condition| condition.message.contains("operatorEgress"));
    assert!(told, "{:?}", status.conditions);
}
