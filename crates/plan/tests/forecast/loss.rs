//! Taking things away from a world the way they get lost outside: what refers to them follows.

use helix_plan::disruption::{Cause, Mark};
use helix_plan::names::MachineName;
use helix_plan::observed::{Fact, Missing, Observed, Readiness, ServerStatus, TalosFacts};
use helix_plan::quorum::Quorum;
use jiff::SignedDuration;
use serde::Deserialize;

/// Something that can get lost.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Loss {
    Images,
    Snapshots,
    Bundle,
    BootstrapRecord,
    Kubeconfig,
    Talosconfig,
    Network,
    Subnet,
    Firewall,
    FirewallRules,
    SshKey,
    PlacementGroup(String),
    LoadBalancer,
    LoadBalancerService,
    Server(String),
    Node(String),
    /// Powered off, not lost for good.
    Power(String),
    /// It answers nobody any more, and its node has said nothing for ten minutes.
    Silence(String),
    /// It was marked for an upgrade an hour ago, and has answered nobody since.
    Upgrade(String),
    /// Its kubelet has said nothing for ten minutes, though the machine answers.
    Kubelet(String),
    /// Its etcd has only begun to join: a learner that has not told its name.
    Vote(String),
}

/// Lets all losses befall a world, and takes from the facts what nobody could tell any more.
pub(crate) fn befall<'a>(losses: impl IntoIterator<Item = &'a Loss>, world: &mut Observed) {
    losses.into_iter().for_each(|loss| loss.befall(world));
    let recorded = world.store.value().is_some_and(|store| store.bootstrap.is_some());
    let serves = |hostname: &str| {
        let machine = MachineName::parse(hostname).expect("a machine's name");
        world.talos_of(&machine).is_some_and(|talos| talos.serves("etcd"))
    };
    let decides = world.etcd.value().is_none_or(|etcd| Quorum::new(etcd, serves).holds());
    if recorded && decides {
        return;
    }
    // Without a record nobody asks; without a quorum nobody answers.
    let unreachable = |who: &str| Missing::Unreachable { who: who.to_owned(), why: "timed out".to_owned() };
    let missing = |who: &str| if recorded { unreachable(who) } else { Missing::NotThereYet };
    world.etcd = Fact::Missing(missing("etcd"));
    world.kubernetes = Fact::Missing(missing("the Kubernetes API"));
}

impl Loss {
    fn befall(&self, world: &mut Observed) {
        let cloud = world.cloud.value_mut().expect("Hetzner is known");
        let store = world.store.value_mut().expect("the store is known");
        match self {
            Self::Images => cloud.images.clear(),
            Self::Snapshots => world.backups.snapshots.value_mut().into_iter().for_each(Vec::clear),
            Self::Bundle => store.bundle = None,
            Self::BootstrapRecord => store.bootstrap = None,
            Self::Kubeconfig => store.kubeconfig = None,
            Self::Talosconfig => store.talosconfig = None,
            Self::Network => {
                cloud.networks.clear();
                for server in &mut cloud.servers {
                    server.private.clear();
                }
                for balancer in &mut cloud.load_balancers {
                    balancer.private.clear();
                }
            }
            Self::Subnet => cloud.networks.iter_mut().for_each(|network| network.subnets.clear()),
            Self::Firewall => {
                cloud.firewalls.clear();
                cloud.servers.iter_mut().for_each(|server| server.firewalls.clear());
            }
            Self::FirewallRules => cloud.firewalls.iter_mut().for_each(|firewall| firewall.rules.clear()),
            Self::SshKey => cloud.ssh_keys.clear(),
            Self::PlacementGroup(name) => {
                cloud.placement_groups.retain(|group| group.name != *name);
            }
            Self::LoadBalancer => {
                cloud.load_balancers.clear();
                lose_front(world);
            }
            Self::LoadBalancerService => {
                cloud.load_balancers.iter_mut().for_each(|balancer| balancer.services.clear());
                lose_front(world);
            }
            Self::Server(name) => lose_server(world, name),
            Self::Power(name) => {
                cloud.servers.iter_mut().filter(|it| it.name == *name).for_each(|it| it.status = ServerStatus::Off);
                fall_silent(world, name);
            }
            Self::Silence(name) => {
                fall_silent(world, name);
                lose_kubelet(world, name);
            }
            Self::Upgrade(name) => {
                fall_silent(world, name);
                lose_kubelet(world, name);
                let since = world.kubernetes.at().unwrap_or_default() - SignedDuration::from_hours(1);
                let nodes = world.kubernetes.value_mut().into_iter().flat_map(|kubernetes| &mut kubernetes.nodes);
                let mark = Some(Mark::new(Cause::Upgrade, false, since));
                nodes.filter(|node| node.name == *name).for_each(|node| node.mark = mark);
            }
            Self::Kubelet(name) => lose_kubelet(world, name),
            Self::Vote(name) => lose_vote(world, name),
            Self::Node(name) => {
                if let Some(kubernetes) = world.kubernetes.value_mut() {
                    kubernetes.nodes.retain(|node| node.name != *name);
                }
            }
        }
    }
}

fn lose_front(world: &mut Observed) {
    if let Some(kubernetes) = world.kubernetes.value_mut() {
        kubernetes.through_endpoint = false;
    }
}

fn fall_silent(world: &mut Observed, name: &str) {
    let why = Missing::Unreachable { who: format!("machine {name}"), why: "no route to host".to_owned() };
    if let Ok(machine) = MachineName::parse(name)
        && let Some(fact) = world.talos.get_mut(&machine)
    {
        *fact = Fact::Missing(why);
    }
}

fn lose_kubelet(world: &mut Observed, name: &str) {
    let since = world.kubernetes.at().map(|at| at - SignedDuration::from_mins(10));
    let nodes = world.kubernetes.value_mut().into_iter().flat_map(|kubernetes| &mut kubernetes.nodes);
    nodes.filter(|node| node.name == name).for_each(|node| node.readiness = Readiness::Silent { since });
}

fn lose_vote(world: &mut Observed, name: &str) {
    let etcd = world.etcd.value_mut().expect("etcd is known");
    for member in etcd.members.iter_mut().filter(|member| member.hostname == name) {
        (member.learner, member.hostname) = (true, String::new());
    }
    if let Ok(machine) = MachineName::parse(name)
        && let Some(Fact::Known { value: TalosFacts::Configured { services, .. }, .. }) = world.talos.get_mut(&machine)
    {
        services.retain(|service| service.id != "etcd");
    }
}

/// Its etcd member and its node stay behind, as they do outside.
fn lose_server(world: &mut Observed, name: &str) {
    let cloud = world.cloud.value_mut().expect("Hetzner is known");
    let Some(gone) = cloud.servers.iter().find(|server| server.name == name).map(|server| server.id) else { return };
    cloud.servers.retain(|server| server.id != gone);
    cloud.placement_groups.iter_mut().for_each(|group| group.servers.retain(|server| *server != gone));
    cloud.load_balancers.iter_mut().for_each(|balancer| balancer.targets.retain(|target| target.server != gone));
    if let Ok(machine) = MachineName::parse(name) {
        world.talos.remove(&machine);
    }
}
