//! Badges of a sandbox, as `cargo xtask status` writes them while a real Prometheus scrapes it, and what makes them change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use helix_plan::badges::ROWS;
use serde_json::{Value, json};

use super::{Cluster, NAMESPACE, Sandbox, http_as, until};

/// As long as something may take to show.
const LONGEST: Duration = Duration::from_secs(240);

/// Nobody runs a Grafana here, nor an exporter of Redis.
const NOT_HERE: [&str; 2] = ["grafana_dashboards", "redis_hit_rate"];

/// The arguments of a sandbox with a Prometheus; none where there is no such program, which fails in CI.
pub(crate) fn arguments() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory.join("prometheus").is_file()) {
        return vec!["--prometheus"];
    }
    let remedy =
        "badges are not looked at: no prometheus is in PATH; `cargo xtask test` installs Debian's package as root";
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{remedy}");
    eprintln!("{remedy}");
    Vec::new()
}

/// Observes: the message of every badge, by slug.
fn observe(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let metrics = sandbox.root().join("metrics");
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.arg("status").arg("--dir").arg(sandbox.root()).arg("--output").arg(&metrics).stdin(Stdio::null());
    xtask.arg("--page").arg(page(sandbox)).arg("--reports").arg(reports(sandbox));
    let output = xtask.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let badge = |slug: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(metrics.join(format!("{slug}.json"))).unwrap()).unwrap()
    };
    ROWS.iter().map(|row| (row.slug.to_owned(), badge(row.slug)["message"].as_str().unwrap().to_owned())).collect()
}

fn page(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("STATUS.md")
}

fn reports(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("reports")
}

/// Every badge that can be observed here is, and says that all is well; the page says whose they are.
pub(crate) fn tell_that_all_is_well(sandbox: &Sandbox) {
    fs::create_dir_all(reports(sandbox)).unwrap();
    ci_says(&reports(sandbox), "passed");
    let shown = until("all badges are known", LONGEST, || {
        let shown = observe(sandbox);
        let unknown = |(slug, message): &(&String, &String)| {
            !NOT_HERE.contains(&slug.as_str()) && matches!(message.as_str(), "unknown" | "stale")
        };
        let by_ci = |slug: &str| ["trivy", "sbom", "cosign"].contains(&slug);
        let left: Vec<_> = shown.iter().filter(unknown).filter(|(slug, _)| !by_ci(slug)).collect();
        if left.is_empty() { Ok(shown.clone()) } else { Err(format!("{left:?}")) }
    });
    for row in ROWS.iter().filter(|row| row.phase.is_some()) {
        assert_eq!(shown[row.slug], "ready", "{}", row.slug);
    }
    assert_eq!((shown["uptime"].as_str(), shown["alerts"].as_str()), ("100%", "0 firing"));
    assert_eq!(shown["build"], "passing 25b143f");
    // Nothing of the example keeps its data on Longhorn.
    assert_eq!(shown["longhorn_health"], "none");
    for (slug, word) in [("machines", "ready"), ("cnpg_status", "healthy"), ("netbird_peers", "connected")] {
        let (numbers, words) = shown[slug].split_once(' ').unwrap();
        let (well, all) = numbers.split_once('/').unwrap();
        assert!(well == all && words == word, "{slug}: {}", shown[slug]);
    }
    for slug in NOT_HERE {
        assert_eq!(shown[slug], "unknown", "{slug}");
    }
    let page = fs::read_to_string(page(sandbox)).unwrap();
    assert!(page.contains("> Of a sandbox") && page.contains("| `AiAgentic` | Ready |"), "{page}");
    let history = sandbox.read("metrics/history.jsonl");
    let last: Value = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!(last["values"]["uptime"], 100.0);
}

fn ci_says(reports: &Path, result: &str) {
    let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    let now = String::from_utf8(now.stdout).unwrap();
    let build = json!({"result": result, "commit": "25b143f0a1b2c3d4", "at": now.trim()});
    fs::write(reports.join("build.json"), build.to_string()).unwrap();
}

/// Brings about a cause again and again, as controllers put right what they find, until each of these badges has changed.
fn change(sandbox: &Sandbox, slugs: &[&str], mut cause: impl FnMut()) {
    let before = observe(sandbox);
    let mut changed: BTreeMap<String, String> = BTreeMap::new();
    until(&format!("{slugs:?} have changed"), LONGEST, || {
        cause();
        let now = observe(sandbox);
        let new = slugs.iter().filter(|slug| now[**slug] != before[**slug]);
        changed.extend(new.map(|slug| ((*slug).to_owned(), now[*slug].clone())));
        let left: BTreeSet<_> = slugs.iter().filter(|slug| !changed.contains_key(**slug)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are as they were; changed are {changed:?}")) }
    });
    eprintln!("changed: {changed:?}");
}

/// Each cause changes its badges, and in the end all is as it was.
pub(crate) fn change_with_their_causes(sandbox: &Sandbox, platform: &str) {
    change(sandbox, &["build"], || ci_says(&reports(sandbox), "failed"));
    let patch = |what: &str, arguments: &[&str], status: &Value| {
        let mut all = vec!["patch", what, "--type=merge"];
        let body = json!({"status": status}).to_string();
        all.extend(arguments);
        all.extend(["--patch", &body]);
        sandbox.run(Cluster::Workload, &all).unwrap();
    };
    let first = |kind: &str, is_it: &dyn Fn(&Value) -> bool| -> (String, String) {
        let list = sandbox.get(Cluster::Workload, &[kind, "--all-namespaces"]);
        let metadata = &list["items"].as_array().unwrap().iter().find(|it| is_it(it)).unwrap()["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap().to_owned();
        (text("name"), format!("--namespace={}", text("namespace")))
    };
    let is_kept_synced =
        |it: &Value| it["status"]["sync"]["status"] == "Synced" && it["spec"]["syncPolicy"]["automated"].is_object();
    let (name, namespace) = first("applications.argoproj.io", &is_kept_synced);
    let entry = |id: u32, revision: &str, day: &str| json!({"id": id, "revision": revision, "deployedAt": day});
    let now = sandbox.platform(platform).unwrap()["status"]["phases"][0]["evidence"][0]["observedAt"].clone();
    let now = now.as_str().unwrap();
    let history = [entry(0, "a", now), entry(1, "b", now), entry(2, "a", now)];
    change(sandbox, &["argo_syncs", "deploys", "rollbacks"], || {
        let status = json!({"sync": {"status": "OutOfSync"}, "history": history});
        patch("applications.argoproj.io", &[&name, &namespace], &status);
    });
    let (name, namespace) = first("clusters.postgresql.cnpg.io", &|_| true);
    change(sandbox, &["cnpg_status"], || {
        let arguments = [name.as_str(), &namespace, "--subresource=status"];
        patch("clusters.postgresql.cnpg.io", &arguments, &json!({"phase": "Failing over"}));
    });
    let volume = json!({"apiVersion": "longhorn.io/v1beta2", "kind": "Volume", "spec": {"numberOfReplicas": 3},
        "metadata": {"name": "of-a-badge", "namespace": "longhorn-system"}});
    let file = sandbox.root().join("volume.json");
    fs::write(&file, volume.to_string()).unwrap();
    sandbox.run(Cluster::Workload, &["create", "--filename", file.to_str().unwrap()]).unwrap();
    change(sandbox, &["longhorn_health"], || {
        let status = json!({"state": "attached", "robustness": "degraded"});
        let arguments = ["of-a-badge", "--namespace=longhorn-system", "--subresource=status"];
        patch("volumes.longhorn.io", &arguments, &status);
    });
    sandbox.run(Cluster::Workload, &["delete", "--filename", file.to_str().unwrap()]).unwrap();
    change(sandbox, &["netbird_peers"], || lose_a_peer(sandbox));
    want_one_machine_more(sandbox, platform);
    sandbox.until_ready(platform, LONGEST + LONGEST);
}

fn lose_a_peer(sandbox: &Sandbox) {
    let control: Value = serde_json::from_str(&sandbox.read("control.json")).unwrap();
    let text = |key: &str| control["netbird"][key].as_str().unwrap().to_owned();
    let (url, token) = (text("managementUrl"), format!("Token {}", text("apiKey")));
    let (status, peers) = http_as("GET", &format!("{url}/api/peers"), &token, "");
    assert_eq!(status, 200, "{peers}");
    if let Some(id) = peers[0]["id"].as_str() {
        http_as("DELETE", &format!("{url}/api/peers/{id}"), &token, "");
    }
}

/// A machine that is asked for and not there yet shows in figures of the platform's status and of Prometheus alike.
fn want_one_machine_more(sandbox: &Sandbox, platform: &str) {
    let wanted = sandbox.platform(platform).unwrap()["spec"]["workerPools"][0]["replicas"].as_u64().unwrap() + 1;
    let patch = json!([{"op": "replace", "path": "/spec/workerPools/0/replicas", "value": wanted}]).to_string();
    let namespace = format!("--namespace={NAMESPACE}");
    change(sandbox, &["machines", "cost", "immutable_substrate", "uptime", "alerts"], || {
        let arguments = ["patch", "hp", platform, &namespace, "--type=json", "--patch", &patch];
        sandbox.run(Cluster::Management, &arguments).unwrap();
    });
}
