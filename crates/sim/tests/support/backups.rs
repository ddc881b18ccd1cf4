//! What tests of backups and restores share.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test helper fails the test it is called from")]
#![allow(dead_code, reason = "each test binary uses its part")]

use helix_crds::{Backup, Backups, HelixPlatform, S3Target, SecretRef};
use helix_sim::inprocess::life::{Ended, Life};
use helix_sim::world::ServerId;
use jiff::SignedDuration;

use super::{HOUR, sandbox, universe};

pub(crate) const MINUTE: SignedDuration = SignedDuration::from_mins(1);

pub(crate) fn backed_up() -> HelixPlatform {
    let mut platform = sandbox();
    platform.spec.backup = Some(Backups {
        etcd: Some(Backup {
            schedule: "*/30 * * * *".to_owned(),
            retention: "2h".to_owned(),
            s3: S3Target {
                endpoint: "https://objects.example.com".to_owned(),
                bucket: "sandbox-backups".to_owned(),
                region: None,
                prefix: None,
                credentials_secret_ref: SecretRef { name: "backup-s3".to_owned() },
            },
        }),
    });
    platform
}

pub(crate) fn ready(seed: u64, platform: HelixPlatform) -> Life {
    let mut life = Life::new(universe(seed), platform);
    assert_eq!(life.until_ready(HOUR), Ok(()));
    life
}

/// Lets time pass without waiting for anything.
pub(crate) fn live(life: &mut Life, span: SignedDuration) {
    let until = life.passed() + span;
    let ended = life.until(span, |_, _| false);
    assert!(matches!(ended, Err(Ended::Stuck { .. })), "{ended:?}");
    assert!(life.passed() >= until, "{:?}", waiting(life));
}

pub(crate) fn waiting(life: &Life) -> String {
    life.platform().status.clone().and_then(|status| status.waiting_for).unwrap_or_default()
}

pub(crate) fn control_planes(life: &Life) -> Vec<(String, ServerId)> {
    life.universe().with_world(|world, project, _| {
        let servers = world.project(project).servers.values();
        let all = servers.filter(|server| server.meta.name.contains("-cp-"));
        all.map(|server| (server.meta.name.clone(), server.id)).collect()
    })
}

pub(crate) fn delete_servers(life: &Life, ids: &[ServerId]) {
    for id in ids {
        life.universe().with_world(|world, project, now| world.delete_server(project, *id, now)).expect("it goes");
    }
}

pub(crate) fn lose_all_control_planes(life: &Life) {
    let ids: Vec<ServerId> = control_planes(life).into_iter().map(|(_, id)| id).collect();
    delete_servers(life, &ids);
}

/// Sets a label on a worker's node, as a user of the cluster would.
pub(crate) fn write(life: &Life, value: &str) {
    let (_, server) = control_planes(life)[0].clone();
    life.universe().with_world(|world, _, now| {
        let guests = world.guests_mut(now);
        let nodes = guests.nodes_at_mut(server).expect("nodes");
        let node = nodes.get_mut("sandbox-general-0").expect("the node");
        node.annotations.insert("written".to_owned(), value.to_owned());
    });
}

pub(crate) fn written(life: &Life) -> Option<String> {
    let (_, server) = control_planes(life)[0].clone();
    life.universe().with_world(|world, _, _| {
        world.guests().nodes_at(server)?.get("sandbox-general-0")?.annotations.get("written").cloned()
    })
}

/// Status and message of the condition on snapshots.
pub(crate) fn backed_up_condition(life: &Life) -> (String, String, String) {
    let status = life.platform().status.clone().unwrap_or_default();
    let it = status.conditions.into_iter().find(|condition| condition.type_ == "EtcdBackedUp").expect("the condition");
    (it.status, it.reason, it.message)
}
