//! The engine's [`Cloud`], method by method: which requests make up a call.

use async_trait::async_trait;
use helix_crds::labels;
use helix_engine::budget::BudgetSnapshot;
use helix_engine::seams::{Accepted, ActionFacts, Cloud, CloudError, Owner, ProjectFacts};
use helix_plan::catalogue::Catalogue;
use helix_plan::observed::{
    Adoptee, Firewall, FirewallRule, LoadBalancer, LoadBalancerService, Named, Network, PlacementGroup, Server, SshKey,
    Tags, Unlabelled, Volume,
};
use helix_plan::step::{Lane, NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::firewalls::FirewallWire;
use super::images::ImageWire;
use super::load_balancers::LoadBalancerWire;
use super::networks::NetworkWire;
use super::placement_groups::PlacementGroupWire;
use super::request::{Request, Subject};
use super::servers::ServerWire;
use super::volumes::VolumeWire;
use super::wire::{Created, Labelled, Page, Started};
use super::{
    HetznerProject, actions, adoptees, catalogue, error, firewalls, images, load_balancers, networks, placement_groups,
    servers, ssh_keys, volumes,
};

/// Narrows a list to what carries a label, whatever its value.
fn labelled(request: Request, label: &str) -> Request {
    request.with("label_selector", label)
}

/// Narrows a list to what Helix made, for whichever platform.
pub(super) fn of_helix(request: Request) -> Request {
    labelled(request, labels::PLATFORM_UID)
}

/// A mutation that found its effect in place is as good as one that made it.
fn already_so_is_success(outcome: Result<Accepted<()>, CloudError>) -> Result<Accepted<()>, CloudError> {
    match outcome {
        Err(error) if error::says_already_so(&error) => Ok(Accepted { value: (), actions: Vec::new() }),
        outcome => outcome,
    }
}

/// What was to be removed and is not there is as good as removed.
fn gone_is_success(outcome: Result<Accepted<()>, CloudError>) -> Result<Accepted<()>, CloudError> {
    match outcome {
        Err(error) if error::says_not_there(&error) => Ok(Accepted { value: (), actions: Vec::new() }),
        outcome => outcome,
    }
}

impl HetznerProject {
    async fn create<W: DeserializeOwned, T>(
        &self,
        lane: Lane,
        request: &Request,
        into_facts: impl FnOnce(W) -> T,
    ) -> Result<Accepted<T>, CloudError> {
        let created: Created<W> = self.transport.call(lane, request).await?;
        Ok(Accepted { actions: created.started.ids(), value: into_facts(created.resource) })
    }

    pub(super) async fn start(&self, lane: Lane, request: &Request) -> Result<Accepted<()>, CloudError> {
        let started: Started = self.transport.call(lane, request).await?;
        if !started.speaks_of_actions() {
            return Err(self.transport.malformed("it names no action"));
        }
        Ok(Accepted { value: (), actions: started.ids() })
    }
}

/// The path and the words of a kind.
pub(super) fn kind_path(kind: ResourceKind) -> (&'static str, &'static str) {
    match kind {
        ResourceKind::Server => ("/servers", servers::KIND),
        ResourceKind::LoadBalancer => ("/load_balancers", load_balancers::KIND),
        ResourceKind::Volume => ("/volumes", volumes::KIND),
        ResourceKind::PlacementGroup => ("/placement_groups", placement_groups::KIND),
        ResourceKind::Firewall => ("/firewalls", firewalls::KIND),
        ResourceKind::SshKey => ("/ssh_keys", ssh_keys::KIND),
        ResourceKind::Network => ("/networks", networks::KIND),
    }
}

pub(super) fn named(kind: ResourceKind, name: &str) -> Request {
    let (path, words) = kind_path(kind);
    Request::get(path, Subject::named(words, name)).with("name", name)
}

pub(super) fn deletion(kind: ResourceKind, id: u64) -> Request {
    let (path, words) = kind_path(kind);
    Request::delete(format!("{path}/{id}"), Subject::id(words, id))
}

/// Replaces all labels: Hetzner drops those that are not sent.
/// Those that carry the label of some platform, and those that carry none.
fn apart<T>(all: impl IntoIterator<Item = T>, labels: impl Fn(&T) -> &Tags) -> (Vec<T>, Vec<T>) {
    all.into_iter().partition(|it| labels(it).contains_key(labels::PLATFORM_UID))
}

#[async_trait]
impl Cloud for HetznerProject {
    async fn project(&self, lane: Lane) -> Result<ProjectFacts, CloudError> {
        let [network, firewall, ssh_key, group, server] =
            [networks::list(), firewalls::list(), ssh_keys::list(), placement_groups::list(), servers::list()]
                .map(of_helix);
        // What was made from inside a cluster does not carry the label.
        let (balancer, volume) = (load_balancers::list(), volumes::list());
        let image = labelled(images::list(), labels::TALOS_VERSION);
        let transport = &self.transport;
        let (networks, firewalls, ssh_keys, groups, balancers, volumes, servers, images) = futures::try_join!(
            transport.list::<NetworkWire>(lane, &network),
            transport.list::<FirewallWire>(lane, &firewall),
            transport.list::<Labelled>(lane, &ssh_key),
            transport.list::<PlacementGroupWire>(lane, &group),
            transport.list::<LoadBalancerWire>(lane, &balancer),
            transport.list::<VolumeWire>(lane, &volume),
            transport.list::<ServerWire>(lane, &server),
            transport.list::<ImageWire>(lane, &image),
        )?;
        let (load_balancers, other_balancers) =
            apart(balancers.into_iter().map(LoadBalancerWire::into_facts), |it| &it.labels);
        let (volumes, other_volumes) = apart(volumes.into_iter().map(Volume::from), |it| &it.labels);
        Ok(ProjectFacts {
            volumes,
            unlabelled: Unlabelled { load_balancers: other_balancers, volumes: other_volumes },
            firewalls: firewalls.into_iter().map(Firewall::from).collect(),
            ssh_keys: ssh_keys.into_iter().map(SshKey::from).collect(),
            placement_groups: groups.into_iter().map(PlacementGroup::from).collect(),
            load_balancers,
            servers: servers.into_iter().map(ServerWire::into_facts).collect(),
            images: images.into_iter().map(Into::into).collect(),
            networks: networks.into_iter().map(Network::from).collect(),
        })
    }

    async fn servers(&self, lane: Lane) -> Result<Vec<Server>, CloudError> {
        let servers: Vec<ServerWire> = self.transport.list(lane, &of_helix(servers::list())).await?;
        Ok(servers.into_iter().map(ServerWire::into_facts).collect())
    }

    async fn catalogue(&self, lane: Lane) -> Result<Catalogue, CloudError> {
        catalogue::read(&self.transport, lane).await
    }

    async fn actions(&self, lane: Lane, ids: &[u64]) -> Result<Vec<ActionFacts>, CloudError> {
        actions::states(&self.transport, lane, ids).await
    }

    async fn owner_of(&self, lane: Lane, kind: ResourceKind, name: &str) -> Result<Option<Owner>, CloudError> {
        let page: Page<Labelled> = self.transport.call(lane, &named(kind, name)).await?;
        let owner = page.items.into_iter().find(|item| item.name == name);
        Ok(owner.map(|item| Owner { id: item.id, labels: item.labels }))
    }

    async fn adoptee(&self, lane: Lane, named: Named) -> Result<Option<Adoptee>, CloudError> {
        adoptees::find(&self.transport, lane, named).await
    }

    async fn relabel(&self, lane: Lane, named: Named, name: &str, labels: &Tags) -> Result<(), CloudError> {
        let _: serde::de::IgnoredAny = self.transport.call(lane, &adoptees::relabel(named, name, labels)).await?;
        Ok(())
    }

    async fn create_network(&self, lane: Lane, new: &NewNetwork) -> Result<Accepted<Network>, CloudError> {
        self.create(lane, &networks::create(new), |wire: NetworkWire| wire.into()).await
    }

    async fn add_subnet(
        &self,
        lane: Lane,
        network: u64,
        subnet: Ipv4Net,
        zone: &str,
    ) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &networks::add_subnet(network, subnet, zone)).await
    }

    async fn create_firewall(&self, lane: Lane, new: &NewFirewall) -> Result<Accepted<Firewall>, CloudError> {
        self.create(lane, &firewalls::create(new), |wire: FirewallWire| wire.into()).await
    }

    async fn set_firewall_rules(
        &self,
        lane: Lane,
        firewall: u64,
        rules: &[FirewallRule],
    ) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &firewalls::set_rules(firewall, rules)).await
    }

    async fn apply_firewall(&self, lane: Lane, firewall: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        already_so_is_success(self.start(lane, &firewalls::apply(firewall, server)).await)
    }

    async fn create_ssh_key(
        &self,
        lane: Lane,
        name: &str,
        labels: &Tags,
        public_key: &str,
    ) -> Result<Accepted<SshKey>, CloudError> {
        self.create(lane, &ssh_keys::create(name, labels, public_key), |wire: Labelled| wire.into()).await
    }

    async fn create_placement_group(
        &self,
        lane: Lane,
        name: &str,
        labels: &Tags,
    ) -> Result<Accepted<PlacementGroup>, CloudError> {
        self.create(lane, &placement_groups::create(name, labels), |wire: PlacementGroupWire| wire.into()).await
    }

    async fn create_load_balancer(
        &self,
        lane: Lane,
        new: &NewLoadBalancer,
    ) -> Result<Accepted<LoadBalancer>, CloudError> {
        self.create(lane, &load_balancers::create(new), LoadBalancerWire::into_facts).await
    }

    async fn set_load_balancer_service(
        &self,
        lane: Lane,
        load_balancer: u64,
        service: &LoadBalancerService,
        missing: bool,
    ) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &load_balancers::set_service(load_balancer, service, missing)).await
    }

    async fn set_load_balancer_public(
        &self,
        lane: Lane,
        load_balancer: u64,
        public: bool,
    ) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &load_balancers::set_public(load_balancer, public)).await
    }

    async fn attach_load_balancer(
        &self,
        lane: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError> {
        already_so_is_success(self.start(lane, &load_balancers::attach(load_balancer, network)).await)
    }

    async fn add_target(&self, lane: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        already_so_is_success(self.start(lane, &load_balancers::add_target(load_balancer, server)).await)
    }

    async fn remove_target(&self, lane: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError> {
        gone_is_success(self.start(lane, &load_balancers::remove_target(load_balancer, server)).await)
    }

    async fn create_server(&self, lane: Lane, new: &NewServer) -> Result<Accepted<Server>, CloudError> {
        self.create(lane, &servers::create(new), ServerWire::into_facts).await
    }

    async fn attach_server(&self, lane: Lane, server: u64, network: u64) -> Result<Accepted<()>, CloudError> {
        already_so_is_success(self.start(lane, &servers::attach(server, network)).await)
    }

    async fn power_on(&self, lane: Lane, server: u64) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &servers::power_on(server)).await
    }

    async fn detach_volume(&self, lane: Lane, volume: u64) -> Result<Accepted<()>, CloudError> {
        self.start(lane, &volumes::detach(volume)).await
    }

    async fn remove_load_balancer_service(
        &self,
        lane: Lane,
        load_balancer: u64,
        listen_port: u16,
    ) -> Result<Accepted<()>, CloudError> {
        gone_is_success(self.start(lane, &load_balancers::remove_service(load_balancer, listen_port)).await)
    }

    async fn detach_load_balancer(
        &self,
        lane: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError> {
        gone_is_success(self.start(lane, &load_balancers::detach(load_balancer, network)).await)
    }

    async fn delete(&self, lane: Lane, kind: ResourceKind, id: u64) -> Result<Accepted<()>, CloudError> {
        match self.transport.call_or_empty::<Started>(lane, &deletion(kind, id)).await {
            Ok(started) => Ok(Accepted { value: (), actions: started.ids() }),
            Err(CloudError::NotFound { .. }) => Ok(Accepted { value: (), actions: Vec::new() }),
            Err(error) => Err(error),
        }
    }

    fn budget(&self, now: Timestamp) -> BudgetSnapshot {
        self.transport.budget(now)
    }
}
