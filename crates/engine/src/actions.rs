//! Actions that accepted requests have started at Hetzner, until they are known to have ended.
//!
//! Lists tell most ends without a further call. Asked for is only an action whose resource is at rest without the
//! effect, and one that takes longer than usual. What is kept here is lost with the process: later lists then show what
//! did not come true, only not why.

use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{CloudFacts, LoadBalancer, Server, ServerStatus, SetbackKind};
use helix_plan::step::{ResourceKind, Step};
use jiff::{SignedDuration, Timestamp};

use crate::seams::{ActionFacts, ActionState};

/// How long an action may take before it is asked for, and how long it is left alone between two questions.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// How long an action is of interest: by then, lists have shown what became of it.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// A step that was accepted, and what it started.
#[derive(Clone, Debug)]
struct Started {
    platform: PlatformIdentity,
    step: Step,
    ids: Vec<u64>,
    at: Timestamp,
    asked_at: Timestamp,
}

/// A step whose request was accepted, and which failed all the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// The step.
    pub(crate) step: Step,
    /// The setback that it is.
    pub(crate) kind: SetbackKind,
    /// When it was found.
    pub(crate) at: Timestamp,
}

/// What a list says of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It has its effect.
    Effect,
    /// It has none yet, or the list does not tell.
    UnderWay,
    /// It has none, and nothing is under way any more.
    NoEffect,
}

/// All actions of a project that have not ended, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    started: Vec<Started>,
    failed: Vec<(PlatformIdentity, Failure)>,
}

impl Actions {
    /// A step's request was accepted and started these actions.
    pub(crate) fn start(&mut self, platform: &PlatformIdentity, step: &Step, ids: Vec<u64>, now: Timestamp) {
        if !ids.is_empty() {
            let (platform, step) = (platform.clone(), step.clone());
            self.started.push(Started { platform, step, ids, at: now, asked_at: now });
        }
    }

    /// Forgets what a list that was just read shows to be done, and tells which actions are worth a question.
    pub(crate) fn worth_asking(&mut self, facts: &CloudFacts, everything: bool, now: Timestamp) -> Vec<u64> {
        let mut ids = Vec::new();
        // A platform that is paused or gone takes notice of nothing.
        self.failed.retain(|(_, failure)| failure.at + FORGOTTEN_AFTER > now);
        self.started.retain_mut(|started| {
            let seen = seen(&started.step, facts, everything);
            let overdue = started.asked_at + PATIENCE <= now;
            if seen == Seen::NoEffect || (seen == Seen::UnderWay && overdue) {
                started.asked_at = now;
                ids.extend(&started.ids);
            }
            seen != Seen::Effect && started.at + FORGOTTEN_AFTER > now
        });
        ids
    }

    /// Takes in the states of the actions that were asked for, and tells whether one failed. One that Hetzner no longer
    /// knows has ended.
    pub(crate) fn answered(&mut self, asked: &[u64], states: &[ActionFacts], now: Timestamp) -> bool {
        let failed = &mut self.failed;
        let before = failed.len();
        self.started.retain_mut(|started| {
            let failure = states.iter().filter(|state| started.ids.contains(&state.id)).find_map(|state| {
                let ActionState::Failed { code, message } = &state.state else { return None };
                Some(Failure {
                    step: started.step.clone(),
                    kind: setback(&started.step, state, code, message),
                    at: now,
                })
            });
            if let Some(failure) = failure {
                failed.push((started.platform.clone(), failure));
                return false;
            }
            let runs = |id: &u64| states.iter().any(|state| state.id == *id && state.state == ActionState::Running);
            started.ids.retain(|id| !asked.contains(id) || runs(id));
            !started.ids.is_empty()
        });
        self.failed.len() > before
    }

    /// The failures of one platform, each told once.
    pub(crate) fn take_failures(&mut self, platform: &PlatformIdentity) -> Vec<Failure> {
        self.failed.extract_if(.., |(owner, _)| owner == platform).map(|(_, failure)| failure).collect()
    }
}

/// What a failed action means for its step.
fn setback(step: &Step, action: &ActionFacts, code: &str, message: &str) -> SetbackKind {
    match (step, code) {
        (Step::CreateServer(new), "resource_unavailable" | "placement_error") => {
            SetbackKind::PlacementUnavailable { server_type: new.server_type.clone(), location: new.location.clone() }
        }
        _ => SetbackKind::Failed {
            reason: "ActionFailed".to_owned(),
            message: format!("Hetzner accepted it, but its action `{}` failed: {message} ({code})", action.command),
        },
    }
}

/// What a list says of a step. Only a list of everything tells of other resources than servers.
fn seen(step: &Step, facts: &CloudFacts, everything: bool) -> Seen {
    let server = |id: u64| facts.servers.iter().find(|server| server.id == id);
    match step {
        Step::CreateServer(new) => {
            let name = new.machine.to_string();
            on_server(facts.servers.iter().find(|server| server.name == name), runs)
        }
        Step::PowerOnServer { server: id, .. } => on_server(server(*id), runs),
        Step::AttachServer { server: id, network, .. } => on_server(server(*id), |it| it.is_in(*network)),
        Step::ApplyFirewall { server: id, firewall, .. } => {
            on_server(server(*id), |it| it.firewalls.contains(firewall))
        }
        Step::DeleteResource { kind: ResourceKind::Server, id, .. } => match server(*id) {
            None => Seen::Effect,
            Some(server) if server.locked || server.status == ServerStatus::Deleting => Seen::UnderWay,
            Some(_) => Seen::NoEffect,
        },
        _ if everything && elsewhere(step, facts) => Seen::Effect,
        _ => Seen::UnderWay,
    }
}

/// An action on a server locks it: one that is free without the effect will not get it any more.
fn on_server(server: Option<&Server>, has_effect: impl Fn(&Server) -> bool) -> Seen {
    match server {
        Some(server) if server.locked => Seen::UnderWay,
        Some(server) if has_effect(server) => Seen::Effect,
        _ => Seen::NoEffect,
    }
}

fn runs(server: &Server) -> bool {
    server.status == ServerStatus::Running
}

/// Whether a step that is not about a server has its effect.
fn elsewhere(step: &Step, facts: &CloudFacts) -> bool {
    let balancer = |id: u64, shows: &dyn Fn(&LoadBalancer) -> bool| {
        facts.load_balancers.iter().any(|balancer| balancer.id == id && shows(balancer))
    };
    match step {
        Step::AddSubnet { network, subnet, .. } => {
            facts.networks.iter().any(|it| it.id == *network && it.subnets.contains(subnet))
        }
        Step::CreateFirewall(new) => facts.firewalls.iter().any(|it| it.name == new.name),
        Step::SetFirewallRules { firewall, rules, .. } => {
            facts.firewalls.iter().any(|it| it.id == *firewall && it.rules == *rules)
        }
        Step::CreatePlacementGroup { name, .. } => facts.placement_groups.iter().any(|it| it.name == *name),
        Step::CreateLoadBalancer(new) => facts.load_balancers.iter().any(|it| {
            it.name == new.name && it.private.iter().any(|place| place.network == new.network && place.ip.is_some())
        }),
        Step::SetLoadBalancerService { load_balancer, service, .. } => {
            balancer(*load_balancer, &|it| it.services.contains(service))
        }
        Step::SetLoadBalancerPublic { load_balancer, public, .. } => {
            balancer(*load_balancer, &|it| it.public == *public)
        }
        Step::AttachLoadBalancer { load_balancer, network, .. } => balancer(*load_balancer, &|it| {
            it.private.iter().any(|place| place.network == *network && place.ip.is_some())
        }),
        Step::AddLoadBalancerTarget { load_balancer, server, .. } => {
            balancer(*load_balancer, &|it| it.targets.iter().any(|target| target.server == *server))
        }
        Step::RemoveLoadBalancerTarget { load_balancer, server, .. } => {
            balancer(*load_balancer, &|it| it.targets.iter().all(|target| target.server != *server))
        }
        Step::DeleteResource { kind: ResourceKind::LoadBalancer, id, .. } => {
            !balancer(*id, &|_| true) && facts.unlabelled.load_balancers.iter().all(|it| it.id != *id)
        }
        Step::DetachVolume { volume, .. } => facts.volumes.iter().all(|it| it.id != *volume || it.server.is_none()),
        Step::RemoveLoadBalancerService { load_balancer, listen_port, .. } => {
            balancer(*load_balancer, &|it| it.services.iter().all(|service| service.listen_port != *listen_port))
        }
        Step::DetachLoadBalancer { load_balancer, network, .. } => {
            balancer(*load_balancer, &|it| it.private.iter().all(|place| place.network != *network))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use helix_plan::observed::Tags;
    use helix_plan::step::NewServer;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn platform() -> PlatformIdentity {
        PlatformIdentity { namespace: "default".into(), name: "dev".into(), uid: "uid".into() }
    }

    fn creation() -> Step {
        Step::CreateServer(NewServer {
            machine: platform().machine("cp", 0),
            labels: Tags::new(),
            server_type: "cax11".into(),
            location: "fsn1".into(),
            image: 1,
            network: 2,
            firewall: 3,
            ssh_key: 4,
            placement_group: None,
        })
    }

    /// A list that holds the machine of [`creation`].
    fn list(status: ServerStatus, locked: bool) -> CloudFacts {
        let server = Server {
            id: 5,
            name: "dev-cp-0".into(),
            labels: Tags::new(),
            status,
            locked,
            server_type: "cax11".into(),
            location: "fsn1".into(),
            public_ipv4: None,
            private: Vec::new(),
            placement_group: None,
            firewalls: Vec::new(),
            created: None,
        };
        CloudFacts { servers: vec![server], ..CloudFacts::default() }
    }

    /// Actions 7 and 8, which the creation has started at second 0.
    fn started() -> Actions {
        let mut actions = Actions::default();
        actions.start(&platform(), &creation(), vec![7, 8], second(0));
        actions
    }

    fn state(id: u64, state: ActionState) -> ActionFacts {
        ActionFacts { id, command: "create_server".into(), state }
    }

    #[test]
    fn what_the_list_shows_is_not_asked_for() {
        let mut actions = started();
        assert!(actions.worth_asking(&list(ServerStatus::Initializing, true), false, second(30)).is_empty());
        assert!(actions.worth_asking(&list(ServerStatus::Running, false), false, second(40)).is_empty());
        assert!(actions.worth_asking(&list(ServerStatus::Off, false), false, second(50)).is_empty(), "it is settled");
    }

    #[test]
    fn what_takes_long_is_asked_for_now_and_then() {
        let mut actions = started();
        let made = list(ServerStatus::Initializing, true);
        let asked = (0..=150).filter(|s| !actions.worth_asking(&made, false, second(*s)).is_empty());
        assert_eq!(asked.collect::<Vec<_>>(), [60, 120]);
    }

    #[test]
    fn what_is_at_rest_without_effect_is_asked_for_at_once_and_its_failure_told_once() {
        let mut actions = started();
        assert_eq!(actions.worth_asking(&list(ServerStatus::Off, false), false, second(2)), [7, 8]);
        let failed = ActionState::Failed { code: "resource_unavailable".into(), message: "no room".into() };
        assert!(actions.answered(&[7, 8], &[state(7, failed), state(8, ActionState::Running)], second(2)));
        let told = actions.take_failures(&platform());
        let kind = SetbackKind::PlacementUnavailable { server_type: "cax11".into(), location: "fsn1".into() };
        assert_eq!(told, [Failure { step: creation(), kind, at: second(2) }]);
        assert!(actions.take_failures(&platform()).is_empty() && actions.started.is_empty());
    }

    #[test]
    fn what_hetzner_no_longer_knows_has_ended() {
        let mut actions = started();
        assert!(!actions.answered(&[7, 8], &[state(8, ActionState::Running)], second(0)));
        assert_eq!(actions.worth_asking(&CloudFacts::default(), false, second(1)), [8]);
        assert!(!actions.answered(&[8], &[], second(1)));
        assert!(actions.started.is_empty());
    }
}
