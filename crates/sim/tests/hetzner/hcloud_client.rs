//! An independent client: the `hcloud` crate, generated from Hetzner's document by others, drives the simulator.

use std::time::Duration;

use hcloud::apis::configuration::Configuration;
use hcloud::apis::{
    actions_api, images_api, load_balancers_api, locations_api, networks_api, pricing_api, primary_ips_api,
    server_types_api, servers_api,
};
use hcloud::models::{self, action::Status};

use crate::fixture::Sockets;

fn configuration(it: &Sockets) -> Configuration {
    let mut configuration = Configuration::new();
    configuration.base_path_mapping = configuration
        .base_path_mapping
        .into_keys()
        .map(|published| (published, it.simulator.endpoint.clone()))
        .collect();
    configuration.bearer_access_token = Some(it.simulator.token().to_owned());
    configuration
}

async fn finish(client: &Configuration, ids: Vec<i64>) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let params = actions_api::GetMultipleActionsParams { id: ids.clone() };
        let found = actions_api::get_multiple_actions(client, params).await.unwrap().actions;
        assert_eq!(found.len(), ids.len());
        if found.iter().all(|action| action.status != Status::Running) {
            assert!(found.iter().all(|action| action.status == Status::Success), "{found:?}");
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the actions never end: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn another_client_reads_the_catalogue() {
    let it = Sockets::start().await;
    let client = configuration(&it);
    let types = server_types_api::list_server_types(&client, Default::default()).await.unwrap().server_types;
    assert!(types.iter().any(|kind| kind.name == "cax21" && kind.cores == 4));
    let locations = locations_api::list_locations(&client, Default::default()).await.unwrap().locations;
    assert!(locations.iter().any(|location| location.name == "fsn1" && location.network_zone == "eu-central"));
    let prices = pricing_api::list_prices(&client).await.unwrap().pricing;
    assert_eq!(prices.currency, "EUR");
    let selector = Some("helix.dev/talos-version=v1.13.9".to_owned());
    let params = images_api::ListImagesParams { label_selector: selector, ..Default::default() };
    assert_eq!(
        images_api::list_images(&client, params).await.unwrap().images.len(),
        4,
        "two schematics for two architectures"
    );
    it.simulator.stop().await;
}

#[tokio::test]
async fn another_client_builds_and_tears_down() {
    let it = Sockets::start().await;
    let client = configuration(&it);
    let mut order = models::CreateNetworkRequest::new("10.0.0.0/16".to_owned(), "net".to_owned());
    let mut subnet = models::Subnet::new("eu-central".to_owned(), models::subnet::Type::Cloud);
    subnet.ip_range = Some("10.0.1.0/24".to_owned());
    order.subnets = Some(vec![subnet]);
    let params = networks_api::CreateNetworkParams { create_network_request: order };
    let network = networks_api::create_network(&client, params).await.unwrap().network.unwrap().id;

    let image = it.image().await.to_string();
    let mut order = models::CreateServerRequest::new(image, "a".to_owned(), "cx23".to_owned());
    order.location = Some("nbg1".to_owned());
    order.networks = Some(vec![network]);
    order.labels = Some([("pool".to_owned(), "cp".to_owned())].into());
    let params = servers_api::CreateServerParams { create_server_request: order };
    let made = servers_api::create_server(&client, params).await.unwrap();
    assert!(made.root_password.is_some(), "no key was given");
    let actions = [made.action.id].into_iter().chain(made.next_actions.iter().map(|action| action.id)).collect();
    finish(&client, actions).await;

    let params = servers_api::ListServersParams { label_selector: Some("pool=cp".to_owned()), ..Default::default() };
    let servers = servers_api::list_servers(&client, params).await.unwrap().servers;
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].status, models::server::Status::Running);
    assert_eq!(servers[0].private_net[0].ip.as_deref(), Some("10.0.1.2"));
    let ips = primary_ips_api::list_primary_ips(&client, Default::default()).await.unwrap().primary_ips;
    assert_eq!(ips.len(), 2);

    let mut order = models::CreateLoadBalancerRequest::new("lb11".to_owned(), "api".to_owned());
    order.location = Some("nbg1".to_owned());
    order.network = Some(network);
    let params = load_balancers_api::CreateLoadBalancerParams { create_load_balancer_request: order };
    let balancer = load_balancers_api::create_load_balancer(&client, params).await.unwrap();
    finish(&client, vec![balancer.action.id]).await;

    let params = servers_api::DeleteServerParams { id: servers[0].id };
    let gone = servers_api::delete_server(&client, params).await.unwrap();
    finish(&client, vec![gone.action.unwrap().id]).await;
    assert!(servers_api::list_servers(&client, Default::default()).await.unwrap().servers.is_empty());
    it.simulator.stop().await;
}
