//! Our requests and answers held against Hetzner's own description of its API (`../shared/reference/hetzner`).
//!
//! Every request that this client can make must be an operation of that document, with parameters and body fields that
//! it names and values that its schema admits; every sample answer to such an operation must be readable.

use std::collections::BTreeSet;
use std::path::PathBuf;

use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{FirewallRule, LoadBalancerService, Named, PrivateNet, Record, Tags, Volume};
use helix_plan::step::{NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::catalogue::{LocationWire, PricingWire, ServerTypeWire};
use super::firewalls::FirewallWire;
use super::images::ImageWire;
use super::load_balancers::LoadBalancerWire;
use super::networks::NetworkWire;
use super::placement_groups::PlacementGroupWire;
use super::request::Request;
use super::servers::ServerWire;
use super::volumes::VolumeWire;
use super::wire::{Actions, Created, Labelled, Page, Started};
use super::{
    actions, adoptees, catalogue, cloud, firewalls, images, load_balancers, networks, placement_groups, servers,
    ssh_keys, volumes, zones,
};

/// A reference document, or `None` (with a word about it) where the reference files are not at hand.
fn reference(name: &str) -> Option<Value> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/hetzner").join(name);
    match std::fs::read(&file) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap()),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("CI must have {}", file.display()),
        Err(_) => {
            eprintln!("this test needs {} and has checked nothing", file.display());
            None
        }
    }
}

fn platform() -> PlatformIdentity {
    PlatformIdentity { namespace: "helix-system".into(), name: "dev".into(), uid: "5f0c".into() }
}

fn tags() -> Tags {
    Tags::from([("helix.dev/platform-uid".into(), "5f0c".into())])
}

fn rules() -> Vec<FirewallRule> {
    let rule = |protocol: &str, port: Option<&str>| FirewallRule {
        description: "Kubernetes API".into(),
        protocol: protocol.into(),
        port: port.map(Into::into),
        sources: vec!["203.0.113.7/32".into()],
    };
    vec![rule("tcp", Some("6443")), rule("icmp", None)]
}

fn service(path: Option<&str>) -> LoadBalancerService {
    LoadBalancerService {
        listen_port: 6443,
        destination_port: 6443,
        check_protocol: if path.is_some() { "http" } else { "tcp" }.into(),
        check_tls: true,
        check_path: path.map(Into::into),
        check_status_codes: vec!["401".into()],
        check_interval_seconds: 3,
        check_retries: 3,
    }
}

fn new_server(placement_group: Option<u64>) -> NewServer {
    NewServer {
        machine: platform().machine("cp", 0),
        labels: tags(),
        server_type: "cax21".into(),
        location: "fsn1".into(),
        image: 7,
        network: 8,
        firewall: 9,
        ssh_key: 10,
        placement_group,
    }
}

fn new_load_balancer(path: Option<&str>) -> NewLoadBalancer {
    NewLoadBalancer {
        name: "dev-api".into(),
        labels: tags(),
        kind: "lb11".into(),
        location: "fsn1".into(),
        network: 8,
        public: false,
        service: service(path),
    }
}

fn record() -> Record {
    let addresses = [[203, 0, 113, 9].into()].into();
    Record { zone: "example.com".into(), name: "www".into(), addresses, labels: tags() }
}

fn mutations() -> Vec<Request> {
    let network = NewNetwork {
        name: "dev".into(),
        labels: tags(),
        cidr: "10.0.0.0/16".parse().unwrap(),
        subnet: "10.0.1.0/24".parse().unwrap(),
        zone: "eu-central".into(),
    };
    let firewall = NewFirewall { name: "dev".into(), labels: tags(), rules: rules() };
    let http = Some("/version");
    let mut mutations = vec![
        networks::create(&network),
        networks::add_subnet(8, network.subnet, "eu-central"),
        firewalls::create(&firewall),
        firewalls::set_rules(9, &rules()),
        firewalls::apply(9, 42),
        ssh_keys::create("dev", &tags(), "ssh-ed25519 AAAA dev"),
        placement_groups::create("dev-cp-0", &tags()),
        load_balancers::create(&new_load_balancer(http)),
        load_balancers::create(&new_load_balancer(None)),
        load_balancers::set_service(3, &service(http), true),
        load_balancers::set_service(3, &service(http), false),
        load_balancers::set_public(3, true),
        load_balancers::set_public(3, false),
        load_balancers::attach(3, 8),
        load_balancers::add_target(3, 42),
        load_balancers::remove_target(3, 42),
        servers::create(&new_server(None)),
        servers::create(&new_server(Some(11))),
        servers::attach(42, 8),
        servers::power_on(42),
        volumes::detach(5),
        load_balancers::remove_service(3, 6443),
        load_balancers::detach(3, 8),
        zones::create(&record()),
        zones::set(&record()),
        zones::delete("example.com", "www"),
    ];
    mutations.extend(ResourceKind::TEARDOWN_ORDER.map(|kind| cloud::deletion(kind, 42)));
    let named = |kind| Named { kind, id: 42 };
    mutations.extend(ResourceKind::TEARDOWN_ORDER.map(|kind| adoptees::relabel(named(kind), "dev-cp-0", &tags())));
    mutations
}

fn lists() -> Vec<Request> {
    let labelled = [
        networks::list(),
        firewalls::list(),
        ssh_keys::list(),
        placement_groups::list(),
        load_balancers::list(),
        servers::list(),
        images::list(),
    ]
    .map(cloud::of_helix);
    let plain = [
        catalogue::locations(),
        catalogue::server_types(),
        volumes::list(),
        load_balancers::list(),
        zones::all(),
        cloud::of_helix(zones::list("example.com")),
    ];
    labelled.into_iter().chain(plain).map(|list| list.with("page", "2").with("per_page", "50")).collect()
}

fn lookups() -> Vec<Request> {
    let mut lookups = vec![catalogue::pricing(), actions::get(&[1, 2]), zones::get("example.com", "www")];
    lookups.extend(ResourceKind::TEARDOWN_ORDER.map(|kind| cloud::named(kind, "dev")));
    lookups.extend(ResourceKind::TEARDOWN_ORDER.map(|kind| adoptees::get(Named { kind, id: 42 })));
    lookups
}

/// The operation's path as the document writes it.
fn template(path: &str) -> String {
    if let Some(rest) = path.strip_prefix("/zones/example.com/rrsets") {
        let rest = rest.replacen("/www/A", "/{rr_name}/{rr_type}", 1);
        return format!("/zones/{{id_or_name}}/rrsets{rest}");
    }
    let id = |part: &str| {
        if part.parse::<u64>().is_ok() { "{id}".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(id).collect::<Vec<_>>().join("/")
}

/// All properties that a schema names, through its combinations.
fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    let direct = schema["properties"].as_object().into_iter().flatten();
    let combined = ["allOf", "oneOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten();
    direct.chain(combined.flat_map(properties)).collect()
}

/// Fields of `value` that no part of `schema` names: a misspelt one would be passed over in silence.
fn unknown_fields(schema: &Value, value: &Value, at: &str, unknown: &mut Vec<String>) {
    match value {
        // A map, as labels are: its keys are free.
        Value::Object(_) if schema["additionalProperties"].is_object() => {}
        Value::Object(fields) => {
            let named = properties(schema);
            for (key, field) in fields {
                let schemas: Vec<_> =
                    named.iter().filter(|(name, _)| *name == key).map(|(_, schema)| *schema).collect();
                if schemas.is_empty() {
                    unknown.push(format!("{at}.{key}"));
                }
                let all = serde_json::json!({"allOf": schemas});
                let schema = if schemas.len() == 1 { schemas[0] } else { &all };
                unknown_fields(schema, field, &format!("{at}.{key}"), unknown);
            }
        }
        Value::Array(items) => {
            let elements =
                schema.get("items").or_else(|| schema["allOf"].as_array()?.iter().find_map(|s| s.get("items")));
            for item in items {
                unknown_fields(elements.unwrap_or(&Value::Null), item, &format!("{at}[]"), unknown);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_request_is_one_that_hetzner_describes() {
    let Some(document) = reference("cloud.spec.json") else {
        return;
    };
    for request in mutations().into_iter().chain(lists()).chain(lookups()) {
        let path = template(&request.path);
        let operation = &document["paths"][&path][request.method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{} {path} is no operation", request.method);
        let parameters: BTreeSet<&str> =
            operation["parameters"].as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
        for (key, _) in &request.query {
            assert!(parameters.contains(key), "{path} has no parameter {key}");
        }
        let described = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(request.body.is_some(), described.is_object(), "{path}: a body where one belongs");
        let Some(body) = &request.body else { continue };
        let validator = jsonschema::validator_for(described).unwrap();
        let errors: Vec<String> = validator.iter_errors(body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?} in {body}");
        let mut unknown = Vec::new();
        unknown_fields(described, body, "body", &mut unknown);
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn no_server_is_made_without_its_firewall_or_with_user_data() {
    let body = servers::create(&new_server(Some(11))).body.unwrap();
    assert_eq!(body["firewalls"], serde_json::json!([{"firewall": 9}]));
    assert_eq!(body["ssh_keys"], serde_json::json!(["10"]));
    assert_eq!(body["placement_group"], 11);
    assert!(body.get("user_data").is_none());
}

fn read<T: DeserializeOwned>(samples: &Value, answer: &str) -> T {
    let sample = samples.get(answer).unwrap_or_else(|| panic!("no sample of {answer}"));
    serde_json::from_value(sample.clone()).unwrap_or_else(|error| panic!("{answer}: {error}"))
}

#[test]
fn every_sample_list_can_be_read() {
    let Some(samples) = reference("sample-responses.json") else {
        return;
    };
    fn page<T: DeserializeOwned>(samples: &Value, path: &str) -> T {
        let mut page: Page<T> = read(samples, &format!("GET {path} 200"));
        assert_eq!((page.meta.pagination.next_page, page.meta.pagination.total_entries), (Some(4), Some(100)));
        page.items.remove(0)
    }
    let _: (NetworkWire, FirewallWire) = (page(&samples, "/networks"), page(&samples, "/firewalls"));
    let _: (Labelled, PlacementGroupWire) = (page(&samples, "/ssh_keys"), page(&samples, "/placement_groups"));
    let _: (ImageWire, LocationWire) = (page(&samples, "/images"), page(&samples, "/locations"));
    let _: (ServerTypeWire, PricingWire) = (page(&samples, "/server_types"), read(&samples, "GET /pricing 200"));
    let _: Actions = read(&samples, "GET /actions 200");
    for kind in ResourceKind::TEARDOWN_ORDER {
        let path = cloud::named(kind, "x").path;
        let owner: Labelled = page(&samples, &path);
        assert_eq!(owner.labels["environment"], "prod", "{path}");
    }
    let server = page::<ServerWire>(&samples, "/servers").into_facts();
    assert_eq!(server.private, [PrivateNet { network: 4711, ip: Some([10, 0, 0, 2].into()) }]);
    assert_eq!((server.placement_group, server.firewalls), (Some(42), vec![42]));
    assert!(server.created.is_some());
    let balancer = page::<LoadBalancerWire>(&samples, "/load_balancers").into_facts();
    assert_eq!(balancer.private, [PrivateNet { network: 4711, ip: Some([10, 0, 0, 2].into()) }]);
    assert!(balancer.created.is_some());
    assert_eq!((balancer.services.len(), balancer.targets.len()), (1, 1));
    let volume = Volume::from(page::<VolumeWire>(&samples, "/volumes"));
    let record = page::<zones::RrSetWire>(&samples, "/zones/{id_or_name}/rrsets").into_facts("example.com");
    assert!(!record.labels.is_empty(), "{record:?}");
    assert!(!page::<zones::ZoneWire>(&samples, "/zones").name.is_empty());
    assert!(volume.size_gb > 0 && volume.server.is_some(), "{volume:?}");
}

#[test]
fn every_sample_answer_to_a_mutation_can_be_read() {
    let Some(samples) = reference("sample-responses.json") else {
        return;
    };
    fn created<T: DeserializeOwned>(samples: &Value, path: &str) -> usize {
        let created: Created<T> = read(samples, &format!("POST {path} 201"));
        created.started.ids().len()
    }
    assert_eq!(created::<NetworkWire>(&samples, "/networks"), 0);
    assert_eq!(created::<FirewallWire>(&samples, "/firewalls"), 2);
    assert_eq!(created::<Labelled>(&samples, "/ssh_keys"), 0);
    assert_eq!(created::<PlacementGroupWire>(&samples, "/placement_groups"), 1);
    assert_eq!(created::<LoadBalancerWire>(&samples, "/load_balancers"), 1);
    assert_eq!(created::<ServerWire>(&samples, "/servers"), 2);
    for request in mutations().iter().filter(|request| request.path.contains("/actions/")) {
        let started: Started = read(&samples, &format!("POST {} 201", template(&request.path)));
        assert!(!started.ids().is_empty(), "{}", request.path);
    }
    let deleted: Started = read(&samples, "DELETE /servers/{id} 200");
    assert_eq!(deleted.ids(), [42]);
}

#[test]
fn what_tomorrow_adds_breaks_nothing() {
    let Some(samples) = reference("sample-responses.json") else {
        return;
    };
    let mut servers = samples["GET /servers 200"].clone();
    servers["servers"][0]["status"] = "hibernating".into();
    servers["servers"][0]["public_net"]["ipv4"] = Value::Null;
    servers["servers"][0]["placement_group"] = Value::Null;
    servers["servers"][0]["created"] = "yesterday".into();
    servers["servers"][0]["private_net"] = serde_json::json!([{}]);
    servers["servers"][0]["something_new"] = serde_json::json!({"deep": [1]});
    let mut page: Page<ServerWire> = serde_json::from_value(servers).unwrap();
    let server = page.items.remove(0).into_facts();
    assert_eq!(server.status, helix_plan::observed::ServerStatus::Other("hibernating".into()));
    assert_eq!((server.public_ipv4, server.private, server.created), (None, Vec::new(), None));

    let mut balancers = samples["GET /load_balancers 200"].clone();
    balancers["load_balancers"][0]["public_net"]["ipv4"]["ip"] = Value::Null;
    balancers["load_balancers"][0]["targets"] = serde_json::json!([
        {"type": "orbital", "health_status": []},
        {"type": "server", "server": {"id": 1}, "health_status": [{"listen_port": 6443, "status": "pondering"}]},
    ]);
    let mut page: Page<LoadBalancerWire> = serde_json::from_value(balancers).unwrap();
    let balancer = page.items.remove(0).into_facts();
    assert_eq!(balancer.targets.len(), 1);
    assert_eq!(balancer.targets[0].health, helix_plan::observed::TargetHealth::Unknown);
}
