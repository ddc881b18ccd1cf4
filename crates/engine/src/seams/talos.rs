//! Talos machines, as their apid answers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use helix_plan::observed::{EtcdMember, TalosFacts};
use helix_plan::secrets::Secret;

/// A client certificate of Talos' own authority, and that authority.
#[derive(Clone)]
pub struct TalosCredentials {
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// The client's certificate, PEM.
    pub certificate_pem: String,
    /// The client's key, PEM.
    pub key_pem: Secret,
}

impl fmt::Debug for TalosCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TalosCredentials(<redacted>)")
    }
}

/// How to reach one machine: through a control plane's apid, or that control plane itself.
#[derive(Clone, Debug)]
pub struct TalosRoute {
    /// The control plane that is dialled, on port 50000.
    pub endpoint: Ipv4Addr,
    /// The machine that is meant, by its private address; `None` is the endpoint itself.
    pub node: Option<Ipv4Addr>,
    /// Who we are.
    pub credentials: Arc<TalosCredentials>,
}

/// When a configuration comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// At once, without a reboot; Talos refuses what needs one.
    Now,
    /// With the next reboot.
    AtReboot,
}

/// Talos' API, as far as Helix uses it.
#[async_trait]
pub trait Talos: Send + Sync {
    /// The facts of a machine that may be in maintenance mode: dialled directly, without credentials.
    ///
    /// # Errors
    /// [`TalosError::Unauthenticated`] says that the machine is configured and wants a client certificate.
    async fn maintenance(&self, address: Ipv4Addr) -> Result<TalosFacts, TalosError>;
    /// Gives a machine in maintenance mode its configuration.
    async fn configure(&self, address: Ipv4Addr, config: &Secret) -> Result<(), TalosError>;
    /// The facts of a configured machine.
    async fn status(&self, route: &TalosRoute) -> Result<TalosFacts, TalosError>;
    /// The system extensions of the image that a configured machine runs, as in `iscsi-tools`.
    async fn extensions(&self, route: &TalosRoute) -> Result<BTreeSet<String>, TalosError>;
    /// Bootstraps etcd; one that is bootstrapped already is success.
    async fn bootstrap_etcd(&self, route: &TalosRoute) -> Result<(), TalosError>;
    /// The members of etcd; needs a leader.
    async fn etcd_members(&self, route: &TalosRoute) -> Result<Vec<EtcdMember>, TalosError>;
    /// Lets another member lead etcd; not leading it is success.
    async fn forfeit_etcd_leadership(&self, route: &TalosRoute) -> Result<(), TalosError>;
    /// Installs another system beside the running one, from the installer's image; a reboot brings it up.
    ///
    /// # Errors
    /// [`TalosError::InstallerFailed`], with the installer's last words.
    async fn install(&self, route: &TalosRoute, image: &str) -> Result<(), TalosError>;
    /// Reboots the machine.
    async fn reboot(&self, route: &TalosRoute) -> Result<(), TalosError>;
    /// Gives a configured machine another configuration.
    async fn reconfigure(&self, route: &TalosRoute, config: &Secret, force: InForce) -> Result<(), TalosError>;
    /// Removes a member; one that is gone is success.
    async fn remove_etcd_member(&self, route: &TalosRoute, member: u64) -> Result<(), TalosError>;
}

/// Why Talos did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TalosError {
    /// Nothing answers there (yet), or the connection broke.
    #[error("Talos at {address} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        address: Ipv4Addr,
        /// What happened.
        why: String,
    },
    /// A control plane, itself well, says that it cannot reach the machine; another would say the same.
    #[error("Talos at {address} does not answer the control plane {through}: {why}")]
    NodeUnreachable {
        /// The machine that was meant.
        address: Ipv4Addr,
        /// The control plane that was asked for it.
        through: Ipv4Addr,
        /// The control plane's words.
        why: String,
    },
    /// It wants a client certificate: the machine has its configuration.
    #[error("Talos at {address} wants a client certificate: it is configured")]
    Unauthenticated {
        /// Where.
        address: Ipv4Addr,
    },
    /// Its certificate is not of this platform's authority, or ours is not of its.
    #[error("Talos at {address} belongs to another authority: {why}. Is this the secret bundle it was made with?")]
    WrongAuthority {
        /// Where.
        address: Ipv4Addr,
        /// What happened.
        why: String,
    },
    /// Our role does not suffice.
    #[error("Talos at {address} does not permit this: {why}")]
    PermissionDenied {
        /// Where.
        address: Ipv4Addr,
        /// Its words.
        why: String,
    },
    /// It is not ready for this now.
    #[error("Talos at {address} is not ready for this: {why}; it is tried again")]
    NotReady {
        /// Where.
        address: Ipv4Addr,
        /// Its words.
        why: String,
    },
    /// It does not accept what it was given.
    #[error("Talos at {address} does not accept the request: {why}")]
    Invalid {
        /// Where.
        address: Ipv4Addr,
        /// Its words.
        why: String,
    },
    /// The installer ended with an error; nothing has changed.
    #[error("the installer of Talos at {address} failed: {why}")]
    InstallerFailed {
        /// Where.
        address: Ipv4Addr,
        /// Its last words.
        why: String,
    },
    /// Any other gRPC status.
    #[error("Talos at {address} answered {code}: {why}")]
    Other {
        /// Where.
        address: Ipv4Addr,
        /// The gRPC status code's name.
        code: String,
        /// Its words.
        why: String,
    },
}

impl TalosError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "TalosUnreachable",
            Self::NodeUnreachable { .. } => "TalosNodeUnreachable",
            Self::Unauthenticated { .. } => "TalosUnauthenticated",
            Self::WrongAuthority { .. } => "TalosWrongAuthority",
            Self::PermissionDenied { .. } => "TalosPermissionDenied",
            Self::NotReady { .. } => "TalosNotReady",
            Self::Invalid { .. } => "TalosInvalidRequest",
            Self::InstallerFailed { .. } => "InstallerFailed",
            Self::Other { .. } => "TalosError",
        }
    }
}
