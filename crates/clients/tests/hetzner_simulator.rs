//! The Hetzner client against the simulator: what is asked for is there, comes back as facts, and goes; what the API
//! refuses is told apart; nothing is made twice.
//!
//! The simulator shares no types with the client, so an agreement between them is one about the wire.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use helix_clients::hetzner::{Connection, HetznerProject, Projects};
use helix_crds::labels;
use helix_engine::seams::{ActionState, Clock, Cloud as _, CloudError};
use helix_engine::secrets::{PkiMaker, SecretMaker as _};
use helix_plan::catalogue::Architecture;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{FirewallRule, LoadBalancerService, Server, ServerStatus, Tags};
use helix_plan::phases::load_balancer::wanted_service;
use helix_plan::secrets::Secret;
use helix_plan::step::{Lane, NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind};
use helix_sim::clock::SharedWorld;
use helix_sim::faults::{CallPattern, Fault, Injection};
use helix_sim::hetzner;
use helix_sim::world::{Permission, TimeScale, World, WorldConfig};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const TOKEN: &str = "a-token-of-the-project";
const LANE: Lane = Lane::ControlPlane;
/// Longer than anything in the simulator takes.
const A_WHILE: Duration = Duration::from_secs(600);

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

struct Simulator {
    world: SharedWorld,
    endpoint: String,
    _stop: DropGuard,
}

impl Simulator {
    async fn start() -> Self {
        Self::start_with(WorldConfig::default()).await
    }

    async fn start_with(config: WorldConfig) -> Self {
        let mut world = World::new(config, Timestamp::now());
        let project = world.add_project("test");
        world.add_token(TOKEN, project, Permission::ReadWrite);
        let world = SharedWorld::new(world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}{}", listener.local_addr().unwrap(), hetzner::BASE_PATH);
        let stop = CancellationToken::new();
        tokio::spawn(hetzner::serve(listener, world.clone(), stop.clone()));
        Self { world, endpoint, _stop: stop.drop_guard() }
    }

    fn project(&self) -> Arc<HetznerProject> {
        self.project_of(TOKEN)
    }

    fn project_of(&self, token: &str) -> Arc<HetznerProject> {
        let connection = Connection { endpoint: self.endpoint.clone(), token: Secret::new(token) };
        Projects::new(Arc::new(Wall)).connect(&connection).unwrap()
    }

    fn inject(&self, injection: Injection) {
        self.world.with(|world, _| world.inject(injection));
    }

    fn heal(&self) {
        self.world.with(|world, _| world.faults().clear());
    }

    /// Everything that is under way comes to its end.
    fn settle(&self) {
        self.world.set_forward(A_WHILE);
    }
}

fn platform() -> PlatformIdentity {
    PlatformIdentity { namespace: "helix-system".into(), name: "dev".into(), uid: "5f0c".into() }
}

fn tags() -> Tags {
    Tags::from([(labels::PLATFORM_UID.to_owned(), platform().uid)])
}

fn new_network() -> NewNetwork {
    NewNetwork {
        name: "dev".into(),
        labels: tags(),
        cidr: "10.0.0.0/16".parse().unwrap(),
        subnet: "10.0.1.0/24".parse().unwrap(),
        zone: "eu-central".into(),
    }
}

fn rules(source: &str) -> Vec<FirewallRule> {
    let rule = |port: &str| FirewallRule {
        description: format!("admin {port}"),
        protocol: "tcp".into(),
        port: Some(port.into()),
        sources: vec![source.into()],
    };
    vec![rule("6443"), rule("50000")]
}

/// What every server stands on.
struct Ground {
    network: u64,
    firewall: u64,
    ssh_key: u64,
    placement_group: u64,
    image: u64,
}

impl Ground {
    async fn lay(project: &HetznerProject) -> Self {
        let key = PkiMaker.make_ssh_public_key("dev").unwrap();
        let firewall = NewFirewall { name: "dev".into(), labels: tags(), rules: rules("203.0.113.7/32") };
        let images = project.project(LANE).await.unwrap().images;
        let x86 = images.iter().find(|image| image.architecture == Architecture::X86.to_string());
        Self {
            network: project.create_network(LANE, &new_network()).await.unwrap().value.id,
            firewall: project.create_firewall(LANE, &firewall).await.unwrap().value.id,
            ssh_key: project.create_ssh_key(LANE, "dev", &tags(), &key).await.unwrap().value.id,
            placement_group: project.create_placement_group(LANE, "dev-cp-0", &tags()).await.unwrap().value.id,
            image: x86.unwrap().id,
        }
    }

    fn server(&self, pool: &str, slot: u32) -> NewServer {
        let spread = pool == "cp";
        NewServer {
            machine: platform().machine(pool, slot),
            labels: tags(),
            server_type: "cx33".into(),
            location: "fsn1".into(),
            image: self.image,
            network: self.network,
            firewall: self.firewall,
            ssh_key: self.ssh_key,
            placement_group: spread.then_some(self.placement_group),
        }
    }

    fn load_balancer(&self) -> NewLoadBalancer {
        NewLoadBalancer {
            name: "dev-api".into(),
            labels: tags(),
            kind: "lb11".into(),
            location: "fsn1".into(),
            network: self.network,
            public: true,
            service: wanted_service(),
        }
    }
}

async fn create(project: &HetznerProject, new: &NewServer) -> Server {
    project.create_server(LANE, new).await.unwrap().value
}

#[tokio::test]
async fn what_is_made_comes_back_as_facts() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    let accepted = project.create_server(LANE, &ground.server("cp", 0)).await.unwrap();
    let balancer = project.create_load_balancer(LANE, &ground.load_balancer()).await.unwrap().value;
    assert_eq!(accepted.value.status, ServerStatus::Initializing);
    let running = project.actions(LANE, &accepted.actions).await.unwrap();
    assert!(!running.is_empty() && running.iter().all(|action| action.state == ActionState::Running));

    simulator.settle();
    let done = project.actions(LANE, &accepted.actions).await.unwrap();
    assert!(done.iter().all(|action| action.state == ActionState::Succeeded), "{done:?}");
    project.add_target(LANE, balancer.id, accepted.value.id).await.unwrap();
    simulator.settle();

    let facts = project.project(LANE).await.unwrap();
    let network = &facts.networks[0];
    assert_eq!((network.cidr, &network.subnets), (new_network().cidr, &vec![new_network().subnet]));
    assert_eq!((&facts.firewalls[0].rules, &facts.firewalls[0].labels), (&rules("203.0.113.7/32"), &tags()));
    assert_eq!((facts.ssh_keys[0].name.as_str(), &facts.ssh_keys[0].labels), ("dev", &tags()));
    let [server] = &facts.servers[..] else { panic!("{:?}", facts.servers) };
    assert_eq!((&server.status, server.locked), (&ServerStatus::Running, false));
    assert_eq!((server.server_type.as_str(), server.location.as_str()), ("cx33", "fsn1"));
    assert!(new_network().subnet.contains(&facts.private_ipv4(&server.private).unwrap()));
    assert!(server.public_ipv4.is_some() && server.created.is_some());
    assert!(server.is_in(ground.network));
    assert_eq!(server.firewalls, [ground.firewall]);
    assert_eq!(server.placement_group, Some(ground.placement_group));
    assert_eq!(facts.placement_groups[0].servers, [server.id]);
    let [balancer] = &facts.load_balancers[..] else { panic!("{:?}", facts.load_balancers) };
    assert_eq!((&balancer.services[..], balancer.public), (&[wanted_service()][..], true));
    assert!(new_network().subnet.contains(&facts.private_ipv4(&balancer.private).unwrap()));
    assert_eq!((balancer.kind.as_str(), balancer.targets[0].server), ("lb11", server.id));
    assert!(facts.images.iter().all(|image| image.available && image.labels.contains_key(labels::TALOS_VERSION)));
    assert_eq!(project.servers(LANE).await.unwrap(), facts.servers, "both ways to look show the same");
}

#[tokio::test]
async fn what_is_changed_is_changed() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    let balancer = project.create_load_balancer(LANE, &ground.load_balancer()).await.unwrap().value.id;
    simulator.settle();

    project.set_firewall_rules(LANE, ground.firewall, &rules("198.51.100.0/24")).await.unwrap();
    let slower = LoadBalancerService { check_interval_seconds: 10, ..wanted_service() };
    project.set_load_balancer_service(LANE, balancer, &slower, false).await.unwrap();
    simulator.settle();
    let second = LoadBalancerService { listen_port: 50_000, destination_port: 50_000, ..wanted_service() };
    project.set_load_balancer_service(LANE, balancer, &second, true).await.unwrap();
    simulator.settle();
    project.set_load_balancer_public(LANE, balancer, false).await.unwrap();
    project.add_subnet(LANE, ground.network, "10.0.2.0/24".parse().unwrap(), "eu-central").await.unwrap();
    simulator.settle();

    let facts = project.project(LANE).await.unwrap();
    assert_eq!(facts.firewalls[0].rules, rules("198.51.100.0/24"));
    assert_eq!(facts.load_balancers[0].services, [slower, second]);
    assert!(!facts.load_balancers[0].public);
    assert_eq!(facts.networks[0].subnets.len(), 2);
}

#[tokio::test]
async fn a_second_time_is_as_good_as_the_first() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    let server = create(&project, &ground.server("cp", 0)).await.id;
    let balancer = project.create_load_balancer(LANE, &ground.load_balancer()).await.unwrap().value.id;
    simulator.settle();
    project.attach_server(LANE, server, ground.network).await.unwrap();
    project.apply_firewall(LANE, ground.firewall, server).await.unwrap();
    project.attach_load_balancer(LANE, balancer, ground.network).await.unwrap();
    for _ in 0..2 {
        project.add_target(LANE, balancer, server).await.unwrap();
        simulator.settle();
    }
    for _ in 0..2 {
        project.remove_target(LANE, balancer, server).await.unwrap();
        simulator.settle();
    }
    for _ in 0..2 {
        project.delete(LANE, ResourceKind::Server, server).await.unwrap();
        simulator.settle();
    }
    assert_eq!(project.servers(LANE).await.unwrap(), []);
}

#[tokio::test]
async fn everything_goes_in_the_order_of_a_teardown() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    create(&project, &ground.server("cp", 0)).await;
    project.create_load_balancer(LANE, &ground.load_balancer()).await.unwrap();
    simulator.settle();
    let in_use = project.delete(LANE, ResourceKind::Firewall, ground.firewall).await.unwrap_err();
    assert_eq!(in_use.reason(), "InUse");
    for kind in ResourceKind::TEARDOWN_ORDER {
        let owner = |name| project.owner_of(Lane::Teardown, kind, name);
        for name in ["dev", "dev-cp-0", "dev-api"] {
            if let Some(owner) = owner(name).await.unwrap() {
                assert_eq!(owner.labels, tags());
                project.delete(Lane::Teardown, kind, owner.id).await.unwrap();
            }
        }
        simulator.settle();
    }
    let left = project.project(LANE).await.unwrap();
    let images = left.images.clone();
    assert_eq!(left, helix_plan::observed::CloudFacts { images, ..Default::default() });
}

#[tokio::test]
async fn sixty_servers_are_on_two_pages_and_none_is_missed() {
    let time_scale = TimeScale::new(100.0).unwrap();
    let simulator = Simulator::start_with(WorldConfig { time_scale, ..WorldConfig::default() }).await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    for slot in 0..60 {
        create(&project, &ground.server("general", slot)).await;
    }
    let before = project.budget(Timestamp::now()).remaining;
    let servers = project.servers(LANE).await.unwrap();
    let after = project.budget(Timestamp::now()).remaining;
    assert_eq!(servers.len(), 60);
    // A second may have refilled one while we looked.
    assert!((1..=2).contains(&(before - after)), "{before} → {after}");
}

#[tokio::test]
async fn an_answer_that_was_lost_does_not_make_a_second_server() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    simulator.inject(Injection::times(Fault::AnswerLost { call: CallPattern::new("POST", "/servers") }, 1));
    let new = ground.server("cp", 0);
    let lost = project.create_server(LANE, &new).await.unwrap_err();
    assert!(lost.is_ambiguous(), "{lost:?}");
    let again = project.create_server(LANE, &new).await.unwrap_err();
    assert_eq!(again, CloudError::Taken { name: "dev-cp-0".into() });
    let owner = project.owner_of(LANE, ResourceKind::Server, "dev-cp-0").await.unwrap().unwrap();
    assert_eq!(owner.labels, tags());
    assert_eq!(project.servers(LANE).await.unwrap().len(), 1);
    assert_eq!(project.owner_of(LANE, ResourceKind::Server, "dev-cp-1").await.unwrap(), None);
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told_apart() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let call = || CallPattern::new("GET", "/servers");
    let refused = |code: &str| Fault::Refused { call: call(), code: code.into() };
    let cases = [
        (Fault::RequestLost { call: call() }, "Unreachable"),
        (Fault::AnswerLost { call: call() }, "Unreachable"),
        (Fault::AnswerGarbled { call: call() }, "MalformedAnswer"),
        (Fault::AnswerTruncated { call: call() }, "MalformedAnswer"),
        (refused("server_error"), "HetznerError"),
        (refused("unavailable"), "HetznerError"),
        (refused("locked"), "Locked"),
        (refused("conflict"), "Conflict"),
        (refused("forbidden"), "Forbidden"),
        (refused("resource_limit_exceeded"), "LimitExceeded"),
        (refused("resource_unavailable"), "CapacityUnavailable"),
        (Fault::TokenRevoked, "Unauthorized"),
    ];
    for (fault, reason) in cases {
        simulator.inject(Injection::standing(fault.clone()));
        let error = project.servers(LANE).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{fault:?}: {error}");
        assert!(!error.to_string().contains(TOKEN), "{error}");
        simulator.heal();
        assert_eq!(project.servers(LANE).await, Ok(Vec::new()), "it goes on by itself after {fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_may_only_read_reads() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    simulator.inject(Injection::standing(Fault::TokenReadonly));
    assert_eq!(project.servers(LANE).await, Ok(Vec::new()));
    let error = project.create_network(LANE, &new_network()).await.unwrap_err();
    assert_eq!(error.reason(), "Forbidden");
    assert!(error.to_string().contains("read and write"), "{error}");
}

#[tokio::test]
async fn a_token_that_nobody_knows_is_unauthorized() {
    let simulator = Simulator::start().await;
    let error = simulator.project_of("another").servers(LANE).await.unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    assert!(error.to_string().contains("token Secret"), "{error}");
}

#[tokio::test]
async fn a_429_pauses_the_token_until_its_reset() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let limited = Fault::RateLimited { call: CallPattern::new("GET", "/servers"), reset_seconds: 300 };
    simulator.inject(Injection::times(limited, 1));
    let CloudError::RateLimited { resets_at } = project.servers(LANE).await.unwrap_err() else { panic!("must pause") };
    let wait = resets_at.duration_since(Timestamp::now()).as_secs();
    assert!((290..=301).contains(&wait), "{wait} s");
    let paused = project.create_network(Lane::Teardown, &new_network()).await.unwrap_err();
    assert_eq!(paused, CloudError::RateLimited { resets_at });
    assert_eq!(project.budget(Timestamp::now()).resets_at, resets_at);
}

#[tokio::test]
async fn capacity_and_limits_are_told_from_mistakes() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let ground = Ground::lay(&project).await;
    for placement_error in [false, true] {
        let fault = Fault::NoCapacity { server_type: Some("cx33".into()), location: None, placement_error };
        simulator.inject(Injection::standing(fault));
        let error = project.create_server(LANE, &ground.server("general", 0)).await.unwrap_err();
        assert_eq!(error.reason(), "CapacityUnavailable", "{error}");
        simulator.heal();
    }
    let mistaken = NewServer { location: "nowhere".into(), ..ground.server("general", 0) };
    let error = project.create_server(LANE, &mistaken).await.unwrap_err();
    assert!(!error.is_ambiguous() && error.reason() != "CapacityUnavailable", "{error:?}");
    for slot in 0..10 {
        create(&project, &ground.server("cp", slot)).await;
    }
    let eleventh = project.create_server(LANE, &ground.server("cp", 10)).await.unwrap_err();
    assert_eq!(eleventh.reason(), "LimitExceeded", "{eleventh}");
    assert_eq!(project.servers(LANE).await.unwrap().len(), 10, "nothing remains of what was refused");
}

#[tokio::test]
async fn what_can_be_bought_is_known_with_its_price() {
    let simulator = Simulator::start().await;
    let project = simulator.project();
    let catalogue = project.catalogue(LANE).await.unwrap();
    let table = helix_plan::catalogue::dated_table();
    assert_eq!(catalogue.locations.get("fsn1").map(String::as_str), Some("eu-central"));
    assert_eq!(catalogue.primary_ipv4, table.primary_ipv4);
    assert_eq!(catalogue.load_balancers.get("lb11"), table.load_balancers.get("lb11"));
    for name in ["cx33", "cax11", "cax21"] {
        let (found, known) = (&catalogue.server_types[name], &table.server_types[name]);
        assert_eq!(
            (found.cores, found.memory_gb, found.architecture),
            (known.cores, known.memory_gb, known.architecture)
        );
        assert_eq!(catalogue.offer(name, "fsn1").unwrap().monthly, table.offer(name, "fsn1").unwrap().monthly);
    }
    let gone = Fault::Unorderable { server_type: Some("cx33".into()), location: Some("fsn1".into()) };
    simulator.inject(Injection::standing(gone));
    let catalogue = project.catalogue(LANE).await.unwrap();
    assert!(!catalogue.offer("cx33", "fsn1").unwrap().available);
}
