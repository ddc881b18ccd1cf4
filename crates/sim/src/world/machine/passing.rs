//! How time passes for machines: what each does by itself when its moment comes, and what they do for one another.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::config::{Grammar, MachineConfig, Role};
use super::events::Happening;
use super::guest::Guest;
use super::phase::{Etcd, GoingDown, Phase, StaticPods, Uptime};
use super::{Guests, Membership, ProcessReport};
use crate::world::ids::ServerId;

impl Guests {
    /// Lets everything happen that is due until `now`, each at its own moment.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(due) = self.next_event().filter(|due| *due <= now) {
            let servers: Vec<ServerId> = self
                .guests
                .iter()
                .filter(|(_, guest)| guest.due().is_some_and(|at| at <= due))
                .map(|(id, _)| *id)
                .collect();
            for server in servers {
                self.step(server, due);
            }
            self.settle(due);
        }
        self.settle(now);
    }

    /// What the processes of a control plane report.
    pub fn report(&mut self, server: ServerId, report: ProcessReport, now: Timestamp) {
        if let Some(up) = self.guests.get_mut(&server).and_then(Guest::uptime_mut)
            && let Etcd::Running { .. } | Etcd::Starting { .. } = up.etcd
        {
            // One that answered once and does not any more has failed; it does not start anew by itself.
            if report.etcd_answers || matches!(up.etcd, Etcd::Running { .. }) {
                up.etcd = Etcd::Running { healthy: report.etcd_healthy, promote_at: None };
            }
            up.api_server = report.api_server;
        }
        self.settle(now);
    }

    /// Whether the nodes of the cluster that `server` belongs to have a working pod network.
    pub fn report_node_ready(&mut self, server: ServerId, ready: bool, now: Timestamp) {
        if let Some(guest) = self.guests.get_mut(&server) {
            guest.node_ready = ready;
            guest.tell_status(now);
        }
    }

    /// Starts the machine's next boot.
    pub(super) fn boot(&mut self, server: ServerId, now: Timestamp) {
        let until = now + self.pace.draw(|spans| spans.boot);
        let boot_id = self.ids.uuid();
        let Some(guest) = self.guests.get_mut(&server) else { return };
        guest.boot_id = boot_id;
        guest.version = guest.disk.version.clone();
        guest.events = super::EventLog::default();
        guest.node_ready = false;
        guest.events.record("", Happening::Sequence { name: "boot", began: true, error: None });
        let phase = if guest.disk.bootable { Phase::Booting { until } } else { Phase::Dead };
        guest.enter(phase);
        self.settle(now);
    }

    fn step(&mut self, server: ServerId, now: Timestamp) {
        let Some(guest) = self.guests.get(&server) else { return };
        match &guest.phase {
            Phase::Off | Phase::Dead | Phase::Maintenance => {}
            Phase::Booting { .. } => self.find_config(server, now),
            Phase::Configuring { .. } => self.come_up(server, now),
            Phase::Down(down) => {
                let down = (**down).clone();
                self.land(server, &down, now);
            }
            Phase::Up(_) => self.serve(server, now),
        }
    }

    /// The configuration is looked for on `STATE`, then in the user data; without one comes maintenance.
    fn find_config(&mut self, server: ServerId, now: Timestamp) {
        let until = now + self.pace.draw(|spans| spans.configure);
        let Some(guest) = self.guests.get_mut(&server) else { return };
        if let Some(staged) = guest.disk.staged.take() {
            guest.disk.config = Some(staged);
        }
        if guest.disk.config.is_none() {
            let grammar = Grammar::of(&guest.version);
            guest.disk.config =
                guest.host.user_data.as_deref().and_then(|data| MachineConfig::parse(data, grammar).ok());
        }
        let complete = guest.disk.config.as_ref().is_some_and(MachineConfig::is_complete);
        guest.enter(if complete { Phase::Configuring { until } } else { Phase::Maintenance });
    }

    fn come_up(&mut self, server: ServerId, now: Timestamp) {
        let container_runtime_at = now + self.pace.draw(|spans| spans.container_runtime);
        let kubelet_at = container_runtime_at + self.pace.draw(|spans| spans.kubelet);
        let etcd_until = container_runtime_at + self.pace.draw(|spans| spans.etcd_start);
        let membership = self.membership;
        let Some(guest) = self.guests.get_mut(&server) else { return };
        let etcd = match (guest.role(), guest.disk.etcd, membership) {
            (Some(Role::ControlPlane), None, _) => Etcd::Waiting,
            (Some(Role::ControlPlane), Some(_), Membership::Modelled) => Etcd::Starting { until: etcd_until },
            (Some(Role::ControlPlane), Some(_), Membership::Processes) => Etcd::Starting { until: Timestamp::MAX },
            (Some(Role::Worker) | None, _, _) => Etcd::Absent,
        };
        guest.enter(Phase::Up(Box::new(Uptime {
            container_runtime_at,
            kubelet_at,
            booted: false,
            certified: guest.role() == Some(Role::ControlPlane),
            etcd,
            static_pods_at: None,
            static_pods: None,
            kubelet: None,
            installing: false,
            api_server: false,
            register_at: None,
            registered: false,
            decorated: None,
            wakes: [container_runtime_at, kubelet_at].into(),
            trial: None,
        })));
        guest.events.record("", Happening::Sequence { name: "boot", began: false, error: None });
    }

    /// A machine is down: its disk is wiped or written as asked for, and it halts or boots.
    fn land(&mut self, server: ServerId, down: &GoingDown, now: Timestamp) {
        let Some(guest) = self.guests.get_mut(&server) else { return };
        if down.aborts {
            let error = Some("failed to leave etcd: etcdserver: no leader".to_owned());
            guest.events.record(&down.actor, Happening::Sequence { name: "reset", began: false, error });
            return self.come_up(server, now);
        }
        if down.wipe.state {
            guest.disk.config = None;
            guest.disk.staged = None;
        }
        if down.wipe.ephemeral {
            guest.disk.wipe_ephemeral();
        }
        guest.disk.bootable &= !down.wipe.system;
        if let Some(image) = &down.install {
            guest.disk.install(image);
        }
        if down.come_back {
            self.boot(server, now);
        } else {
            guest.enter(Phase::Off);
            self.halted.push(server);
        }
    }

    /// What a machine that is up does when its moment comes.
    fn serve(&mut self, server: ServerId, now: Timestamp) {
        let promote_at = now + self.pace.draw(|spans| spans.etcd_promote);
        self.begin_etcd(server, now);
        let Some(guest) = self.guests.get_mut(&server) else { return };
        let data = guest.disk.etcd;
        let cluster = guest.config().and_then(|config| config.cluster()).cloned();
        let Some(up) = guest.uptime_mut() else { return };
        up.wakes.retain(|at| *at > now);
        if up.static_pods_at.is_some_and(|at| at <= now) {
            up.static_pods_at = None;
            up.static_pods = cluster.as_deref().map(StaticPods::of);
        }
        match (up.etcd, data) {
            (Etcd::Starting { until }, Some(data)) if until <= now => {
                let promote_at = self.etcd.is_learner(data).then_some(promote_at);
                up.etcd = Etcd::Running { healthy: false, promote_at };
            }
            (Etcd::Running { healthy, promote_at: Some(at) }, Some(data)) if at <= now => {
                let promoted = self.etcd.promote(data).is_ok();
                up.etcd = Etcd::Running { healthy, promote_at: (!promoted).then_some(promote_at) };
            }
            _ => {}
        }
        if up.trial.as_ref().is_some_and(|(until, _)| *until <= now) {
            guest.end_trial();
        }
    }

    /// What machines do for one another, until nothing changes any more.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.certify_workers();
        self.follow_configurations(now);
        if self.membership == Membership::Modelled {
            self.settle_etcd(now);
            self.register_nodes(now);
            self.follow_nodes(now);
        }
        for guest in self.guests.values_mut() {
            guest.tell_status(now);
        }
    }

    /// A worker's apid gets its certificate from the trustd of any control plane with its authority.
    fn certify_workers(&mut self) {
        let waiting = |guest: &Guest| guest.uptime().is_some_and(|up| !up.certified);
        if !self.guests.values().any(waiting) {
            return;
        }
        let authority = |guest: &Guest| Some(guest.config()?.machine()?.ca.crt.clone());
        let signers: Vec<String> = self
            .guests
            .values()
            .filter(|guest| guest.is_up() && guest.role() == Some(Role::ControlPlane))
            .filter_map(authority)
            .collect();
        for guest in self.guests.values_mut().filter(|guest| waiting(guest)) {
            let known = guest.config().and_then(|config| config.machine()).map(|machine| machine.known_authorities());
            if known.is_some_and(|known| known.iter().any(|crt| signers.contains(crt))) {
                guest.epoch += 1;
                if let Some(up) = guest.uptime_mut() {
                    up.certified = true;
                }
            }
        }
    }

    fn settle_etcd(&mut self, now: Timestamp) {
        self.elect();
        self.join_waiting(now);
        let start = self.pace.draw(|spans| spans.static_pods);
        let etcd = &self.etcd;
        for guest in self.guests.values_mut() {
            let data = guest.disk.etcd;
            let Some(up) = guest.uptime_mut() else { continue };
            if let (Etcd::Running { promote_at, .. }, Some(data)) = (up.etcd, data) {
                let healthy = etcd.has_leader(data) && etcd.is_member(data) && !etcd.is_learner(data);
                up.etcd = Etcd::Running { healthy, promote_at };
                if healthy && up.static_pods.is_none() && up.static_pods_at.is_none() {
                    up.static_pods_at = Some(now + start);
                    up.wakes.insert(now + start);
                }
                up.api_server = healthy && up.static_pods.is_some();
            } else {
                up.api_server = false;
            }
        }
    }

    pub(super) fn elect(&mut self) {
        let guests = &self.guests;
        self.etcd.elect(&|server, data| {
            guests.get(&server).is_some_and(|guest| guest.etcd_answers() && guest.disk.etcd == Some(data))
        });
    }

    /// Control planes without etcd data join the cluster of their authority, one learner at a time.
    fn join_waiting(&mut self, now: Timestamp) {
        let authority = |guest: &Guest| Some(guest.config()?.cluster()?.etcd_ca().crt.clone());
        let mut clusters = BTreeMap::new();
        for guest in self.guests.values().filter(|guest| guest.etcd_healthy()) {
            if let (Some(authority), Some(data)) = (authority(guest), guest.disk.etcd) {
                clusters.entry(authority).or_insert(data.cluster);
            }
        }
        let waiting: Vec<ServerId> = self
            .guests
            .iter()
            .filter(|(_, guest)| {
                guest.uptime().is_some_and(|up| up.etcd == Etcd::Waiting && up.container_runtime_at <= now)
            })
            .map(|(server, _)| *server)
            .collect();
        for server in waiting {
            let start = self.pace.draw(|spans| spans.etcd_start);
            let Some(guest) = self.guests.get_mut(&server) else { continue };
            let Some(cluster) = authority(guest).and_then(|authority| clusters.get(&authority).copied()) else {
                continue;
            };
            let hostname = guest.hostname().to_owned();
            let Ok(data) = self.etcd.join(cluster, server, &hostname) else { continue };
            guest.disk.etcd = Some(data);
            if let Some(up) = guest.uptime_mut() {
                up.etcd = Etcd::Starting { until: now + start };
            }
        }
    }
}
