//! Policies with one thing wrong: a rule missing, or wider than it was meant.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// A policy with one thing wrong.
pub(crate) struct Mutant {
    /// What was done, and where.
    pub(crate) what: String,
    /// Where the pods are whose rules it changed; empty for all pods.
    pub(crate) namespaces: BTreeSet<String>,
    place: usize,
    policy: String,
}

impl Mutant {
    /// All policies, with this one in place of the right one.
    pub(crate) fn applied_to(&self, policies: &[String]) -> Vec<String> {
        let mut changed = policies.to_vec();
        changed[self.place].clone_from(&self.policy);
        changed
    }
}

/// Where a namespace stands in a selector.
const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";

/// Every mutant of every rule.
pub(crate) fn of(policies: &[Value]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (place, policy) in policies.iter().enumerate() {
        let name = policy["metadata"]["name"].as_str().unwrap();
        let namespace = policy["metadata"]["namespace"].as_str();
        for (number, right) in items(&policy["specs"]).iter().enumerate() {
            let selected = right["endpointSelector"]["matchLabels"][NAMESPACE].as_str();
            // A rule for one namespace in a policy of the whole cluster may come to mean others.
            let namespaces: BTreeSet<String> = match (namespace, selected) {
                (Some(namespace), _) => [namespace.to_owned()].into(),
                (None, Some(namespace)) => [namespace.to_owned(), "stranger".to_owned()].into(),
                (None, None) => BTreeSet::new(),
            };
            let mut add = |what: String, wrong: Option<Value>| {
                let mut changed = policy.clone();
                match wrong {
                    Some(wrong) => changed["specs"][number] = wrong,
                    None => drop(changed["specs"].as_array_mut().unwrap().remove(number)),
                }
                let what = format!("{}/{name} specs[{number}]: {what}", namespace.unwrap_or_default());
                mutants.push(Mutant { what, namespaces: namespaces.clone(), place, policy: changed.to_string() });
            };
            spec(right, namespace, &mut add);
        }
    }
    mutants
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// One thing wrong in a spec: what it is, and the spec, where there is one left.
fn spec(spec: &Value, namespace: Option<&str>, add: &mut dyn FnMut(String, Option<Value>)) {
    // Without its rules a spec that denies by default says nothing.
    add("all its rules are gone".to_owned(), None);
    for (what, selector) in wider_selectors(&spec["endpointSelector"]) {
        let mut changed = spec.clone();
        changed["endpointSelector"] = selector;
        add(format!("endpointSelector {what}"), Some(changed));
    }
    for direction in ["ingress", "egress"] {
        for (number, rule) in items(&spec[direction]).iter().enumerate() {
            // What denies by default has a rule without any field.
            if rule.as_object().unwrap().is_empty() {
                continue;
            }
            let mut changed = spec.clone();
            changed[direction].as_array_mut().unwrap().remove(number);
            add(format!("{direction}[{number}] is gone"), Some(changed));
            for (what, rule) in rules(rule, namespace) {
                let mut changed = spec.clone();
                changed[direction][number] = rule;
                add(format!("{direction}[{number}]{what}"), Some(changed));
            }
        }
    }
}

/// Whether a change of a selector of callers or called changes nothing. A selector without a namespace means that of
/// its policy; and who may ask for which names is said where the questions leave, not at the DNS servers.
fn means_the_same(field: &str, right: &Value, wrong: &Value, namespace: Option<&str>) -> bool {
    let of = |selector: &Value| selector["matchLabels"][NAMESPACE].as_str().map(str::to_owned);
    let excepts = |selector: &Value| items(&selector["matchExpressions"]).iter().any(|it| it["operator"] == "NotIn");
    let lacks_exception = field == "fromEndpoints" && excepts(right) && !excepts(wrong);
    let is_own = namespace.is_some() && of(right).as_deref() == namespace && of(wrong).is_none();
    is_own || lacks_exception
}

/// A rule with one thing wrong.
fn rules(rule: &Value, namespace: Option<&str>) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (field, change) in [
        ("fromEndpoints", wider_selectors as fn(&Value) -> Vec<(String, Value)>),
        ("toEndpoints", wider_selectors),
        ("fromCIDRSet", wider_ranges),
        ("toCIDRSet", wider_ranges),
        ("fromEntities", other_entities),
        ("toEntities", other_entities),
        ("toFQDNs", wider_names),
    ] {
        for (number, item) in items(&rule[field]).iter().enumerate() {
            for (what, changed) in change(item) {
                if field.ends_with("Endpoints") && means_the_same(field, item, &changed, namespace) {
                    continue;
                }
                let mut mutant = rule.clone();
                mutant[field][number] = changed;
                found.push((format!(".{field}[{number}] {what}"), mutant));
            }
            // Cilium lets a machine reach its own pods whatever a policy says.
            let goes_without_saying = field == "fromEntities" && item == "host";
            if items(&rule[field]).len() > 1 && !goes_without_saying {
                let mut mutant = rule.clone();
                mutant[field].as_array_mut().unwrap().remove(number);
                found.push((format!(".{field}[{number}] is gone"), mutant));
            }
        }
    }
    found.extend(ports(rule));
    found
}

/// Ports missing, and every port instead of some.
fn ports(rule: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let ports = items(&rule["toPorts"][0]["ports"]);
    for number in 0..ports.len() {
        let mut mutant = rule.clone();
        if ports.len() > 1 {
            mutant["toPorts"][0]["ports"].as_array_mut().unwrap().remove(number);
            found.push((format!(".toPorts[0].ports[{number}] is gone"), mutant));
        }
    }
    if !ports.is_empty() {
        let mut mutant = rule.clone();
        mutant.as_object_mut().unwrap().remove("toPorts");
        found.push((".toPorts is gone: every port".to_owned(), mutant));
    }
    found.extend(questions(rule));
    found
}

/// Names that may not be asked for any more, and every name instead of some.
fn questions(rule: &Value) -> Vec<(String, Value)> {
    const POINTER: &str = "/toPorts/0/rules/dns";
    let names = rule.pointer(POINTER).map_or(&[][..], items);
    let every = json!([{"matchPattern": "*"}]);
    let mut found = Vec::new();
    for number in 0..names.len() {
        let mut mutant = rule.clone();
        let names = mutant.pointer_mut(POINTER).unwrap();
        match names.as_array().unwrap().len() {
            1 => *names = json!([{"matchName": "example.net"}]),
            _ => drop(names.as_array_mut().unwrap().remove(number)),
        }
        found.push((format!(" asks no more for {}", rule.pointer(POINTER).unwrap()[number]), mutant));
    }
    if !names.is_empty() && *names != *every.as_array().unwrap() {
        let mut mutant = rule.clone();
        *mutant.pointer_mut(POINTER).unwrap() = every;
        found.push((" asks for every name".to_owned(), mutant));
    }
    found
}

/// A selector without one of its labels or expressions.
fn wider_selectors(selector: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for key in selector["matchLabels"].as_object().into_iter().flat_map(serde_json::Map::keys) {
        let mut mutant = selector.clone();
        mutant["matchLabels"].as_object_mut().unwrap().remove(key);
        found.push((format!("without the label {key}"), mutant));
    }
    for number in 0..items(&selector["matchExpressions"]).len() {
        let mut mutant = selector.clone();
        let gone = mutant["matchExpressions"].as_array_mut().unwrap().remove(number);
        found.push((format!("without {gone}"), mutant));
    }
    found
}

/// A range of twice the size, and one without one of its exceptions.
fn wider_ranges(range: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let cidr: ipnet::IpNet = range["cidr"].as_str().unwrap().parse().unwrap();
    if let Some(wider) = cidr.supernet() {
        let mut mutant = range.clone();
        mutant["cidr"] = json!(wider);
        found.push((format!("is {wider}"), mutant));
    }
    for number in 0..items(&range["except"]).len() {
        let mut mutant = range.clone();
        let gone = mutant["except"].as_array_mut().unwrap().remove(number);
        found.push((format!("without the exception {gone}"), mutant));
    }
    found
}

/// More machines than were meant.
fn other_entities(entity: &Value) -> Vec<(String, Value)> {
    let wider = match entity.as_str().unwrap() {
        "kube-apiserver" => "remote-node",
        "remote-node" => "cluster",
        _ => return Vec::new(),
    };
    vec![(format!("is {wider}"), json!(wider))]
}

fn wider_names(_: &Value) -> Vec<(String, Value)> {
    vec![("is every name".to_owned(), json!({"matchPattern": "*"}))]
}
