//! NetBird's client against the simulator: whom the token is shown to, and that what is asked for is there.
//!
//! The simulator shares no types with the client, so an agreement between them is one about the wire.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_clients::mirrors::{Mirror, Mirrors};
use helix_clients::netbird::Netbird;
use helix_engine::seams::{Mesh as _, MeshError};
use helix_plan::step::MeshChange;
use helix_plan::validated::MeshAccount;
use helix_sim::clock::SharedWorld;
use helix_sim::netbird;
use helix_sim::world::mesh::SetupKey;
use helix_sim::world::{World, WorldConfig};
use jiff::Timestamp;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const TOKEN: &str = "nbp_of-an-account";
const NAMESPACE: &str = "platforms";

struct Simulator {
    world: SharedWorld,
    url: String,
    _stop: DropGuard,
}

impl Simulator {
    async fn start() -> Self {
        let mut world = World::new(WorldConfig::default(), Timestamp::now());
        world.mesh().set_token(TOKEN);
        let world = SharedWorld::new(world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(netbird::serve(listener, world.clone(), stop.clone()));
        Self { world, url, _stop: stop.drop_guard() }
    }
}

/// A management cluster in which every Secret holds a token.
fn management(token: &'static str) -> Client {
    let answer = tower::service_fn(move |_: http::Request<kube::client::Body>| async move {
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "netbird"},
            "data": {"token": STANDARD.encode(token)},
        });
        let body = http_body_util::Full::from(secret.to_string().into_bytes());
        Ok::<_, Infallible>(http::Response::new(body))
    });
    Client::new(answer, NAMESPACE)
}

fn account(url: &str) -> MeshAccount {
    MeshAccount { url: url.to_owned(), token: ("netbird".to_owned(), "token".to_owned()) }
}

#[tokio::test]
async fn a_zone_that_is_asked_for_is_there_and_made_once() {
    let simulator = Simulator::start().await;
    let netbird = Netbird::new(management(TOKEN), Mirrors::default());
    let account = account(&simulator.url);
    assert!(netbird.look(NAMESPACE, &account).await.unwrap().zones.is_empty());
    let change = MeshChange::CreateZone { domain: "prod.mesh".to_owned() };
    for _ in 0..2 {
        netbird.change(NAMESPACE, &account, &change).await.unwrap();
    }
    let zones = netbird.look(NAMESPACE, &account).await.unwrap().zones;
    assert_eq!(zones.into_iter().collect::<Vec<_>>(), ["prod.mesh"]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_apart() {
    let simulator = Simulator::start().await;
    let netbird = Netbird::new(management("nbp_of-another"), Mirrors::default());
    let error = netbird.look(NAMESPACE, &account(&simulator.url)).await.unwrap_err();
    assert_eq!(error.reason(), "MeshTokenRefused");
    assert!(!error.to_string().contains("nbp_"), "{error}");
}

#[tokio::test]
async fn a_network_goes_with_its_keys_and_with_groups_that_nothing_uses() {
    let simulator = Simulator::start().await;
    let netbird = Netbird::new(management(TOKEN), Mirrors::default());
    let account = account(&simulator.url);
    let ids = simulator.world.with(|world, now| {
        let mesh = world.mesh();
        let [routers, admins, used] = ["prod-routers", "prod-admins", "used"].map(|name| mesh.group_named(name));
        let network = mesh.network_named("prod-router");
        for group in [&routers, &used] {
            let key = SetupKey {
                name: group.clone(),
                key: String::new(),
                reusable: true,
                expires: now,
                revoked: false,
                used_times: 0,
                usage_limit: 0,
                last_used: None,
                updated: now,
                auto_groups: vec![group.clone()],
                ephemeral: true,
            };
            let id = mesh.next_id();
            mesh.setup_keys.insert(id, key);
        }
        [routers, admins, used, network]
    });
    let [routers, admins, used, network] = ids;
    let note = "The machines of a/prod, made by Helix for u1";
    let route = MeshChange::CreateRoute {
        network: network.clone(),
        name: "prod-nodes".to_owned(),
        address: "10.0.1.0/24".to_owned(),
        group: admins.clone(),
        note: note.to_owned(),
    };
    netbird.change(NAMESPACE, &account, &route).await.unwrap();
    let facts = netbird.look(NAMESPACE, &account).await.unwrap();
    assert!(facts.networks[0].notes.contains(note), "{:?}", facts.networks);
    let of_routers = facts.setup_keys.iter().filter(|key| key.groups.contains(&routers));
    let setup_keys: Vec<String> = of_routers.map(|key| key.id.clone()).collect();
    let deletion = MeshChange::DeleteNetwork {
        id: network,
        name: "prod-router".to_owned(),
        setup_keys,
        groups: vec![routers, admins, used.clone()],
    };
    for _ in 0..2 {
        netbird.change(NAMESPACE, &account, &deletion).await.unwrap();
    }
    let facts = netbird.look(NAMESPACE, &account).await.unwrap();
    assert_eq!((facts.networks.len(), facts.setup_keys.len()), (0, 1));
    assert_eq!(
        facts.groups.into_iter().filter(|(name, _)| name != "All").collect::<Vec<_>>(),
        [("used".to_owned(), used)]
    );
}

/// The name leads nowhere: whoever tried would say that it cannot be resolved.
#[tokio::test]
async fn the_token_goes_to_nobody_in_the_clear() {
    let netbird = Netbird::new(management(TOKEN), Mirrors::default());
    let error = netbird.look(NAMESPACE, &account("http://mesh.invalid")).await.unwrap_err();
    let MeshError::Unreachable { why, .. } = &error else { panic!("{error}") };
    assert!(why.contains("not https"), "{error}");
}

#[tokio::test]
async fn a_service_with_a_mirror_is_asked_there() {
    let simulator = Simulator::start().await;
    let mirror: Mirror = format!("https://mesh.invalid={}", simulator.url).parse().unwrap();
    let netbird = Netbird::new(management(TOKEN), Mirrors::from_iter([mirror]));
    netbird.look(NAMESPACE, &account("https://mesh.invalid")).await.unwrap();
    simulator.world.with(|world, _| world.mesh().set_token("nbp_renewed"));
    let error = netbird.look(NAMESPACE, &account("https://mesh.invalid")).await.unwrap_err();
    assert_eq!(error.reason(), "MeshTokenRefused");
}
