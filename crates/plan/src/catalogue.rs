//! What can be bought at Hetzner, where and for how much: from its API, or, where there is no token, from a dated table.

mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul};

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use table::dated_table;

/// An amount of money per month: euros, net of VAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EurMonthly(Decimal);

impl EurMonthly {
    /// An amount in euros.
    #[must_use]
    pub fn new(euros: Decimal) -> Self {
        Self(euros)
    }

    /// An amount in cents.
    #[must_use]
    pub fn from_cents(cents: i64) -> Self {
        Self(Decimal::new(cents, 2))
    }

    /// The amount in euros.
    #[must_use]
    pub fn euros(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for EurMonthly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} EUR", self.0)
    }
}

impl Add for EurMonthly {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Mul<u32> for EurMonthly {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self(self.0 * Decimal::from(times))
    }
}

impl Sum for EurMonthly {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

/// Where prices and types come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    /// Hetzner's API, for this token.
    Api {
        /// When it was read.
        at: Timestamp,
    },
    /// The table in this program.
    Table {
        /// The day on which it was true.
        of: Date,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api { at } => write!(f, "Hetzner's API, read at {at}"),
            Self::Table { of } => write!(f, "Helix' built-in price table of {of} (no token was used)"),
        }
    }
}

/// Processor architectures, in Hetzner's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86, `amd64` in Talos' words.
    X86,
    /// 64-bit ARM, `arm64` in Talos' words.
    Arm,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86",
            Self::Arm => "arm",
        })
    }
}

/// A server type in one location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Price per month, without the primary IPv4.
    pub monthly: EurMonthly,
    /// Whether it can be ordered now, as far as Hetzner says; capacity may still be missing.
    pub available: bool,
    /// From when on it can no longer be ordered, if that has been announced.
    pub unavailable_after: Option<Timestamp>,
}

/// A server type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerType {
    /// Its architecture.
    pub architecture: Architecture,
    /// Virtual processors.
    pub cores: u32,
    /// Memory in GB.
    pub memory_gb: u32,
    /// Local disk in GB.
    pub disk_gb: u32,
    /// By name of location.
    pub offers: BTreeMap<String, Offer>,
}

/// Everything that can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Catalogue {
    /// Where this comes from.
    pub source: Source,
    /// Network zone by name of location.
    pub locations: BTreeMap<String, String>,
    /// Server types by name.
    pub server_types: BTreeMap<String, ServerType>,
    /// Price of a load balancer by type.
    pub load_balancers: BTreeMap<String, EurMonthly>,
    /// Price of a primary IPv4 address.
    pub primary_ipv4: EurMonthly,
    /// Price of one GB of a volume.
    pub volume_gb: EurMonthly,
}

impl Catalogue {
    /// The offer of a type in a location.
    #[must_use]
    pub fn offer(&self, server_type: &str, location: &str) -> Option<&Offer> {
        self.server_types.get(server_type)?.offers.get(location)
    }

    /// What one server costs per month, its primary IPv4 included.
    #[must_use]
    pub fn server_monthly(&self, server_type: &str, location: &str) -> Option<EurMonthly> {
        self.offer(server_type, location).map(|offer| offer.monthly + self.primary_ipv4)
    }
}
