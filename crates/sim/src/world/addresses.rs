//! Addresses: a loopback block that stands for the public internet, and private addresses out of a network's subnets.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// A block 127.x.0.0/16: what this world has for public addresses. A sandbox leases one by a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoopbackBlock(u8);

impl LoopbackBlock {
    /// The blocks that a sandbox may lease: not 127.0.0.0/16, where everything else on the machine listens.
    pub const LEASABLE: std::ops::RangeInclusive<u8> = 64..=254;

    /// 127.`second`.0.0/16.
    #[must_use]
    pub const fn new(second: u8) -> Self {
        Self(second)
    }

    /// The second octet.
    #[must_use]
    pub const fn second_octet(self) -> u8 {
        self.0
    }

    /// Whether `address` lies in the block.
    #[must_use]
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        let [first, second, ..] = address.octets();
        first == 127 && second == self.0
    }

    fn address(self, number: u16) -> Ipv4Addr {
        let [third, fourth] = number.to_be_bytes();
        Ipv4Addr::new(127, self.0, third, fourth)
    }
}

impl Default for LoopbackBlock {
    fn default() -> Self {
        Self(*Self::LEASABLE.start())
    }
}

/// Public addresses: who has one keeps it, and a freed one is given out again only after all others.
#[derive(Clone, Debug)]
pub struct PublicAddresses {
    block: LoopbackBlock,
    taken: BTreeSet<Ipv4Addr>,
    next: u16,
}

impl PublicAddresses {
    pub(super) fn new(block: LoopbackBlock) -> Self {
        Self { block, taken: BTreeSet::new(), next: 1 }
    }

    /// The next free address; `None` when all 65,000 are taken.
    pub(super) fn take(&mut self) -> Option<Ipv4Addr> {
        for _ in 0..u16::MAX {
            let address = self.block.address(self.next);
            self.next = self.next.checked_add(1).unwrap_or(1);
            let [.., fourth] = address.octets();
            if !matches!(fourth, 0 | 255) && self.taken.insert(address) {
                return Some(address);
            }
        }
        None
    }

    pub(super) fn free(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address);
    }
}

/// The address that the public interface's gateway has, everywhere.
pub const PUBLIC_GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);

/// Whether the range lies in RFC 1918's.
#[must_use]
pub fn is_private(range: Ipv4Net) -> bool {
    let ranges = [
        Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
        Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
        Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    ];
    ranges.iter().any(|private| private.contains(&range))
}

/// The first host address, which a network keeps for its gateway.
#[must_use]
pub fn first_host(range: Ipv4Net) -> Ipv4Addr {
    range.hosts().next().unwrap_or(range.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_unique_and_reused_last() {
        let mut addresses = PublicAddresses::new(LoopbackBlock::new(77));
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(127, 77, 0, 1));
        addresses.free(first);
        assert_eq!(addresses.take().unwrap(), Ipv4Addr::new(127, 77, 0, 2));
        let all: BTreeSet<Ipv4Addr> = (0..600).map(|_| addresses.take().unwrap()).collect();
        assert_eq!(all.len(), 600);
        assert!(all.iter().all(|address| LoopbackBlock::new(77).contains(*address)));
    }

    #[test]
    fn private_ranges_are_those_of_rfc_1918() {
        for (text, private) in
            [("10.0.0.0/16", true), ("172.31.0.0/24", true), ("172.32.0.0/24", false), ("8.8.8.0/24", false)]
        {
            assert_eq!(is_private(text.parse().unwrap()), private, "{text}");
        }
    }
}
