//! Why the public admin ports stay open though they are to close.

use std::fmt;

use jiff::Timestamp;

/// What keeps the ports open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortsOpen {
    /// Nothing says from where Helix calls.
    NoOtherWayIn,
    /// They were closed, and Helix was shut out.
    ShutOut {
        /// When they were opened again.
        since: Timestamp,
        /// When they may be closed again.
        again: Timestamp,
    },
}

impl PortsOpen {
    /// A stable word for conditions and metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoOtherWayIn => "NoOtherWayIn",
            Self::ShutOut { .. } => "ShutOutByFirewall",
        }
    }
}

impl fmt::Display for PortsOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOtherWayIn => f.write_str(
                "the admin ports stay open: nothing says from where Helix itself calls, so closing them would shut it out. \
                 Write its addresses into spec.provider.hetzner.operatorEgress, or set \
                 securityWeave.netbird.closePublicAdminPorts: false",
            ),
            Self::ShutOut { since, again } => write!(
                f,
                "the admin ports were closed to all but spec.provider.hetzner.operatorEgress, and no machine answered any \
                 more: they were opened again at {since:.0}. Correct operatorEgress to the addresses that Helix really calls \
                 from; the next try is at {again:.0}"
            ),
        }
    }
}
