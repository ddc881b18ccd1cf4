//! The Secrets that components need: which, and where each value comes from. Never a value itself.

/// A Secret in the workload cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretWanted {
    /// Its namespace.
    pub namespace: &'static str,
    /// Its name.
    pub name: String,
    /// Its keys.
    pub keys: Vec<SecretKey>,
}

impl SecretWanted {
    pub(super) fn new(namespace: &'static str, name: impl Into<String>, keys: Vec<SecretKey>) -> Self {
        Self { namespace, name: name.into(), keys }
    }
}

/// One key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The key.
    pub key: &'static str,
    /// Where its value comes from.
    pub value: SecretValue,
}

impl SecretKey {
    pub(super) fn new(key: &'static str, value: SecretValue) -> Self {
        Self { key, value }
    }
}

/// Where a secret value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretValue {
    /// Random, made once and kept.
    Random {
        /// How many letters and digits.
        characters: u8,
    },
    /// Copied from a Secret of the platform's namespace. Without it the component is blocked, the rest goes on.
    Users {
        /// Name of the Secret.
        name: String,
        /// Its key.
        key: String,
        /// What the component needs it for.
        purpose: &'static str,
    },
    /// Copied from a Secret that another component makes in the workload cluster.
    Component {
        /// Its namespace.
        namespace: &'static str,
        /// Its name.
        name: String,
        /// Its key.
        key: &'static str,
    },
    /// The name of the platform's network at Hetzner: no secret, but read from the same place as the token.
    NetworkName,
    /// Certificate of the authority that Helix keeps for Hubble.
    HubbleAuthority,
    /// A certificate by that authority.
    HubbleCertificate {
        /// DNS names, the first of which is the subject.
        names: Vec<String>,
        /// Whether it is for one who calls, else for one who is called.
        client: bool,
    },
    /// The private key of the certificate in the same Secret.
    HubbleKey,
    /// A text without anything secret, which the component wants in a Secret.
    Plain(String),
    /// The URL of a Redis instance, with the password that a Secret holds.
    RedisUrl {
        /// Host and port.
        address: String,
        /// Namespace of the Secret with the password under `password`.
        namespace: &'static str,
        /// Name of that Secret.
        name: String,
    },
}
