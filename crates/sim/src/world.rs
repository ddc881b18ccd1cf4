//! The world: projects at Hetzner and the machines that boot in them, as a pure state machine.
//!
//! It takes time as an input, does no I/O and draws all chance from its seed, so the same calls at the same times give the
//! same world. Behind it are two speeds: in process with a virtual clock, and on sockets (`clock.rs`, `hetzner.rs`).
//!
//! Expected flow: call a method with `now`, which first lets everything happen that was due until then; look at
//! [`World::next_due`] for when to call [`World::advance`] again; take what happened with [`World::take_events`].
//!
//! Guarantees: a call that returns an error has changed nothing. Ids are never used twice. Time never goes back: an
//! earlier `now` counts as the latest seen.
//!
//! What it doesn't do: tokens' secrecy, HTTP, sockets, and what runs in a machine once it has booted.

pub mod actions;
pub mod addresses;
pub mod catalogue;
pub mod controllers;
pub mod cost;
pub mod error;
pub mod firewalls;
pub mod ids;
pub mod images;
pub mod labels;
pub mod latencies;
pub mod load_balancers;
pub mod machine;
pub mod mesh;
pub mod money;
pub mod networks;
pub mod object_storage;
pub mod placement_groups;
pub mod power;
pub mod primary_ips;
pub mod project;
pub mod rate_limit;
pub mod rng;
pub mod servers;
pub mod ssh_keys;
pub mod volumes;
pub mod zones;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::faults::{CallFault, Fault, Faults, Injection};

pub use actions::{Action, ActionStatus, ResourceRef};
pub use addresses::{LoopbackBlock, PublicAddresses};
pub use error::{ApiError, ApiResult, ErrorCode, FieldError};
pub use ids::{
    ActionId, FirewallId, ImageId, LoadBalancerId, NetworkId, PlacementGroupId, PrimaryIpId, ProjectId, ServerId,
    SshKeyId, VolumeId,
};
pub use labels::{Labels, Selector};
pub use latencies::{Latencies, Span, TimeScale};
pub use machine::{Guests, Membership};
pub use object_storage::ObjectStorage;
pub use power::{BootImage, Hardware, MachineRef, WorldEvent};
pub use project::{Meta, Project, Resource, Update};
pub use rate_limit::Budget;
pub use rng::Rng;
pub use servers::{CreateServer, Server, ServerStatus};

/// How a world is set up.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Where all chance comes from.
    pub seed: u64,
    /// How long things take.
    pub latencies: Latencies,
    /// By how much that is shortened.
    pub time_scale: TimeScale,
    /// The loopback block that stands for public addresses.
    pub block: LoopbackBlock,
    /// Requests per hour of each project.
    pub requests_per_hour: u32,
    /// Servers that a project may have; more is `resource_limit_exceeded`.
    pub server_limit: usize,
    /// Who plays etcd and Kubernetes in the machines.
    pub membership: Membership,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            latencies: Latencies::default(),
            time_scale: TimeScale::REAL,
            block: LoopbackBlock::default(),
            requests_per_hour: 3600,
            server_limit: 1000,
            membership: Membership::Modelled,
        }
    }
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Only GET.
    Read,
    /// Everything.
    ReadWrite,
}

/// What the price list says about a type in a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whether it can be ordered.
    pub available: bool,
    /// When it stops being sold, if it is deprecated.
    pub retires: Option<Timestamp>,
}

/// Something that happens by itself at a time.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    Action { project: ProjectId, action: ActionId },
    Selectors { project: ProjectId },
    FirewallReleased { project: ProjectId, firewall: FirewallId, server: ServerId },
    Controllers,
    GroupReleased { project: ProjectId, group: PlacementGroupId, server: ServerId },
}

/// The state machine.
#[derive(Clone)]
pub struct World {
    config: WorldConfig,
    now: Timestamp,
    rng: Rng,
    faults: Faults,
    last_id: u64,
    projects: Vec<Project>,
    tokens: BTreeMap<String, (ProjectId, Permission)>,
    addresses: PublicAddresses,
    guests: Guests,
    object_storage: ObjectStorage,
    mesh: mesh::Mesh,
    /// The load balancers that clusters' own controllers have made.
    made_inside: BTreeSet<LoadBalancerId>,
    agenda: BTreeMap<(Timestamp, u64), Due>,
    agenda_entries: u64,
    events: VecDeque<WorldEvent>,
}

impl std::fmt::Debug for World {
    /// Without the tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("projects", &self.projects.len()).finish_non_exhaustive()
    }
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(config: WorldConfig, now: Timestamp) -> Self {
        let mut rng = Rng::new(config.seed);
        let guest_seed = rng.next_u64();
        let guests = Guests::new(config.latencies.guest.clone(), config.time_scale, config.membership, guest_seed);
        Self {
            now,
            rng,
            guests,
            object_storage: ObjectStorage::default(),
            mesh: mesh::Mesh::default(),
            faults: Faults::default(),
            last_id: 1000,
            projects: Vec::new(),
            tokens: BTreeMap::new(),
            addresses: PublicAddresses::new(config.block),
            made_inside: BTreeSet::new(),
            agenda: BTreeMap::new(),
            agenda_entries: 0,
            events: VecDeque::new(),
            config,
        }
    }

    /// Adds a project that holds Talos snapshots for both architectures, an empty zone of DNS, and nothing else.
    pub fn add_project(&mut self, name: &str) -> ProjectId {
        let id = ProjectId(self.projects.len());
        let bucket = rate_limit::TokenBucket::full(self.config.requests_per_hour, self.now);
        self.projects.push(Project::new(name.to_owned(), bucket));
        self.add_talos_snapshots(id);
        self.add_zone(id, zones::EXAMPLE_ZONE, Labels::new());
        id
    }

    /// Lets a token into a project.
    pub fn add_token(&mut self, token: &str, project: ProjectId, permission: Permission) {
        self.tokens.insert(token.to_owned(), (project, permission));
    }

    /// Who a token is.
    ///
    /// # Errors
    /// `unauthorized` for a token that is unknown or revoked.
    pub fn authenticate(&self, token: &str) -> ApiResult<(ProjectId, Permission)> {
        let known = self.tokens.get(token).filter(|_| !self.faults.tokens_revoked());
        let Some((project, permission)) = known else {
            return Err(ApiError::new(ErrorCode::Unauthorized, "unable to authenticate"));
        };
        let permission = if self.faults.tokens_readonly() { Permission::Read } else { *permission };
        Ok((*project, permission))
    }

    /// Takes a request out of the project's budget.
    pub fn admit(&mut self, project: ProjectId, now: Timestamp) -> Budget {
        self.project_mut(project).bucket.take(now)
    }

    /// The project's budget, without taking from it.
    pub fn budget(&mut self, project: ProjectId, now: Timestamp) -> Budget {
        self.project_mut(project).bucket.look(now)
    }

    /// The projects.
    pub fn projects(&self) -> impl Iterator<Item = (ProjectId, &Project)> {
        self.projects.iter().enumerate().map(|(index, project)| (ProjectId(index), project))
    }

    /// A project.
    #[must_use]
    pub fn project(&self, id: ProjectId) -> &Project {
        &self.projects[id.0]
    }

    /// How the world was set up.
    #[must_use]
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// The latest time seen.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets everything happen that is due until `now`, in order.
    pub fn advance(&mut self, now: Timestamp) {
        self.take_up_halts();
        while let Some(at) = self.next_due().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            if self.guests.next_event().is_some_and(|event| event <= at) {
                self.guests.advance(self.now);
                self.take_up_halts();
                self.emit(WorldEvent::GuestsChanged);
            } else if let Some((_, due)) = self.agenda.pop_first() {
                self.happen(due);
            }
        }
        self.now = self.now.max(now);
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        agenda.into_iter().chain(self.guests.next_event()).min()
    }

    /// What happened to the machines since the last call, in order.
    pub fn take_events(&mut self) -> Vec<WorldEvent> {
        self.events.drain(..).collect()
    }

    /// Puts a fault in force; the number withdraws it.
    pub fn inject(&mut self, injection: Injection) -> u64 {
        self.faults.inject(injection)
    }

    /// Puts a fault in force once.
    pub fn inject_once(&mut self, fault: Fault) -> u64 {
        self.faults.inject(Injection::times(fault, 1))
    }

    /// The faults, to look at and to withdraw.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// The faults that stand, to be asked about.
    #[must_use]
    pub(crate) fn standing_faults(&self) -> &Faults {
        &self.faults
    }

    /// The faults that strike a call of the API (its path as a [`crate::faults::CallPattern`] has it), counted as having struck.
    pub fn strike_call(&mut self, method: &str, path: &str) -> Vec<CallFault> {
        self.faults.on_call(&mut self.rng, method, path)
    }

    /// Whether a PostgreSQL cluster of this name loses its primary now, counted as having done so.
    pub(crate) fn strike_database(&mut self, name: &str) -> bool {
        self.faults.on_database(&mut self.rng, name)
    }

    /// The buckets.
    pub fn buckets(&self) -> impl Iterator<Item = (&str, &object_storage::Objects)> {
        self.object_storage.buckets()
    }

    /// The buckets and who may open them.
    pub fn object_storage(&mut self) -> &mut ObjectStorage {
        &mut self.object_storage
    }

    /// The account at NetBird.
    pub fn mesh(&mut self) -> &mut mesh::Mesh {
        &mut self.mesh
    }

    /// Whether a type is offered somewhere, and until when if it is deprecated. Capacity shows only when ordering.
    #[must_use]
    pub fn offer(&self, server_type: &str, location: &str) -> Offer {
        let retires = self.faults.retirement(server_type, location);
        let gone = retires.is_some_and(|end| end <= self.now);
        Offer { available: !gone && self.faults.is_orderable(server_type, location), retires }
    }

    /// Draws how long the answer to a call takes.
    pub fn call_latency(&mut self, method: &str, path: &str) -> Duration {
        if method == "POST" && path == "/servers" {
            self.draw(self.config.latencies.create_call)
        } else {
            Duration::ZERO
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Action { project, action } => self.finish_action(project, action),
            Due::Selectors { project } => self.resolve_selectors(project),
            Due::FirewallReleased { project, firewall, server } => self.release_firewall(project, firewall, server),
            Due::Controllers => self.play_controllers(),
            Due::GroupReleased { project, group, server } => self.release_group(project, group, server),
        }
    }

    fn strike_action(&mut self, command: &str, names: &[String]) -> Option<(String, String)> {
        self.faults.on_action(&mut self.rng, command, names)
    }

    fn strike_order(&mut self, server_type: &str, location: &str) -> Option<bool> {
        self.faults.on_order(&mut self.rng, server_type, location)
    }

    fn strike_boot(&mut self, server: &str) -> bool {
        self.faults.on_boot(&mut self.rng, server)
    }

    fn project_mut(&mut self, id: ProjectId) -> &mut Project {
        &mut self.projects[id.0]
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn schedule(&mut self, at: Timestamp, due: Due) {
        self.agenda_entries += 1;
        self.agenda.insert((at, self.agenda_entries), due);
    }

    fn emit(&mut self, event: WorldEvent) {
        self.events.push_back(event);
    }

    fn latencies(&self) -> &Latencies {
        &self.config.latencies
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn draw(&mut self, span: Span) -> Duration {
        latencies::draw(&mut self.rng, span, self.config.time_scale)
    }
}
