//! Platforms that live, changed in place end to end: real etcd members and API servers, the production clients, the
//! stand-ins of the pod network and of the cloud controller manager.
//!
//! Two lives, each in a sandbox of its own and at the same time: most of either is waiting for what takes its time.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod leaving;
mod machines;
mod platform;
#[path = "../support/mod.rs"]
mod support;
mod versions;

use std::fs;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use support::{Sandbox, kubernetes_version};

/// By how much simulated latencies are shorter than real ones.
const TIME_SCALE: u32 = 60;

#[test]
fn machines_come_go_and_come_back() {
    // The sandbox puts its own bucket in place of this one.
    let s3 = json!({"endpoint": "https://objects.example.com", "bucket": "backups", "credentialsSecretRef": {"name": "backup-s3"}});
    let backup = json!({"etcd": {"schedule": "* * * * *", "retention": "1h", "s3": s3}});
    let sandbox = begin(&json!({"backup": backup}));
    stage("scale 3+2 to 5+3", || machines::scales(&sandbox, 5, 3));
    stage("scale 5+3 to 3+2", || machines::scales(&sandbox, 3, 2));
    stage("a worker is held, then replaced", || machines::replaces_a_worker_once_it_is_not_held(&sandbox));
    // The snapshot with it is taken meanwhile.
    machines::writes_what_is_to_be_kept(&sandbox);
    stage("a worker that is off and a control plane that is lost are back", || {
        machines::repairs_what_hands_have_done(&sandbox);
    });
    stage("all control planes are lost, and restored", || machines::loses_and_restores_all_control_planes(&sandbox));
    stage("Talos is upgraded", || versions::upgrades_talos(&sandbox));
}

#[test]
fn what_runs_is_exchanged_and_goes_without_a_trace() {
    let kubernetes = versions::TOOLS.map(kubernetes_version);
    let sandbox = begin(&json!({"versions": {"kubernetes": kubernetes[0]}}));
    // Long before the platform is deleted, which then need not give the Service's controller its time.
    stage("a label changes, and a Service's load balancer leaks", || leaving::leaks_a_load_balancer(&sandbox));
    stage("the authorities are rotated", || versions::rotates_the_authorities(&sandbox));
    stage("Kubernetes is upgraded", || versions::upgrades_kubernetes(&sandbox, &kubernetes));
    stage("teardown", || leaving::is_deleted(&sandbox));
}

/// A platform that lives: the example, with everything approved beforehand and this besides.
fn begin(besides: &Value) -> Sandbox {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("platform.json");
    fs::write(&file, platform::approved_example(besides).to_string()).unwrap();
    let (file, scale) = (format!("--platform={}", file.display()), format!("--time-scale={TIME_SCALE}"));
    let sandbox = stage("up", || Sandbox::up(&["--timeout=400", &file, &scale]));
    stage("nodes become Ready", || platform::nodes_become_ready(&sandbox));
    sandbox
}

/// Says how long a part took, and in whose life.
fn stage<T>(name: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = act();
    let thread = thread::current();
    println!("{}: {name}: {:.1} s", thread.name().unwrap_or_default(), begun.elapsed().as_secs_f64());
    done
}
