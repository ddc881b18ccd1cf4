//! What Hetzner sells, where and for how much: the simulator's own small table.
//!
//! Sizes and net prices in the EU as of 2026-06-15 (`server-types-2026.json` of the reference data). Prices elsewhere are
//! not known, so nothing is sold there. What is sold out or retired is a fault (`faults.rs`), not a change of this table.

use super::money::Money;

/// A site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Hetzner's number.
    pub id: u64,
    /// As in `fsn1`.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// City.
    pub city: &'static str,
    /// Which private networks reach it.
    pub network_zone: &'static str,
    /// Micro-degrees of latitude and longitude.
    pub position: (i32, i32),
}

/// The sites.
pub const LOCATIONS: &[Location] = &[
    site(1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", "eu-central", (50_476_120, 12_370_071)),
    site(2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", "eu-central", (49_452_102, 11_076_665)),
    site(3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", "eu-central", (60_169_855, 24_938_379)),
    site(4, "ash", "Ashburn, VA", "US", "Ashburn, VA", "us-east", (39_045_821, -77_487_073)),
    site(5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", "us-west", (45_542_220, -122_951_924)),
    site(6, "sin", "Singapore", "SG", "Singapore", "ap-southeast", (1_283_333, 103_833_333)),
];

const fn site(
    id: u64,
    name: &'static str,
    description: &'static str,
    country: &'static str,
    city: &'static str,
    network_zone: &'static str,
    position: (i32, i32),
) -> Location {
    Location { id, name, description, country, city, network_zone, position }
}

/// The instruction set of a server type or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// amd64.
    X86,
    /// arm64.
    Arm,
}

impl Architecture {
    /// In Hetzner's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::Arm => "arm",
        }
    }
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerType {
    /// Hetzner's number.
    pub id: u64,
    /// As in `cax11`.
    pub name: &'static str,
    /// Its instruction set.
    pub architecture: Architecture,
    /// `shared` or `dedicated` processors.
    pub dedicated: bool,
    /// Virtual processors.
    pub cores: u32,
    /// Memory in GB.
    pub memory_gb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
    /// Net price per month.
    pub monthly: Money,
}

impl ServerType {
    /// Net price per hour.
    #[must_use]
    pub fn hourly(&self) -> Money {
        self.monthly.hourly()
    }

    /// The locations that sell it.
    pub fn locations(&self) -> impl Iterator<Item = &'static Location> {
        LOCATIONS.iter().filter(|location| location.network_zone == "eu-central")
    }

    /// Whether `location` sells it.
    #[must_use]
    pub fn is_sold_in(&self, location: &str) -> bool {
        self.locations().any(|candidate| candidate.name == location)
    }

    /// Hetzner's marketing category.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match (self.dedicated, self.name.starts_with("cpx")) {
            (true, _) => "General Purpose",
            (false, true) => "Regular Performance",
            (false, false) => "Cost-Optimized",
        }
    }
}

use Architecture::{Arm, X86};

/// The server types, all orderable.
pub const SERVER_TYPES: &[ServerType] = &[
    shared(114, "cx23", X86, (2, 4, 40), 54_900),
    shared(115, "cx33", X86, (4, 8, 80), 84_900),
    shared(116, "cx43", X86, (8, 16, 160), 159_900),
    shared(117, "cx53", X86, (16, 32, 320), 294_900),
    shared(45, "cax11", Arm, (2, 4, 40), 59_900),
    shared(93, "cax21", Arm, (4, 8, 80), 104_900),
    shared(94, "cax31", Arm, (8, 16, 160), 209_900),
    shared(95, "cax41", Arm, (16, 32, 320), 409_900),
    shared(108, "cpx12", X86, (1, 2, 40), 114_900),
    shared(109, "cpx22", X86, (2, 4, 80), 194_900),
    shared(110, "cpx32", X86, (4, 8, 160), 354_900),
    shared(111, "cpx42", X86, (8, 16, 320), 694_900),
    shared(112, "cpx52", X86, (12, 24, 480), 1_004_900),
    shared(113, "cpx62", X86, (16, 32, 640), 1_299_900),
    dedicated(96, "ccx13", (2, 8, 80), 429_900),
    dedicated(97, "ccx23", (4, 16, 160), 859_900),
    dedicated(98, "ccx33", (8, 32, 240), 1_384_900),
    dedicated(99, "ccx43", (16, 64, 360), 2_759_900),
    dedicated(100, "ccx53", (32, 128, 600), 5_334_900),
    dedicated(101, "ccx63", (48, 192, 960), 8_534_900),
];

type Size = (u32, u32, u32);

const fn shared(id: u64, name: &'static str, architecture: Architecture, size: Size, monthly: u64) -> ServerType {
    let (cores, memory_gb, disk_gb) = size;
    let monthly = Money::ten_thousandths(monthly);
    ServerType { id, name, architecture, dedicated: false, cores, memory_gb, disk_gb, monthly }
}

const fn dedicated(id: u64, name: &'static str, size: Size, monthly: u64) -> ServerType {
    ServerType { dedicated: true, ..shared(id, name, X86, size, monthly) }
}

/// A kind of load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadBalancerType {
    /// Hetzner's number.
    pub id: u64,
    /// As in `lb11`.
    pub name: &'static str,
    /// Services it may have.
    pub max_services: usize,
    /// Targets it may have.
    pub max_targets: usize,
    /// Connections at a time.
    pub max_connections: u32,
    /// Certificates it may have.
    pub max_certificates: u32,
    /// Net price per month.
    pub monthly: Money,
}

/// The load balancer types whose price is known.
pub const LOAD_BALANCER_TYPES: &[LoadBalancerType] = &[LoadBalancerType {
    id: 1,
    name: "lb11",
    max_services: 5,
    max_targets: 25,
    max_connections: 10_000,
    max_certificates: 10,
    monthly: Money::ten_thousandths(74_900),
}];

/// Net price per month of a primary IPv4 address; IPv6 is free.
pub const IPV4_MONTHLY: Money = Money::ten_thousandths(5_000);
/// Net price of a GB of volume per month.
pub const VOLUME_GB_MONTHLY: Money = Money::ten_thousandths(572);
/// Net price of a GB of snapshot per month.
pub const IMAGE_GB_MONTHLY: Money = Money::ten_thousandths(143);
/// Net price of a TB of traffic beyond what is included.
pub const TRAFFIC_TB: Money = Money::ten_thousandths(10_000);
/// Traffic that comes with a server or a load balancer, in bytes.
pub const INCLUDED_TRAFFIC_BYTES: u64 = 20 * 1_000_000_000_000;
/// Added to the price of a server with backups, in percent.
pub const BACKUP_PERCENT: u32 = 20;

/// A location by its name or its number.
#[must_use]
pub fn location(name_or_id: &str) -> Option<&'static Location> {
    LOCATIONS.iter().find(|location| location.name == name_or_id || location.id.to_string() == name_or_id)
}

/// A server type by its name or its number.
#[must_use]
pub fn server_type(name_or_id: &str) -> Option<&'static ServerType> {
    SERVER_TYPES.iter().find(|kind| kind.name == name_or_id || kind.id.to_string() == name_or_id)
}

/// A load balancer type by its name or its number.
#[must_use]
pub fn load_balancer_type(name_or_id: &str) -> Option<&'static LoadBalancerType> {
    LOAD_BALANCER_TYPES.iter().find(|kind| kind.name == name_or_id || kind.id.to_string() == name_or_id)
}
