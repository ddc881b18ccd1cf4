//! Hetzner's published document: every answer of a small life is held against its response schemas.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::fixture::{Sockets, reference};

/// Holds answers against the document.
struct Document {
    spec: Value,
    seen: BTreeSet<String>,
}

impl Document {
    fn read() -> Option<Self> {
        let mut spec: Value = serde_json::from_str(&reference("hetzner/cloud.spec.json")?).unwrap();
        apply_later_changes(&mut spec);
        Some(Self { spec, seen: BTreeSet::new() })
    }

    fn check(&mut self, method: &str, path: &str, status: u16, body: &Value) {
        let template = template_of(path);
        let operation = &self.spec["paths"][&template][method.to_lowercase()];
        assert!(operation.is_object(), "the document has no {method} {template}");
        let responses = &operation["responses"];
        let response = match status {
            400..500 => &responses["4xx"],
            _ => &responses[status.to_string()],
        };
        assert!(response.is_object(), "{method} {template} doesn't answer {status}: {body}");
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_object() {
            let mut schema = schema.clone();
            schema["components"] = self.spec["components"].clone();
            let validator: Validator = jsonschema::options().build(&schema).unwrap();
            let wrong: Vec<String> =
                validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(wrong.is_empty(), "{method} {template} {status}: {wrong:#?}\n{body:#}");
        } else {
            assert_eq!(body, &Value::Null, "{method} {template} {status} has no body");
        }
        self.seen.insert(format!("{method} {template} {status}"));
    }
}

/// What changed after the document (see README.md beside it).
fn apply_later_changes(spec: &mut Value) {
    let delete = &mut spec["paths"]["/load_balancers/{id}"]["delete"]["responses"];
    let action = json!({"type": "object", "required": ["action"], "properties": {"action": {"type": "object"}}});
    delete["201"] = json!({"content": {"application/json": {"schema": action}}});
    for path in ["/primary_ips", "/primary_ips/{id}"] {
        allow_unassigned(&mut spec["paths"][path]);
    }
}

fn allow_unassigned(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(kinds) = fields.get_mut("assignee_type").and_then(|it| it.get_mut("enum")) {
                *kinds = json!(["server", "unassigned", "load_balancer"]);
            }
            fields.values_mut().for_each(allow_unassigned);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_unassigned),
        _ => {}
    }
}

/// The path as the document has it: numbers are `{id}`.
fn template_of(path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    let named = |(index, segment): (usize, &&str)| match (segments.get(1), index) {
        (Some(&"zones"), 2) => "{id_or_name}".to_owned(),
        (Some(&"zones"), 4) => "{rr_name}".to_owned(),
        (Some(&"zones"), 5) => "{rr_type}".to_owned(),
        _ if segment.parse::<u64>().is_ok() => "{id}".to_owned(),
        _ => (*segment).to_owned(),
    };
    segments.iter().enumerate().map(named).collect::<Vec<_>>().join("/")
}

/// A client whose every answer is checked.
struct Checked {
    it: Sockets,
    document: Document,
}

impl Checked {
    async fn call(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.it.send(method, path, body).await.unwrap();
        self.document.check(method, path, answer.status, &answer.body);
        answer.body
    }

    async fn get(&mut self, path: &str) -> Value {
        self.call("GET", path, None).await
    }

    /// Posts and waits for the action that it starts.
    async fn run(&mut self, path: &str, body: Value) -> Value {
        let answer = self.call("POST", path, Some(body)).await;
        let several = ["actions", "next_actions"].into_iter().filter_map(|key| answer[key].as_array()).flatten();
        for action in several.chain(answer.get("action").filter(|it| it.is_object())) {
            let ended = self.it.finish(action).await;
            assert_eq!(ended["status"], "success", "{path}: {ended}");
        }
        answer
    }
}

#[tokio::test]
async fn answers_are_as_the_document_has_them() {
    let Some(document) = Document::read() else { return };
    let mut it = Checked { it: Sockets::start().await, document };
    lists(&mut it).await;
    let (network, firewall, group, key) = foundation(&mut it).await;
    let server = a_server(&mut it, (network, firewall, group, key)).await;
    volumes_and_addresses(&mut it, server).await;
    a_load_balancer(&mut it, network, server).await;
    names(&mut it).await;
    refusals(&mut it, server).await;
    lists(&mut it).await;
    farewell(&mut it, (network, firewall, group, key), server).await;
    assert!(
        it.document.seen.len() >= 75,
        "only {} operations were checked: {:#?}",
        it.document.seen.len(),
        it.document.seen
    );
    it.it.simulator.stop().await;
}

async fn lists(it: &mut Checked) {
    let kinds = [
        "servers",
        "ssh_keys",
        "networks",
        "firewalls",
        "placement_groups",
        "load_balancers",
        "images",
        "volumes",
        "primary_ips",
        "zones",
        "server_types",
        "load_balancer_types",
        "locations",
        "pricing",
    ];
    for kind in kinds {
        it.get(&format!("/{kind}")).await;
    }
    for kind in ["server_types", "load_balancer_types", "locations", "images"] {
        let id = it.get(&format!("/{kind}")).await[kind][0]["id"].clone();
        it.get(&format!("/{kind}/{id}")).await;
    }
}

type Foundation = (u64, u64, u64, u64);

fn id(body: &Value, kind: &str) -> u64 {
    body[kind]["id"].as_u64().unwrap()
}

async fn foundation(it: &mut Checked) -> Foundation {
    let subnet = json!({"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"});
    let order = json!({"name": "net", "ip_range": "10.0.0.0/16", "subnets": [subnet], "labels": {"a": "b"}});
    let network = id(&it.run("/networks", order).await, "network");
    let subnet = json!({"type": "cloud", "ip_range": "10.0.2.0/24", "network_zone": "eu-central"});
    it.run(&format!("/networks/{network}/actions/add_subnet"), subnet).await;
    it.run(&format!("/networks/{network}/actions/delete_subnet"), json!({"ip_range": "10.0.2.0/24"})).await;
    let route = json!({"destination": "10.100.1.0/24", "gateway": "10.0.1.9"});
    it.run(&format!("/networks/{network}/actions/add_route"), route.clone()).await;
    it.get(&format!("/networks/{network}")).await;
    it.run(&format!("/networks/{network}/actions/delete_route"), route).await;
    it.run(&format!("/networks/{network}/actions/change_ip_range"), json!({"ip_range": "10.0.0.0/15"})).await;
    it.run(&format!("/networks/{network}/actions/change_protection"), json!({"delete": false})).await;
    it.call("PUT", &format!("/networks/{network}"), Some(json!({"labels": {"a": "c"}}))).await;

    let rule = json!({"direction": "in", "protocol": "tcp", "port": "50000", "source_ips": ["203.0.113.7/32"]});
    let order = json!({"name": "fw", "rules": [rule], "labels": {}});
    let firewall = id(&it.run("/firewalls", order).await, "firewall");
    it.run(&format!("/firewalls/{firewall}/actions/set_rules"), json!({"rules": [rule]})).await;
    it.get(&format!("/firewalls/{firewall}")).await;
    it.call("PUT", &format!("/firewalls/{firewall}"), Some(json!({"name": "fw2"}))).await;

    let group = id(&it.run("/placement_groups", json!({"name": "g", "type": "spread"})).await, "placement_group");
    it.get(&format!("/placement_groups/{group}")).await;
    it.call("PUT", &format!("/placement_groups/{group}"), Some(json!({"name": "g2"}))).await;
    let public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    let key = id(&it.run("/ssh_keys", json!({"name": "k", "public_key": public_key})).await, "ssh_key");
    it.get(&format!("/ssh_keys/{key}")).await;
    it.call("PUT", &format!("/ssh_keys/{key}"), Some(json!({"name": "k2"}))).await;
    (network, firewall, group, key)
}

async fn a_server(it: &mut Checked, (network, firewall, group, key): Foundation) -> u64 {
    let image = it.it.image().await;
    let order = json!({
        "name": "a", "server_type": "cx23", "image": image.to_string(), "location": "fsn1", "networks": [network],
        "firewalls": [{"firewall": firewall}], "placement_group": group, "ssh_keys": [key.to_string()],
        "user_data": "#cloud-config", "labels": {"pool": "cp"}, "start_after_create": true,
        "public_net": {"enable_ipv4": true, "enable_ipv6": true},
    });
    let server = id(&it.run("/servers", order).await, "server");
    let path = format!("/servers/{server}");
    it.get(&path).await;
    it.get(&format!("{path}/actions")).await;
    it.call("PUT", &path, Some(json!({"labels": {"pool": "general"}}))).await;
    it.run(&format!("{path}/actions/reset"), json!({})).await;
    it.run(&format!("{path}/actions/reboot"), json!({})).await;
    it.run(&format!("{path}/actions/shutdown"), json!({})).await;
    it.run(&format!("{path}/actions/poweroff"), json!({})).await;
    it.run(&format!("{path}/actions/remove_from_placement_group"), json!({})).await;
    it.run(&format!("{path}/actions/add_to_placement_group"), json!({"placement_group": group})).await;
    it.run(&format!("{path}/actions/change_type"), json!({"server_type": "cx33", "upgrade_disk": false})).await;
    it.run(&format!("{path}/actions/poweroff"), json!({})).await;
    it.run(&format!("{path}/actions/rebuild"), json!({"image": image.to_string()})).await;
    it.run(&format!("{path}/actions/poweron"), json!({})).await;
    it.run(&format!("{path}/actions/detach_from_network"), json!({"network": network})).await;
    it.run(&format!("{path}/actions/attach_to_network"), json!({"network": network})).await;
    it.run(&format!("{path}/actions/change_protection"), json!({"delete": false, "rebuild": false})).await;
    let on = json!([{"type": "server", "server": {"id": server}}]);
    it.run(&format!("/firewalls/{firewall}/actions/remove_from_resources"), json!({"remove_from": on})).await;
    it.run(&format!("/firewalls/{firewall}/actions/apply_to_resources"), json!({"apply_to": on})).await;
    let by_label = json!([{"type": "label_selector", "label_selector": {"selector": "pool"}}]);
    it.run(&format!("/firewalls/{firewall}/actions/apply_to_resources"), json!({"apply_to": by_label})).await;
    it.get(&format!("/firewalls/{firewall}")).await;
    it.run(&format!("/firewalls/{firewall}/actions/remove_from_resources"), json!({"remove_from": by_label})).await;
    let action = it.get(&format!("{path}/actions")).await["actions"][0]["id"].clone();
    it.get(&format!("/actions/{action}")).await;
    it.get(&format!("/actions?id={action}&id={action}")).await;
    server
}

async fn volumes_and_addresses(it: &mut Checked, server: u64) {
    let order = json!({"name": "v", "size": 10, "server": server, "labels": {}, "format": "ext4", "automount": false});
    let volume = id(&it.run("/volumes", order).await, "volume");
    let path = format!("/volumes/{volume}");
    it.get(&path).await;
    it.call("PUT", &path, Some(json!({"name": "v2"}))).await;
    it.run(&format!("{path}/actions/detach"), json!({})).await;
    it.run(&format!("{path}/actions/attach"), json!({"server": server})).await;
    it.run(&format!("{path}/actions/detach"), json!({})).await;
    it.run(&format!("{path}/actions/resize"), json!({"size": 20})).await;
    it.run(&format!("{path}/actions/change_protection"), json!({"delete": false})).await;
    it.call("DELETE", &path, None).await;

    let order = json!({"name": "ip", "type": "ipv4", "location": "fsn1", "auto_delete": false});
    let ip = id(&it.run("/primary_ips", order).await, "primary_ip");
    let path = format!("/primary_ips/{ip}");
    it.get(&path).await;
    it.call("PUT", &path, Some(json!({"auto_delete": false, "name": "ip2"}))).await;
    it.run(&format!("{path}/actions/change_protection"), json!({"delete": false})).await;
    it.run(&format!("/servers/{server}/actions/poweroff"), json!({})).await;
    let own = it.get(&format!("/servers/{server}")).await["server"]["public_net"]["ipv4"]["id"].clone();
    it.run(&format!("/primary_ips/{own}/actions/unassign"), json!({})).await;
    it.run(&format!("{path}/actions/assign"), json!({"assignee_id": server, "assignee_type": "server"})).await;
    it.run(&format!("{path}/actions/unassign"), json!({})).await;
    it.run(&format!("/primary_ips/{own}/actions/assign"), json!({"assignee_id": server, "assignee_type": "server"}))
        .await;
    it.call("DELETE", &path, None).await;
    it.run(&format!("/servers/{server}/actions/poweron"), json!({})).await;
}

async fn names(it: &mut Checked) {
    let zone =
        id(&it.run("/zones", json!({"name": "example.org", "mode": "primary", "labels": {"a": "b"}})).await, "zone");
    it.get(&format!("/zones/{zone}")).await;
    let path = "/zones/example.org/rrsets";
    let order = json!({
        "name": "www", "type": "A", "ttl": 300, "records": [{"value": "203.0.113.9"}], "labels": {"owner": "helix"},
    });
    it.run(path, order).await;
    it.get(&format!("{path}?label_selector=owner&per_page=50")).await;
    let one = format!("{path}/www/A");
    it.get(&one).await;
    it.call("PUT", &one, Some(json!({"labels": {}}))).await;
    it.run(&format!("{one}/actions/set_records"), json!({"records": [{"value": "203.0.113.10"}]})).await;
    it.call("DELETE", &one, None).await;
    it.call("DELETE", &format!("/zones/{zone}"), None).await;
}

async fn a_load_balancer(it: &mut Checked, network: u64, server: u64) {
    let order = json!({"name": "lb", "load_balancer_type": "lb11", "location": "fsn1", "labels": {}});
    let balancer = id(&it.run("/load_balancers", order).await, "load_balancer");
    let path = format!("/load_balancers/{balancer}");
    let check = json!({"protocol": "http", "port": 6443, "interval": 3, "timeout": 2, "retries": 3,
        "http": {"path": "/version", "tls": true, "status_codes": ["401"]}});
    let service = json!({"protocol": "tcp", "listen_port": 6443, "destination_port": 6443, "proxyprotocol": false,
        "health_check": check});
    it.run(&format!("{path}/actions/add_service"), service).await;
    let update = json!({"listen_port": 6443, "health_check": {"interval": 5}});
    it.run(&format!("{path}/actions/update_service"), update).await;
    it.run(&format!("{path}/actions/attach_to_network"), json!({"network": network})).await;
    let target = json!({"type": "server", "server": {"id": server}, "use_private_ip": true});
    it.run(&format!("{path}/actions/add_target"), target).await;
    let by_label = json!({"type": "label_selector", "label_selector": {"selector": "pool"}, "use_private_ip": true});
    it.run(&format!("{path}/actions/add_target"), by_label).await;
    let found = it.get(&path).await;
    assert_eq!(found["load_balancer"]["services"][0]["health_check"]["interval"], 5);
    assert_eq!(found["load_balancer"]["targets"][0]["server"]["id"], server);
    it.get(&format!("/servers/{server}")).await;
    it.get(&format!("{path}/actions")).await;
    it.run(&format!("{path}/actions/disable_public_interface"), json!({})).await;
    it.run(&format!("{path}/actions/enable_public_interface"), json!({})).await;
    it.run(&format!("{path}/actions/change_algorithm"), json!({"type": "least_connections"})).await;
    it.run(&format!("{path}/actions/change_protection"), json!({"delete": false})).await;
    it.call("PUT", &path, Some(json!({"name": "lb2"}))).await;
    it.run(&format!("{path}/actions/remove_target"), json!({"type": "server", "server": {"id": server}})).await;
    it.run(
        &format!("{path}/actions/remove_target"),
        json!({"type": "label_selector", "label_selector": {"selector": "pool"}}),
    )
    .await;
    it.run(&format!("{path}/actions/detach_from_network"), json!({"network": network})).await;
    it.run(&format!("{path}/actions/delete_service"), json!({"listen_port": 6443})).await;
    let gone = it.call("DELETE", &path, None).await;
    it.it.finish(&gone["action"]).await;
}

async fn refusals(it: &mut Checked, server: u64) {
    it.get("/servers/1").await;
    it.get("/servers?per_page=99").await;
    let public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    it.call("POST", "/ssh_keys", Some(json!({"name": "x", "public_key": public_key}))).await;
    it.call("PUT", &format!("/servers/{server}"), Some(json!({"labels": {"a b": ""}}))).await;
    it.call("POST", "/networks", Some(json!({"name": "x", "ip_range": "8.8.8.0/24"}))).await;
    it.call("GET", "/datacenters", None).await;
}

async fn farewell(it: &mut Checked, (network, firewall, group, key): Foundation, server: u64) {
    let gone = it.call("DELETE", &format!("/servers/{server}"), None).await;
    it.it.finish(&gone["action"]).await;
    it.call("DELETE", &format!("/networks/{network}"), None).await;
    it.call("DELETE", &format!("/placement_groups/{group}"), None).await;
    it.call("DELETE", &format!("/ssh_keys/{key}"), None).await;
    it.call("DELETE", &format!("/firewalls/{firewall}"), None).await;
    it.it.simulator.world.set_forward(std::time::Duration::from_secs(60));
    it.call("DELETE", &format!("/firewalls/{firewall}"), None).await;
    let image = it.it.image().await;
    it.call("PUT", &format!("/images/{image}"), Some(json!({"description": "old", "labels": {}}))).await;
    it.run(&format!("/images/{image}/actions/change_protection"), json!({"delete": false})).await;
    it.call("DELETE", &format!("/images/{image}"), None).await;
    let (world, project) = (&it.it.simulator.world, it.it.simulator.project);
    assert!(world.with(|world, _| world.project(project).is_empty()), "something is left");
}
