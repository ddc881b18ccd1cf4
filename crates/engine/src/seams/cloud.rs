//! Hetzner's project, as one token shows it.

use async_trait::async_trait;
use helix_plan::catalogue::Catalogue;
use helix_plan::observed::{
    Adoptee, CloudFacts, Firewall, FirewallRule, LoadBalancer, LoadBalancerService, Named, Network, PlacementGroup,
    Server, SshKey, Tags,
};
use helix_plan::step::{Lane, NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind};
use ipnet::Ipv4Net;
use jiff::Timestamp;

use super::Zones;
use crate::budget::BudgetSnapshot;

/// What the whole project holds that carries any platform's UID label, the images, and the load balancers and volumes that
/// carry none.
pub type ProjectFacts = CloudFacts;

/// A mutation that was accepted: what it made, as far as it is known, and the actions that will make it true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<T> {
    /// The resource as the answer described it.
    pub value: T,
    /// Ids of the actions under way.
    pub actions: Vec<u64>,
}

/// Where an action is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionState {
    /// Under way.
    Running,
    /// It did what it should.
    Succeeded,
    /// It failed.
    Failed {
        /// Hetzner's code.
        code: String,
        /// Hetzner's words.
        message: String,
    },
}

/// An action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionFacts {
    /// Its id.
    pub id: u64,
    /// What it does, as in `create_server`.
    pub command: String,
    /// Where it is.
    pub state: ActionState,
}

/// Who owns the name that we wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The resource's id.
    pub id: u64,
    /// Its labels.
    pub labels: Tags,
}

/// Hetzner's API under one token. Each call draws on the token's budget in the given lane, one unit per request.
///
/// Mutations return as soon as they are accepted; their effect shows in later lists. Creation is made idempotent by
/// the unique name: [`CloudError::Taken`] then asks for [`Cloud::owner_of`].
#[async_trait]
pub trait Cloud: Zones + Send + Sync {
    /// All kinds, each a paged, label-selected list; never a call per resource.
    async fn project(&self, lane: Lane) -> Result<ProjectFacts, CloudError>;
    /// The servers alone: what is looked at while machines are being made.
    async fn servers(&self, lane: Lane) -> Result<Vec<Server>, CloudError>;
    /// Server types, locations and prices.
    async fn catalogue(&self, lane: Lane) -> Result<Catalogue, CloudError>;
    /// The state of actions, asked for in batches of 25 ids.
    async fn actions(&self, lane: Lane, ids: &[u64]) -> Result<Vec<ActionFacts>, CloudError>;
    /// Whom a name belongs to, if it is taken.
    async fn owner_of(&self, lane: Lane, kind: ResourceKind, name: &str) -> Result<Option<Owner>, CloudError>;
    /// A resource by its id, whoever owns it; nothing where there is none. What answers on a server is not asked here.
    async fn adoptee(&self, lane: Lane, named: Named) -> Result<Option<Adoptee>, CloudError>;
    /// Gives a resource a name and labels, in place of all that it has.
    async fn relabel(&self, lane: Lane, named: Named, name: &str, labels: &Tags) -> Result<(), CloudError>;

    /// Makes a network with its subnet.
    async fn create_network(&self, lane: Lane, new: &NewNetwork) -> Result<Accepted<Network>, CloudError>;
    /// Adds a cloud subnet.
    async fn add_subnet(
        &self,
        lane: Lane,
        network: u64,
        subnet: Ipv4Net,
        zone: &str,
    ) -> Result<Accepted<()>, CloudError>;
    /// Makes a firewall with its rules.
    async fn create_firewall(&self, lane: Lane, new: &NewFirewall) -> Result<Accepted<Firewall>, CloudError>;
    /// Replaces all rules.
    async fn set_firewall_rules(
        &self,
        lane: Lane,
        firewall: u64,
        rules: &[FirewallRule],
    ) -> Result<Accepted<()>, CloudError>;
    /// Guards a server by a firewall; being guarded already is success.
    async fn apply_firewall(&self, lane: Lane, firewall: u64, server: u64) -> Result<Accepted<()>, CloudError>;
    /// Uploads a public key, one line in OpenSSH's format.
    async fn create_ssh_key(
        &self,
        lane: Lane,
        name: &str,
        labels: &Tags,
        public_key: &str,
    ) -> Result<Accepted<SshKey>, CloudError>;
    /// Makes a spread placement group.
    async fn create_placement_group(
        &self,
        lane: Lane,
        name: &str,
        labels: &Tags,
    ) -> Result<Accepted<PlacementGroup>, CloudError>;
    /// Makes a load balancer with its service, in its network.
    async fn create_load_balancer(
        &self,
        lane: Lane,
        new: &NewLoadBalancer,
    ) -> Result<Accepted<LoadBalancer>, CloudError>;
    /// Adds (`missing`) or updates the service on a listen port.
    async fn set_load_balancer_service(
        &self,
        lane: Lane,
        load_balancer: u64,
        service: &LoadBalancerService,
        missing: bool,
    ) -> Result<Accepted<()>, CloudError>;
    /// Turns the public interface on or off.
    async fn set_load_balancer_public(
        &self,
        lane: Lane,
        load_balancer: u64,
        public: bool,
    ) -> Result<Accepted<()>, CloudError>;
    /// Attaches to a network; being attached already is success.
    async fn attach_load_balancer(
        &self,
        lane: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError>;
    /// Adds a server as target over the private network; being one already is success.
    async fn add_target(&self, lane: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError>;
    /// Removes a server from the targets; not being one is success.
    async fn remove_target(&self, lane: Lane, load_balancer: u64, server: u64) -> Result<Accepted<()>, CloudError>;
    /// Makes a server and starts it.
    async fn create_server(&self, lane: Lane, new: &NewServer) -> Result<Accepted<Server>, CloudError>;
    /// Attaches a server to a network; being attached already is success.
    async fn attach_server(&self, lane: Lane, server: u64, network: u64) -> Result<Accepted<()>, CloudError>;
    /// Powers a server on.
    async fn power_on(&self, lane: Lane, server: u64) -> Result<Accepted<()>, CloudError>;
    /// Takes a volume from the server that has it.
    async fn detach_volume(&self, lane: Lane, volume: u64) -> Result<Accepted<()>, CloudError>;
    /// Takes the service that listens on a port from a load balancer; one that is gone is success.
    async fn remove_load_balancer_service(
        &self,
        lane: Lane,
        load_balancer: u64,
        listen_port: u16,
    ) -> Result<Accepted<()>, CloudError>;
    /// Takes a load balancer out of a network; not being in it is success.
    async fn detach_load_balancer(
        &self,
        lane: Lane,
        load_balancer: u64,
        network: u64,
    ) -> Result<Accepted<()>, CloudError>;
    /// Deletes a resource by id; one that is gone is success.
    async fn delete(&self, lane: Lane, kind: ResourceKind, id: u64) -> Result<Accepted<()>, CloudError>;

    /// What is left of the token's budget.
    fn budget(&self, now: Timestamp) -> BudgetSnapshot;
}

/// Why Hetzner's API did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// The token is not valid (401 `unauthorized`).
    #[error("Hetzner refused the token: {message}. Put a valid API token of the project into the token Secret")]
    Unauthorized {
        /// Hetzner's words.
        message: String,
    },
    /// The token may not write (401 `token_readonly`, 403 `forbidden`).
    #[error("Hetzner does not permit this: {message}. Use an API token with read and write permission")]
    Forbidden {
        /// Hetzner's words.
        message: String,
    },
    /// The request limit is used up (429).
    #[error("Hetzner's request limit is used up until {resets_at}; Helix goes on by itself then")]
    RateLimited {
        /// When it is whole again.
        resets_at: Timestamp,
    },
    /// Our own share of the budget is used up; nothing was sent.
    #[error("the token's request budget for this kind of work is used up until {until}; Helix goes on by itself then")]
    BudgetExhausted {
        /// When it is worth trying again.
        until: Timestamp,
    },
    /// The unique name is taken (409 `uniqueness_error`).
    #[error("the name `{name}` is taken")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is no such thing (404).
    #[error("Hetzner does not know {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// An action holds the resource (423 `locked`).
    #[error("{what} is locked by another action; it is tried again")]
    Locked {
        /// What is locked.
        what: String,
    },
    /// Somebody protected it from deletion (423 `protected`).
    #[error("{what} is protected from deletion: switch its delete protection off to let Helix go on")]
    Protected {
        /// What is protected.
        what: String,
    },
    /// It is still used by something (422 `resource_in_use`).
    #[error("{what} is still in use; it is tried again")]
    InUse {
        /// What is in use.
        what: String,
    },
    /// Concurrent changes got in one another's way (409 `conflict`).
    #[error("Hetzner reports a conflict: {message}; it is tried again")]
    Conflict {
        /// Hetzner's words.
        message: String,
    },
    /// The type cannot be had there now (412 `resource_unavailable`, 422 `placement_error`).
    #[error("Hetzner has no capacity: {message}")]
    Unavailable {
        /// Hetzner's words.
        message: String,
    },
    /// A limit of the project or of the resource (403 `resource_limit_exceeded` and the like).
    #[error("a limit of the project stands in the way: {message}. Ask Hetzner to raise it, or ask for less")]
    LimitExceeded {
        /// Hetzner's words.
        message: String,
    },
    /// Hetzner does not accept the request (422 `invalid_input`).
    #[error("Hetzner does not accept the request: {message} ({})", fields.join(", "))]
    Invalid {
        /// Hetzner's words.
        message: String,
        /// The fields that it names.
        fields: Vec<String>,
    },
    /// Any other code that it answered with.
    #[error("Hetzner answered {status} `{code}`: {message}")]
    Other {
        /// HTTP status.
        status: u16,
        /// Hetzner's code.
        code: String,
        /// Hetzner's words.
        message: String,
    },
    /// It could not be reached, or the connection broke.
    #[error("Hetzner's API at {endpoint} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What happened.
        why: String,
        /// Whether the request may have been carried out.
        sent: bool,
    },
    /// It answered with something that is no answer.
    #[error("Hetzner's API at {endpoint} answered something that cannot be read: {why}")]
    Malformed {
        /// Where it was asked.
        endpoint: String,
        /// What was wrong with it.
        why: String,
    },
}

impl CloudError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "Unauthorized",
            Self::Forbidden { .. } => "Forbidden",
            Self::RateLimited { .. } => "RateLimited",
            Self::BudgetExhausted { .. } => "BudgetExhausted",
            Self::Taken { .. } => "NameTaken",
            Self::NotFound { .. } => "NotFound",
            Self::Locked { .. } => "Locked",
            Self::Protected { .. } => "Protected",
            Self::InUse { .. } => "InUse",
            Self::Conflict { .. } => "Conflict",
            Self::Unavailable { .. } => "CapacityUnavailable",
            Self::LimitExceeded { .. } => "LimitExceeded",
            Self::Invalid { .. } => "InvalidRequest",
            Self::Other { .. } => "HetznerError",
            Self::Unreachable { .. } => "Unreachable",
            Self::Malformed { .. } => "MalformedAnswer",
        }
    }

    /// Whether the token is refused, or does not suffice.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Forbidden { .. })
    }

    /// Whether the effect may have happened all the same.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::Unreachable { sent, .. } => *sent,
            Self::Malformed { .. } => true,
            Self::Other { status, .. } => *status >= 500,
            _ => false,
        }
    }
}
