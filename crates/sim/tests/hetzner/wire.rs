//! Behaviours that show on the wire, by a client that knows no more than HTTP.

use helix_sim::faults::{CallPattern, Fault, Injection};
use helix_sim::world::{Permission, WorldConfig};
use serde_json::json;

use crate::fixture::{Answered, Sockets};

fn error_code(answer: &Answered) -> &str {
    answer.body["error"]["code"].as_str().unwrap_or("no error")
}

async fn inject(it: &Sockets, fault: Fault) {
    it.simulator.world.with(|world, _| world.inject_once(fault));
}

fn order(name: &str, image: u64) -> serde_json::Value {
    json!({"name": name, "server_type": "cx23", "image": image, "location": "fsn1", "labels": {"owner": "test"}})
}

#[tokio::test]
async fn behaviour_05_a_lost_answer_leaves_a_server_to_adopt() {
    let it = Sockets::start().await;
    let image = it.image().await;
    inject(&it, Fault::AnswerLost { call: CallPattern::new("POST", "/servers") }).await;
    assert!(it.send("POST", "/servers", Some(order("a", image))).await.is_err(), "the connection is cut");
    let again = it.post("/servers", order("a", image)).await;
    assert_eq!((again.status, error_code(&again)), (409, "uniqueness_error"));
    let found = it.get("/servers?name=a&label_selector=owner%3Dtest").await;
    assert_eq!(found.body["servers"].as_array().unwrap().len(), 1);
    it.simulator.stop().await;
}

#[tokio::test]
async fn behaviour_06_the_bucket_shows_on_every_answer_and_runs_dry() {
    let it = Sockets::start_with(WorldConfig { requests_per_hour: 5, ..WorldConfig::default() }).await;
    let header = |answer: &Answered, name: &str| answer.headers[name].to_str().unwrap().parse::<i64>().unwrap();
    let first = it.get("/locations").await;
    assert_eq!((header(&first, "ratelimit-limit"), header(&first, "ratelimit-remaining")), (5, 4));
    let mut last = it.get("/nowhere").await;
    assert_eq!(last.status, 404);
    assert!(header(&last, "ratelimit-remaining") <= 4, "errors cost and tell, too");
    for _ in 0..20 {
        if last.status == 429 {
            break;
        }
        last = it.get("/locations").await;
    }
    assert_eq!((last.status, error_code(&last)), (429, "rate_limit_exceeded"));
    assert_eq!(header(&last, "ratelimit-remaining"), 0);
    assert!(header(&last, "ratelimit-reset") > it.simulator.world.now().as_second());
    it.simulator.world.set_forward(std::time::Duration::from_secs(3));
    assert_eq!(it.get("/locations").await.status, 200, "one more a second");
    let unknown = it.send_as("wrong", "GET", "/locations", None).await.unwrap();
    assert_eq!((unknown.status, error_code(&unknown)), (401, "unauthorized"));
    assert!(unknown.headers.contains_key("ratelimit-limit"));
    it.simulator.stop().await;
}

#[tokio::test]
async fn behaviour_07_sixty_servers_need_two_pages() {
    let it = Sockets::start().await;
    let image = it.image().await;
    for n in 0..60 {
        assert_eq!(it.post("/servers", order(&format!("s{n}"), image)).await.status, 201);
    }
    let first = it.get("/servers?per_page=50&sort=id").await.body;
    assert_eq!(first["servers"].as_array().unwrap().len(), 50);
    let paging = &first["meta"]["pagination"];
    assert_eq!((paging["next_page"].as_u64(), paging["total_entries"].as_u64()), (Some(2), Some(60)));
    let second = it.get("/servers?per_page=50&page=2&sort=id").await.body;
    assert_eq!(second["servers"].as_array().unwrap().len(), 10);
    assert_eq!(second["meta"]["pagination"]["next_page"], json!(null));
    assert_eq!(it.get("/servers").await.body["servers"].as_array().unwrap().len(), 25);
    assert_eq!(error_code(&it.get("/servers?per_page=51").await), "invalid_input");
    it.simulator.stop().await;
}

#[tokio::test]
async fn behaviour_22_end_points_that_changed() {
    let it = Sockets::start().await;
    assert_eq!(error_code(&it.get("/actions").await), "invalid_input");
    let gone = it.get("/datacenters").await;
    assert_eq!((gone.status, error_code(&gone)), (410, "deprecated_api_endpoint"));
    let order = json!({"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"});
    let made = it.post("/load_balancers", order).await.body;
    it.finish(&made["action"]).await;
    let path = format!("/load_balancers/{}", made["load_balancer"]["id"]);
    let deleted = it.send("DELETE", &path, None).await.unwrap();
    assert_eq!((deleted.status, &deleted.body["action"]["command"]), (201, &json!("delete_load_balancer")));
    it.finish(&deleted.body["action"]).await;
    assert_eq!(it.get(&path).await.status, 404);
    it.simulator.stop().await;
}

#[tokio::test]
async fn behaviour_23_an_address_of_nobody_is_unassigned() {
    let it = Sockets::start().await;
    let made = it.post("/primary_ips", json!({"name": "ip", "type": "ipv4", "location": "fsn1"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["primary_ip"]["assignee_type"], "unassigned");
    it.simulator.stop().await;
}

#[tokio::test]
async fn requests_are_read_strictly() {
    let it = Sockets::start().await;
    let image = it.image().await;
    let mut with_extra = order("a", image);
    with_extra["datacenter"] = json!("fsn1-dc14");
    let bodies = [
        with_extra,
        json!({"name": "a", "server_type": "cx23"}),
        json!({"name": "a", "server_type": ["cx23"], "image": image}),
        order("not a host name", image),
        order("", image),
    ];
    for body in bodies {
        let answer = it.post("/servers", body).await;
        assert_eq!((answer.status, error_code(&answer)), (422, "invalid_input"), "{}", answer.body);
        assert!(answer.body["error"]["details"]["fields"][0]["name"].is_string(), "{}", answer.body);
    }
    for path in ["/servers?colour=red", "/servers?page=0", "/servers?sort=weight", "/servers?label_selector=a%20b"] {
        assert_eq!(error_code(&it.get(path).await), "invalid_input", "{path}");
    }
    assert_eq!(it.get("/servers/1").await.status, 404);
    assert_eq!(it.get("/servers/abc").await.status, 404);
    let patch = it.send("PATCH", "/servers", None).await.unwrap();
    assert_eq!((patch.status, error_code(&patch)), (405, "method_not_allowed"));
    let broken = reqwest::Client::new()
        .post(format!("{}/servers", it.simulator.endpoint))
        .bearer_auth(it.simulator.token())
        .body("{\"name\": ")
        .send()
        .await
        .unwrap();
    assert_eq!(broken.status().as_u16(), 400);
    it.simulator.stop().await;
}

#[tokio::test]
async fn faults_show_on_the_wire() {
    let it = Sockets::start().await;
    let list = || CallPattern::new("GET", "/servers");
    inject(&it, Fault::AnswerGarbled { call: list() }).await;
    assert!(it.get("/servers").await.body.is_string(), "no JSON");
    inject(&it, Fault::AnswerTruncated { call: list() }).await;
    assert!(it.get("/servers").await.body.is_string(), "half a JSON");
    inject(&it, Fault::Refused { call: list(), code: "server_error".into() }).await;
    assert_eq!(it.get("/servers").await.status, 500);
    inject(&it, Fault::RateLimited { call: list(), reset_seconds: 90 }).await;
    let limited = it.get("/servers").await;
    assert_eq!(limited.status, 429);
    let reset: i64 = limited.headers["ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert!((reset - it.simulator.world.now().as_second() - 90).abs() <= 1);
    inject(&it, Fault::RequestLost { call: list() }).await;
    assert!(it.send("GET", "/servers", None).await.is_err());
    inject(&it, Fault::RequestRepeated { call: CallPattern::new("POST", "/placement_groups") }).await;
    let group = json!({"name": "g", "type": "spread"});
    assert_eq!(error_code(&it.post("/placement_groups", group).await), "uniqueness_error");
    assert_eq!(it.get("/placement_groups").await.body["placement_groups"].as_array().unwrap().len(), 1);
    assert_eq!(it.get("/servers").await.status, 200, "every fault was used up");
    it.simulator.stop().await;
}

#[tokio::test]
async fn tokens_may_be_readonly_or_revoked() {
    let it = Sockets::start().await;
    it.simulator.world.with(|world, _| world.add_token("reader", it.simulator.project, Permission::Read));
    let group = json!({"name": "g", "type": "spread"});
    let refused = it.send_as("reader", "POST", "/placement_groups", Some(group.clone())).await.unwrap();
    assert_eq!((refused.status, error_code(&refused)), (401, "token_readonly"));
    assert_eq!(it.send_as("reader", "GET", "/servers", None).await.unwrap().status, 200);
    let id = it.simulator.world.with(|world, _| world.inject(Injection::standing(Fault::TokenRevoked)));
    assert_eq!(it.get("/servers").await.status, 401);
    it.simulator.world.with(|world, _| world.faults().withdraw(id));
    assert_eq!(it.post("/placement_groups", group).await.status, 201);
    it.simulator.stop().await;
}

#[tokio::test]
async fn the_control_port_looks_in_and_disturbs() {
    let it = Sockets::start().await;
    let (http, control) = (reqwest::Client::new(), &it.simulator.control);
    let fault = json!({"fault": {"kind": "refused", "call": {"path": "/servers"}, "code": "unavailable"}, "times": 1});
    let made = http.post(format!("{control}/faults")).json(&fault).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 201);
    assert_eq!(it.get("/servers").await.status, 503);
    it.post("/servers", order("a", it.image().await)).await;
    let before = it.simulator.world.now();
    http.post(format!("{control}/advance")).json(&json!({"seconds": 600})).send().await.unwrap();
    assert!(it.simulator.world.now().as_second() - before.as_second() >= 600);
    let text = http.get(format!("{control}/world")).send().await.unwrap().text().await.unwrap();
    assert!(!text.contains(it.simulator.token()), "no secret in a dump");
    let world: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(world["projects"][0]["servers"][0]["status"], "running");
    assert_eq!(world["projects"][0]["is_empty"], false);
    it.simulator.stop().await;
}

#[tokio::test]
async fn the_files_are_private_and_complete() {
    use std::os::unix::fs::PermissionsExt as _;
    let it = Sockets::start().await;
    let dir = tempfile::tempdir().unwrap();
    it.simulator.write_files(dir.path()).unwrap();
    it.simulator.write_files(dir.path()).unwrap();
    let env = std::fs::read_to_string(dir.path().join("hetzner.env")).unwrap();
    assert_eq!(env, format!("HCLOUD_ENDPOINT={}\nHCLOUD_TOKEN={}\n", it.simulator.endpoint, it.simulator.token()));
    assert!(it.simulator.endpoint.ends_with("/v1"));
    for name in ["hetzner.env", "control.json"] {
        assert_eq!(std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!format!("{:?}", it.simulator).contains(it.simulator.token()));
    it.simulator.stop().await;
}
