//! A world with a virtual clock, and a simulator on sockets with a plain HTTP client.

use std::time::Duration;

use helix_sim::simulator::{Options, Simulator};
use helix_sim::world::networks::{CreateNetwork, NewSubnet, SubnetKind};
use helix_sim::world::servers::CreatedServer;
use helix_sim::world::{
    Action, ActionId, ActionStatus, ApiResult, CreateServer, ErrorCode, ImageId, Labels, NetworkId, ProjectId,
    ServerId, ServerStatus, TimeScale, World, WorldConfig,
};
use jiff::Timestamp;
use serde_json::Value;

/// A world in virtual time.
pub(crate) struct Fixture {
    pub(crate) world: World,
    pub(crate) project: ProjectId,
    pub(crate) now: Timestamp,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let mut world = World::new(WorldConfig { seed: 42, ..WorldConfig::default() }, now);
        let project = world.add_project("test");
        Self { world, project, now }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.world.advance(self.now);
    }

    pub(crate) fn action(&self, id: ActionId) -> &Action {
        self.world.action(self.project, id).unwrap()
    }

    /// Lets time pass until an action has ended.
    pub(crate) fn finish(&mut self, id: ActionId) -> ActionStatus {
        while self.action(id).finished.is_none() {
            self.now = self.world.next_due().expect("a running action is due some time");
            self.world.advance(self.now);
        }
        self.action(id).status.clone()
    }

    /// The number of the snapshot for x86.
    pub(crate) fn image(&self) -> ImageId {
        self.world.project(self.project).images.values().next().unwrap().id
    }

    /// An order that nothing is wrong with.
    pub(crate) fn order(&self, name: &str) -> CreateServer {
        CreateServer {
            name: name.to_owned(),
            server_type: "cx23".to_owned(),
            image: self.image().to_string(),
            location: Some("fsn1".to_owned()),
            ..CreateServer::default()
        }
    }

    pub(crate) fn create(&mut self, order: CreateServer) -> ApiResult<CreatedServer> {
        self.world.create_server(self.project, order, self.now)
    }

    /// A running server.
    pub(crate) fn server(&mut self, name: &str) -> ServerId {
        let order = self.order(name);
        self.running(order)
    }

    /// A running server by order.
    pub(crate) fn running(&mut self, order: CreateServer) -> ServerId {
        let made = self.create(order).unwrap();
        for action in made.next_actions {
            assert_eq!(self.finish(action), ActionStatus::Success);
        }
        made.id
    }

    pub(crate) fn status(&self, server: ServerId) -> ServerStatus {
        self.world.server(self.project, server).unwrap().status
    }

    pub(crate) fn delete(&mut self, server: ServerId) {
        let action = self.world.delete_server(self.project, server, self.now).unwrap();
        assert_eq!(self.finish(action), ActionStatus::Success);
    }

    /// A network 10.0.0.0/16 with a subnet 10.0.1.0/24.
    pub(crate) fn network(&mut self) -> NetworkId {
        let subnet = NewSubnet {
            kind: SubnetKind::Cloud,
            range: Some("10.0.1.0/24".parse().unwrap()),
            network_zone: "eu-central".to_owned(),
        };
        let order = CreateNetwork {
            name: "net".to_owned(),
            range: "10.0.0.0/16".parse().unwrap(),
            subnets: vec![subnet],
            routes: Vec::new(),
            labels: Labels::new(),
        };
        self.world.create_network(self.project, order, self.now).unwrap()
    }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The code of a refused call.
pub(crate) fn code<T: std::fmt::Debug>(result: ApiResult<T>) -> ErrorCode {
    result.expect_err("the call should have been refused").code
}

/// A simulator on sockets without machines, and a client that knows no more than HTTP.
pub(crate) struct Sockets {
    pub(crate) simulator: Simulator,
    pub(crate) http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Sockets {
    pub(crate) async fn start() -> Self {
        Self::start_with(WorldConfig { time_scale: TimeScale::new(200.0).unwrap(), ..WorldConfig::default() }).await
    }

    pub(crate) async fn start_with(world: WorldConfig) -> Self {
        // A second test of this process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulator = Simulator::start(Options { world, listen, machines: None }).await.unwrap();
        Self { simulator, http: reqwest::Client::new() }
    }

    /// Sends a request with the right token.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::Result<Answered> {
        self.send_as(self.simulator.token(), method, path, body).await
    }

    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Answered> {
        let url = format!("{}{path}", self.simulator.endpoint);
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Ok(Answered { status, body, headers })
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, None).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answered {
        self.send("POST", path, Some(body)).await.unwrap()
    }

    /// Polls an action until it has ended.
    pub(crate) async fn finish(&self, action: &Value) -> Value {
        let id = action["id"].as_u64().expect("an action has an id");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.get(&format!("/actions/{id}")).await.body["action"].clone();
            if found["status"] != "running" {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "the action never ends: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The number of the snapshot for x86.
    pub(crate) async fn image(&self) -> u64 {
        self.get("/images?architecture=x86").await.body["images"][0]["id"].as_u64().unwrap()
    }
}

/// The input data beside the repository; `None` where it isn't there, which CI doesn't allow.
pub(crate) fn reference(path: &str) -> Option<String> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference").join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => {
            assert!(std::env::var("CI").is_err(), "this test needs ../shared/reference/{path}: {error}");
            eprintln!("this test needs ../shared/reference/{path}");
            None
        }
    }
}
