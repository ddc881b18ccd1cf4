//! What goes wrong in a life: kills, faults of the API, capacity that comes and goes, machines that die, hands at Hetzner,
//! another client on the token, and time that jumps.
//!
//! Never more at once than a platform is promised to outlive: a majority of etcd stays.

use helix_crds::labels;
use jiff::SignedDuration;

use super::codes;
use super::spec::{NAME, pick};
use super::story::{Failed, Story};
use crate::faults::{CallPattern, Fault, Injection};
use crate::inprocess::Kill;
use crate::world::servers::PowerAction;

/// The calls that a fault may strike.
const CALLS: [(&str, &str); 8] = [
    ("GET", "/servers"),
    ("GET", "/**"),
    ("POST", "/servers"),
    ("POST", "/**"),
    ("POST", "/load_balancers/**"),
    ("POST", "/servers/**"),
    ("DELETE", "/**"),
    ("GET", "/actions"),
];

impl Story {
    /// Something goes wrong with the API for a while.
    pub(super) fn trouble_the_api(&mut self) {
        let fault = self.random_fault();
        self.note(format!("trouble: {fault:?}"));
        let per_mille = *pick(&mut self.rng, &[50, 200, 500]);
        let times = u32::try_from(1 + self.rng.below(25)).unwrap_or(1);
        let injection = Injection { per_mille, times: Some(times), ..Injection::standing(fault) };
        self.universe().with_world(|world, _, _| world.inject(injection));
    }

    fn random_fault(&mut self) -> Fault {
        let rng = &mut self.rng;
        let (method, path) = *pick(rng, &CALLS);
        let call = CallPattern::new(method, path);
        match rng.below(9) {
            0 => Fault::RequestLost { call },
            1 => Fault::AnswerLost { call },
            2 => Fault::RequestRepeated { call },
            3 => Fault::AnswerGarbled { call },
            4 => Fault::AnswerTruncated { call },
            5 => Fault::RateLimited { call, reset_seconds: *pick(rng, &[1, 30, 600]) },
            6 => {
                let command = pick(rng, &["create_server", "start_server", "attach_to_network", "add_target"]);
                Fault::ActionFails {
                    command: Some((*command).to_owned()),
                    resource: None,
                    code: "action_failed".to_owned(),
                    message: "it did not work".to_owned(),
                }
            }
            7 => {
                let all: Vec<&str> = codes::all().collect();
                Fault::Refused { call, code: (*pick(rng, &all)).to_owned() }
            }
            _ => {
                let of = if rng.happens(850) { codes::OF_OPERATIONS } else { codes::OBSERVED };
                let (method, path, codes) = pick(rng, of);
                Fault::Refused { call: CallPattern::new(method, path), code: (*pick(rng, codes)).to_owned() }
            }
        }
    }

    /// Types are sold out for a while, or not orderable, in one location or everywhere.
    pub(super) fn sell_out(&mut self) {
        let rng = &mut self.rng;
        let location = Some((*pick(rng, &["fsn1", "nbg1", "hel1"])).to_owned()).filter(|_| rng.happens(800));
        let fault = if rng.happens(700) {
            Fault::NoCapacity { server_type: None, location, placement_error: rng.happens(300) }
        } else {
            Fault::Unorderable { server_type: None, location }
        };
        self.note(format!("trouble: {fault:?}"));
        self.universe().with_world(|world, _, _| world.inject(Injection::standing(fault)));
    }

    /// A server that is made or started meanwhile runs, and its guest stays down.
    pub(super) fn keep_one_down(&mut self) {
        let spec = &self.life.platform().spec;
        let workers = spec.worker_pools.iter().map(|pool| (pool.name.as_str(), pool.replicas.unwrap_or_default()));
        let control_planes = (labels::CONTROL_PLANE_POOL, spec.control_plane.replicas);
        let pools: Vec<(String, u32)> =
            workers.chain([control_planes]).map(|(name, replicas)| (name.to_owned(), replicas)).collect();
        let (pool, replicas) = pick(&mut self.rng, &pools).clone();
        let server = format!("{NAME}-{pool}-{}", self.rng.below(u64::from(replicas) + 1));
        self.note(format!("trouble: if {server} is started now, its guest stays down"));
        let fault = Fault::NeverBoots { server: Some(server) };
        self.universe().with_world(|world, _, _| world.inject(Injection::times(fault, 1)));
    }

    /// Everything at Hetzner is well again.
    pub(super) fn end_trouble(&mut self) {
        self.note("all trouble at Hetzner is over");
        self.universe().with_world(|world, _, _| world.faults().clear());
    }

    /// The engine is killed at one of the next calls.
    pub(super) fn kill_soon(&mut self) {
        let kill = if self.rng.happens(500) { Kill::Before } else { Kill::After };
        let calls = 1 + self.rng.below(120);
        self.universe().kill_in(calls, kill);
    }

    /// Another client draws from the token's budget.
    pub(super) fn drain_the_token(&mut self) {
        let left = self.rng.below(60);
        self.note(format!("another client leaves {left} requests of the token's budget"));
        self.universe().with_watch(super::watch::Watch::others_use_the_token);
        self.universe().with_world(|world, project, now| {
            while u64::from(world.budget(project, now).remaining) > left {
                world.admit(project, now);
            }
        });
    }

    /// Time jumps, as on a laptop that slept.
    pub(super) fn jump(&mut self) {
        let hours = i64::try_from(1 + self.rng.below(40)).unwrap_or(1);
        self.note(format!("{hours} hours pass at once"));
        self.universe().sleep(SignedDuration::from_hours(hours));
    }

    /// A machine comes to harm, of a platform that is well: then all its control planes but one stay.
    pub(super) fn harm(&mut self) {
        let control_planes = self.life.platform().spec.control_plane.replicas;
        let servers: Vec<String> = self
            .servers()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| control_planes >= 3 || !name.starts_with("life-cp-"))
            .collect();
        if servers.is_empty() {
            return;
        }
        let name = pick(&mut self.rng, &servers).clone();
        match self.rng.below(5) {
            0 => self.hang(&name),
            1 => self.power_off(&name),
            2 => self.delete_by_hand(&name),
            3 => self.stop_etcd(&name),
            _ => self.end_api_server(&name),
        }
    }

    pub(super) fn power_off(&mut self, name: &str) {
        let Some(server) = self.server(name) else { return };
        self.note(format!("somebody powers {name} off"));
        self.universe().with_world(|world, project, now| world.power(project, server, PowerAction::PowerOff, now).ok());
    }

    fn end_api_server(&mut self, name: &str) {
        let Some(server) = self.server(name) else { return };
        self.note(format!("the static pods of {name} end"));
        self.universe().with_world(|world, _, now| world.guests_mut(now).end_static_pods(server, now));
    }

    /// Etcd stops for good on a control plane that goes on else; workers have none.
    fn stop_etcd(&mut self, name: &str) {
        let Some(server) = self.server(name).filter(|_| name.starts_with("life-cp-")) else { return };
        self.note(format!("etcd stops on {name}"));
        self.universe().with_world(|world, _, now| world.guests_mut(now).break_etcd(server, now));
    }

    /// The platform is left alone for a while, whatever happens meanwhile.
    pub(super) fn pause(&mut self) -> Result<(), Failed> {
        self.edit("a pause", |platform| platform.spec.paused = true);
        let minutes = i64::try_from(1 + self.rng.below(90)).unwrap_or(1);
        self.live(minutes)?;
        self.edit("no pause", |platform| platform.spec.paused = false);
        Ok(())
    }

    /// Somebody meddles with what is the platform's at Hetzner.
    pub(super) fn meddle(&mut self) {
        let what = self.rng.below(3);
        self.note(format!("somebody meddles at Hetzner ({what})"));
        self.universe().with_world(|world, project, now| {
            let it = world.project(project);
            let ours = |labels: &crate::world::Labels| {
                labels.get(helix_crds::labels::PLATFORM_UID).is_some_and(|uid| uid == super::spec::UID)
            };
            match what {
                0 => {
                    let firewall = it.firewalls.values().find(|it| ours(&it.meta.labels)).map(|it| it.id);
                    firewall.and_then(|id| world.set_rules(project, id, Vec::new(), now).ok()).is_some()
                }
                1 => {
                    let key = it.ssh_keys.values().find(|it| ours(&it.meta.labels)).map(|it| it.id);
                    key.is_some_and(|id| world.delete_ssh_key(project, id, now).is_ok())
                }
                _ => {
                    let group = it.placement_groups.values().find(|it| ours(&it.meta.labels)).map(|it| it.id);
                    group.is_some_and(|id| world.delete_placement_group(project, id, now).is_ok())
                }
            }
        });
    }

    /// A stretch of life in which one or two things go wrong.
    pub(super) fn endure(&mut self) -> Result<(), Failed> {
        for _ in 0..=self.rng.below(2) {
            match self.rng.below(13) {
                0..=4 => self.trouble_the_api(),
                5 | 6 => self.kill_soon(),
                7 => self.sell_out(),
                8 => self.drain_the_token(),
                9 => self.meddle(),
                10 => self.keep_one_down(),
                11 => self.pause()?,
                _ => self.jump(),
            }
            let minutes = i64::try_from(1 + self.rng.below(25)).unwrap_or(1);
            self.live(minutes)?;
        }
        Ok(())
    }
}
