//! Rules of a firewall: what they look like, and which are refused.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::world::error::{ApiError, ApiResult};

/// A firewall has so many rules.
const MAX_RULES: usize = 50;
/// A rule has so many ranges.
const MAX_RANGES: usize = 100;

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    In,
    /// From the server.
    Out,
}

/// What a rule lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// IPsec ESP.
    Esp,
    /// GRE.
    Gre,
}

impl Protocol {
    /// On the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Esp => "esp",
            Self::Gre => "gre",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// For people.
    pub description: Option<String>,
    /// Which way it looks.
    pub direction: Direction,
    /// From where (inbound).
    pub source_ips: Vec<IpNet>,
    /// To where (outbound).
    pub destination_ips: Vec<IpNet>,
    /// What.
    pub protocol: Protocol,
    /// Port or range, for TCP and UDP.
    pub port: Option<String>,
}

impl Rule {
    fn check(&self) -> ApiResult<()> {
        let invalid = |reason: &str| Err(ApiError::invalid("rules", reason));
        let (used, unused) = match self.direction {
            Direction::In => (&self.source_ips, &self.destination_ips),
            Direction::Out => (&self.destination_ips, &self.source_ips),
        };
        if used.is_empty() || !unused.is_empty() {
            return invalid("an inbound rule needs source_ips, an outbound one destination_ips, and not the other");
        }
        if used.len() > MAX_RANGES {
            return invalid("a rule has at most 100 ranges");
        }
        let has_ports = matches!(self.protocol, Protocol::Tcp | Protocol::Udp);
        match &self.port {
            Some(port) if has_ports && port_range(port).is_none() => invalid("port is not a port or a range of ports"),
            Some(_) if !has_ports => invalid("only tcp and udp have a port"),
            None if has_ports => invalid("tcp and udp need a port"),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn admits_tcp(&self, source: Ipv4Addr, port: u16) -> bool {
        self.direction == Direction::In
            && self.protocol == Protocol::Tcp
            && self.port.as_deref().and_then(port_range).is_some_and(|range| range.contains(&port))
            && self.source_ips.iter().any(|range| range.contains(&IpAddr::V4(source)))
    }
}

/// Reads `80`, `80-90` or `any`.
fn port_range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    if text == "any" {
        return Some(1..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}

/// Refuses what Hetzner refuses.
pub(super) fn check(rules: &[Rule]) -> ApiResult<()> {
    if rules.len() > MAX_RULES {
        return Err(ApiError::invalid("rules", "a firewall has at most 50 rules"));
    }
    rules.iter().try_for_each(Rule::check)
}
