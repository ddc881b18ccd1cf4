//! `helix policy`: the matrix, single flows with their exit codes, and the policies.

use serde_json::Value;

use crate::{Run, example, helix, helix_with_input, minimal, path};

const ALLOWED: i32 = 0;
const DENIED: i32 = 3;

fn check(flow: [&str; 3]) -> Run {
    let full = example("full");
    helix(&[&["policy", "check"], &flow[..], &["-f", path(&full)]].concat())
}

#[test]
fn the_matrix_tells_every_flow_with_its_reason() {
    let full = example("full");
    let run = helix(&["policy", "matrix", "-f", path(&full)]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.starts_with("Flows of helix-system/prod; what is not here is denied\n\nFROM "), "{}", run.out);
    for says in ["the platform's owner allows it (spec.securityWeave.defaultDeny.allow[0])", "every pod looks up names"]
    {
        assert!(run.out.contains(says), "`{says}` is not in\n{}", run.out);
    }
    let json = helix(&["policy", "matrix", "-f", path(&full), "-o", "json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let yaml = helix(&["policy", "matrix", "-f", path(&full), "-o", "yaml"]);
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml.out).unwrap(), json);
    let flows = json["flows"].as_array().unwrap();
    assert_eq!(flows.len() + 3, run.out.lines().count());
    let shop = flows.iter().find(|flow| flow["from"] == "shop/app=web" && flow["to"] == "billing/").unwrap();
    assert_eq!(shop["ports"], serde_json::json!(["8080/TCP"]));
}

#[test]
fn a_flow_is_allowed_because_of_something() {
    for (flow, because) in [
        (["shop/app=web", "billing/", "8080"], "defaultDeny.allow[0]"),
        (["shop/app=web,tier=front", "billing/app=api", "8080/TCP"], "defaultDeny.allow[0]"),
        (["billing/", "api.stripe.com", "443"], "defaultDeny.allow[1]"),
        (["198.51.100.7", "shop/", "80"], "defaultDeny.allow[2]"),
        (["198.51.100.0/25", "shop/", "80"], "defaultDeny.allow[2]"),
        (["own-node", "shop/", "80"], "kubelet"),
        (["monitoring/", "apiserver", "6443"], "monitoring watches"),
        (["shop/", "kube-system/k8s-app=kube-dns", "53/udp"], "looks up names"),
    ] {
        let run = check(flow);
        assert_eq!((run.code, run.err.as_str()), (ALLOWED, ""), "{flow:?}: {}", run.out);
        assert!(run.out.starts_with("allowed: ") && run.out.contains(because), "{}", run.out);
    }
}

#[test]
fn a_flow_that_is_denied_says_what_would_allow_it() {
    for (flow, says) in [
        (["shop/app=web", "billing/", "9090"], "shop/app=web -> billing/ on 8080/TCP"),
        (["shop/", "billing/", "8080"], "shop/app=web -> billing/ on 8080/TCP"),
        (
            ["shop/app=web", "databases/", "5432/TCP"],
            r#"- {"from":{"namespace":"shop","podLabels":{"app":"web"}},"to":{"namespace":"databases"},"ports":[{"port":5432,"protocol":"TCP"}]}"#,
        ),
        (["shop/", "internet", "443"], r#""cidr":"0.0.0.0/0""#),
        (["shop/", "example.com", "443"], r#""fqdn":"example.com""#),
        (["internet", "shop/", "443"], r#""cidr":"0.0.0.0/0""#),
        (["shop/", "169.254.169.254", "80"], "metadata service"),
        (["shop/", "apiserver", "6443"], "declared by components alone"),
        (["shop/", "10.244.3.3", "80"], "labels of the pods"),
    ] {
        let run = check(flow);
        assert_eq!((run.code, run.err.as_str()), (DENIED, ""), "{flow:?}: {}", run.out);
        assert!(run.out.starts_with("denied: ") && run.out.contains(says), "`{says}` is not in\n{}", run.out);
    }
}

#[test]
fn an_answer_can_be_read_by_programs() {
    let full = example("full");
    let run = helix(&["policy", "check", "shop/", "billing/", "8080", "-f", path(&full), "-o", "json"]);
    assert_eq!(run.code, DENIED);
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(answer["allowed"], false);
    assert_eq!((&answer["port"], &answer["add"]["from"]["namespace"]), (&"8080/TCP".into(), &"shop".into()));
    assert_eq!(answer["near"][0]["from"], "shop/app=web");
}

#[test]
fn what_cannot_be_asked_says_how_to_ask() {
    for (flow, says) in [
        (["shop", "billing/", "80"], "its pods are `shop/`"),
        (["Shop/", "billing/", "80"], "write pods as shop/"),
        (["shop/", "*.example.com", "80"], "one name at a time"),
        (["shop/", "billing/", "0"], "write it as 443"),
        (["shop/", "billing/", "http"], "write it as 443"),
    ] {
        let run = check(flow);
        assert_eq!((run.code, run.out.as_str()), (64, ""), "{flow:?}");
        assert!(run.err.contains(says), "`{says}` is not in\n{}", run.err);
    }
    let between_others = check(["node", "internet", "443"]);
    assert_eq!(between_others.code, 1);
    assert!(between_others.err.contains("neither is a pod"), "{}", between_others.err);
    let help = helix(&["policy", "check", "--help"]);
    assert!(help.out.contains("0 allowed, 3 denied"), "{}", help.out);
}

#[test]
fn a_platform_whose_flows_are_wrong_is_refused_with_the_field() {
    let allow = "  securityWeave: {defaultDeny: {allow: [{from: {namespace: a}, to: {cidr: 10.244.1.0/24}}]}}\n";
    let run = helix_with_input(&["policy", "matrix", "-f", "-"], &format!("{}{allow}", minimal(&[])));
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("spec.securityWeave.defaultDeny.allow[0].to.cidr"), "{}", run.err);
}

#[test]
fn before_the_phase_of_policies_that_is_said() {
    let text = format!("{}  untilPhase: ImmutableSubstrate\n", minimal(&[]));
    let run = helix_with_input(&["policy", "check", "shop/", "internet", "443", "-f", "-"], &text);
    assert_eq!(run.code, DENIED);
    assert!(run.err.contains("spec.untilPhase"), "{}", run.err);
}

#[test]
fn policies_are_a_stream_of_documents() {
    let full = example("full");
    let run = helix(&["policy", "render", "-f", path(&full)]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let documents: Vec<Value> =
        run.out.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    assert_eq!(documents[0]["metadata"]["name"], "helix-default-deny");
    assert!(documents.len() > 10 && documents.iter().all(|policy| policy["apiVersion"] == "cilium.io/v2"));
}
