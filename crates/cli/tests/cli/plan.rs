//! `helix plan` from nothing.

use serde_json::Value;

use crate::{example, helix, helix_with_input, minimal, path};

fn json(arguments: &[&str]) -> Value {
    let run = helix(&[arguments, &["-o", "json"]].concat());
    assert_eq!(run.code, 2, "{}", run.err);
    serde_json::from_str(&run.out).expect("JSON")
}

#[test]
fn a_platform_from_nothing_shows_everything_that_would_be_made() {
    let sandbox = example("sandbox");
    let run = helix(&["plan", "-f", path(&sandbox)]);
    assert_eq!((run.code, run.err.as_str()), (2, ""));
    for line in [
        "Plan for helix-system/sandbox, from nothing",
        "create     network sandbox",
        "create     server sandbox-cp-2 (cx33 in hel1)",
        "configure  machine sandbox-general-1",
        "bootstrap  etcd sandbox-cp-0",
        "Monthly cost  52.44 EUR (+52.44 EUR), net",
        "Helix' built-in price table of 2026-10-28 (no token was used)",
        "ImmutableSubstrate  Ready",
        "port 6443 is open to the world",
        "Nothing was looked at",
    ] {
        assert!(run.out.contains(line), "`{line}` is not in\n{}", run.out);
    }
}

#[test]
fn the_document_adds_up() {
    let sandbox = example("sandbox");
    let plan = json(&["plan", "-f", path(&sandbox)]);
    let stages = plan["stages"].as_array().expect("stages");
    let steps: Vec<&Value> = stages.iter().flat_map(|stage| stage["steps"].as_array().expect("steps")).collect();
    assert_eq!(plan["totals"]["steps"], steps.len());
    let calls: u64 = steps.iter().map(|step| step["hetznerCalls"].as_u64().expect("calls")).sum();
    assert_eq!(plan["totals"]["hetznerCalls"], calls);
    let cents = |text: &str| text.replace('.', "").parse::<i64>().expect("an amount");
    let monthly: i64 = steps.iter().filter_map(|step| step["monthlyEur"].as_str()).map(cents).sum();
    assert_eq!(plan["cost"]["monthly"], format!("{}.{:02} EUR", monthly / 100, monthly % 100));
    let begins: Vec<i64> = stages.iter().map(|stage| stage["beginsAfterSeconds"].as_i64().expect("a number")).collect();
    assert!(begins.is_sorted() && plan["totals"]["seconds"].as_i64() >= begins.last().copied(), "{begins:?}");
    let servers = steps.iter().filter(|step| step["detail"].get("CreateServer").is_some());
    assert_eq!(servers.count(), 5);
}

/// What is made has to exist before it is used.
#[test]
fn the_order_is_one_in_which_it_can_be_done() {
    let sandbox = example("sandbox");
    let plan = json(&["plan", "-f", path(&sandbox)]);
    let stage_of = |step: &str, target: &str| {
        let stages = plan["stages"].as_array().expect("stages");
        let has = |stage: &&Value| {
            stage["steps"].as_array().expect("steps").iter().any(|it| it["step"] == step && it["target"] == target)
        };
        let stage = stages.iter().find(has).unwrap_or_else(|| panic!("no step `{step} {target}`"));
        stage["stage"].as_u64().expect("a number")
    };
    let order = [
        stage_of("create", "network sandbox"),
        stage_of("create", "load balancer sandbox-api"),
        stage_of("create", "server sandbox-cp-0"),
        stage_of("configure", "machine sandbox-cp-0"),
        stage_of("record", "bootstrap record sandbox-cp-0"),
        stage_of("bootstrap", "etcd sandbox-cp-0"),
    ];
    assert!(order.is_sorted_by(|earlier, later| earlier < later), "{order:?}");
}

#[test]
fn yaml_says_what_json_says() {
    let minimal = example("minimal");
    let run = helix(&["plan", "-f", path(&minimal), "-o", "yaml"]);
    assert_eq!(run.code, 2);
    let yaml: Value = serde_saphyr::from_str(&run.out).expect("YAML");
    assert_eq!(yaml, json(&["plan", "-f", path(&minimal)]));
}

#[test]
fn two_runs_say_the_same() {
    let minimal = example("minimal");
    let arguments = ["plan", "-f", path(&minimal)];
    assert_eq!(helix(&arguments).out, helix(&arguments).out);
}

#[test]
fn what_is_installed_in_the_cluster_is_told() {
    let minimal = example("minimal");
    let run = helix(&["plan", "-f", path(&minimal)]);
    assert!(run.out.contains("component cilium") && run.out.contains("AiAgentic           Ready"), "{}", run.out);
    assert!(run.out.contains("token of Secret hcloud is written into the workload cluster"), "{}", run.out);
}

#[test]
fn a_private_load_balancer_is_told_apart() {
    let text = minimal(&[("spec:\n", "spec:\n  endpoint: {type: LoadBalancer, public: false}\n")]);
    let run = helix_with_input(&["plan", "-f", "-"], &text);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.out.contains("only its private interface") && !run.out.contains("open to the world"), "{}", run.out);
}

#[test]
fn a_paused_platform_says_that_nothing_is_done() {
    let run = helix_with_input(&["plan", "-f", "-"], &minimal(&[("spec:\n", "spec:\n  paused: true\n")]));
    assert!(run.out.contains("spec.paused is true"), "{}", run.out);
}

#[test]
fn admin_ports_that_are_open_to_the_world_are_pointed_out() {
    let run = helix_with_input(&["plan", "-f", "-"], &minimal(&[("203.0.113.7/32", "0.0.0.0/0")]));
    assert!(run.out.contains("admin ports are open to the world"), "{}", run.out);
}

/// Where every change is approved, the plan says what is asked, how to agree, and what is done then.
#[test]
fn what_waits_for_an_approval_is_shown_with_the_command_that_gives_it() {
    let sandbox = std::fs::read_to_string(example("sandbox")).expect("the example");
    let manual = sandbox.replace("  untilPhase:", "  approval: Manual\n  untilPhase:");
    let run = helix_with_input(&["plan", "-f", "-"], &manual);
    assert_eq!((run.code, run.err.as_str()), (2, ""));
    for line in [
        "No changes without an approval.",
        "  server sandbox-general-1           None",
        "  kubectl annotate hp sandbox helix.dev/approve=",
        "--overwrite -n helix-system",
        "create     network sandbox",
        "Monthly cost  52.44 EUR (+52.44 EUR), net",
    ] {
        assert!(run.out.contains(line), "`{line}` is not in\n{}", run.out);
    }
    let run = helix_with_input(&["plan", "-f", "-", "-o", "json"], &manual);
    let plan: Value = serde_json::from_str(&run.out).expect("JSON");
    let digest = plan["approval"]["digest"].as_str().expect("a digest");
    assert!(plan["approval"]["command"].as_str().expect("a command").contains(digest));
    assert_eq!(plan["totals"]["steps"], 0);
}
