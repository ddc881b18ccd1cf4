//! `helix badges` without a cluster: what it writes, what it says of bad input, and its exit codes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::{helix, path};

fn badge(directory: &Path, slug: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(directory.join(format!("{slug}.json"))).unwrap()).unwrap()
}

#[test]
fn what_is_not_asked_for_is_unknown_and_no_failure() {
    let parent = tempfile::tempdir().unwrap();
    let metrics = parent.path().join("below/metrics");
    let page = parent.path().join("below/STATUS.md");
    let arguments = ["badges", "--output", path(&metrics), "--status", path(&page), "--note", "Of a test."];
    let run = helix(&arguments);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.contains("uptime                unknown  (not asked: give --prometheus URL)"), "{}", run.out);
    let uptime = badge(&metrics, "uptime");
    assert_eq!(
        (&uptime["message"], &uptime["color"], &uptime["isError"]),
        (&json!("unknown"), &json!("grey"), &json!(true))
    );
    let names: Vec<_> = fs::read_dir(&metrics).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("unfinished")), "{names:?}");
    assert!(fs::read_to_string(&page).unwrap().contains("(metrics/uptime.json)"));

    // A second run adds a line to the history, and passes over one that a crash has cut.
    let history = metrics.join("history.jsonl");
    let mut text = fs::read_to_string(&history).unwrap();
    text.push_str("{\"at\":");
    fs::write(&history, text).unwrap();
    let run = helix(&arguments);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("history.jsonl: 1 line(s) mean nothing"), "{}", run.err);
    assert_eq!(fs::read_to_string(&history).unwrap().lines().count(), 2);
}

#[test]
fn reports_are_observed_without_any_cluster() {
    let parent = tempfile::tempdir().unwrap();
    let metrics = parent.path().join("metrics");
    let reports = parent.path().join("reports");
    fs::create_dir(&reports).unwrap();
    let arguments = ["badges", "--output", path(&metrics), "--reports", path(&reports)];
    assert_eq!(helix(&arguments).code, 0);
    assert_eq!(badge(&metrics, "build")["message"], "unknown");

    fs::write(reports.join("cosign.json"), r#"[{"critical":{"image":{"docker-manifest-digest":"sha256:0"}}}]"#)
        .unwrap();
    fs::write(reports.join("build.json"), "{").unwrap();
    let run = helix(&arguments);
    assert_eq!(run.code, 4, "{}", run.err);
    assert!(run.err.contains("build.json: it is no JSON"), "{}", run.err);
    assert_eq!(badge(&metrics, "cosign")["message"], "1 verified");
    assert_eq!(badge(&metrics, "build")["message"], "unknown");
}

#[test]
fn a_prometheus_that_is_down_takes_its_badges_alone() {
    let parent = tempfile::tempdir().unwrap();
    let metrics = parent.path().join("metrics");
    let run = helix(&["badges", "--output", path(&metrics), "--prometheus", "http://127.0.0.1:1"]);
    assert_eq!(run.code, 4);
    // One reason is told once.
    let told: Vec<&str> = run.err.lines().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("latency, error_rate, alerts") && told[0].contains("http://127.0.0.1:1"), "{told:?}");
    assert!(run.out.contains("build                 unknown  (not asked"), "{}", run.out);
}

#[test]
fn a_platform_without_a_cluster_makes_what_hangs_on_it_unknown() {
    let parent = tempfile::tempdir().unwrap();
    let metrics = parent.path().join("metrics");
    let run = helix(&["badges", "prod", "-n", "platforms", "--output", path(&metrics)]);
    assert_eq!(run.code, 4);
    assert!(run.err.contains("no management cluster"), "{}", run.err);
    assert_eq!(badge(&metrics, "machines")["isError"], true);
}

/// A server that answers one request, and tells what it heard.
fn one_answer(body: String) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    });
    (url, heard)
}

#[test]
fn a_token_comes_from_a_file_and_is_nowhere_else() {
    let parent = tempfile::tempdir().unwrap();
    let metrics = parent.path().join("metrics");
    let token = parent.path().join("token");
    fs::write(&token, "s3cret\n").unwrap();
    let (url, heard) = one_answer(json!([{"uid": "a"}, {"uid": "b"}]).to_string());
    let of = |url: &str| {
        helix(&["badges", "--output", path(&metrics), "--grafana", url, "--grafana-token-file", path(&token)])
    };
    let run = of(&url);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(badge(&metrics, "grafana_dashboards")["message"], "2 dashboards");
    assert!(heard.join().unwrap().to_lowercase().contains("authorization: bearer s3cret\r\n"));

    let run = of("http://grafana.example");
    assert_eq!(run.code, 1);
    assert!(run.err.contains("write https") && !run.err.contains("s3cret"), "{}", run.err);
    fs::write(&token, "\n").unwrap();
    assert_eq!(of(&url).code, 1);
}

#[test]
fn what_cannot_be_understood_or_written_is_said_before_anybody_is_asked() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let run = helix(&["badges", "--output", path(&file.join("metrics"))]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("cannot be written"), "{}", run.err);
    let metrics = parent.path().join("metrics");
    let run = helix(&["badges", "--output", path(&metrics), "--prometheus", "prometheus"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("it is no URL") && !metrics.exists(), "{}", run.err);
    assert_eq!(helix(&["badges"]).code, 64);
    assert_eq!(helix(&["badges", "--output", path(&metrics), "--grafana-token-file", path(&file)]).code, 64);
}
