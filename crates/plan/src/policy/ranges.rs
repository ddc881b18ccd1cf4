//! Addresses outside the cluster: ranges with exceptions, from which the metadata address is always excepted.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

/// Hetzner's metadata service, which tells whoever reaches it what a server was made with.
pub const METADATA: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 169, 254), 32);

/// Ranges that are nobody's on the internet.
const PRIVATE: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// Why a range cannot be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangesError {
    /// It is the metadata address itself.
    #[error("{0} is the metadata service of the servers, which no pod may reach; leave it out")]
    Metadata(IpNet),
    /// An exception lies elsewhere.
    #[error("the exception {except} is not within {range}; leave it out")]
    ExceptionElsewhere {
        /// The range.
        range: IpNet,
        /// The exception.
        except: IpNet,
    },
}

/// A range of addresses outside the cluster with exceptions. It never holds the metadata address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranges {
    range: IpNet,
    except: Vec<IpNet>,
}

impl Ranges {
    /// A range without some exceptions; where it holds the metadata address, that is one of them.
    ///
    /// # Errors
    /// [`RangesError`] where nothing would be left, or an exception lies outside.
    pub fn new(range: IpNet, except: impl IntoIterator<Item = IpNet>) -> Result<Self, RangesError> {
        let (range, metadata) = (range.trunc(), IpNet::V4(METADATA));
        if range == metadata {
            return Err(RangesError::Metadata(range));
        }
        let mut except: Vec<IpNet> = except.into_iter().map(|net| net.trunc()).collect();
        if let Some(elsewhere) = except.iter().find(|net| !range.contains(*net)) {
            return Err(RangesError::ExceptionElsewhere { range, except: *elsewhere });
        }
        if range.contains(&metadata) {
            except.push(metadata);
        }
        except.sort();
        except.dedup();
        Ok(Self { range, except })
    }

    /// The internet: every IPv4 address but private ones, the platform's own (which may not be private ones) and the
    /// metadata address. Pods have no IPv6 addresses.
    #[must_use]
    pub fn internet(own: &[Ipv4Net]) -> Self {
        let outside = own.iter().filter(|net| !PRIVATE.iter().any(|private| private.contains(*net)));
        let mut except: Vec<IpNet> =
            PRIVATE.iter().chain(outside).chain([&METADATA]).map(|net| IpNet::V4(net.trunc())).collect();
        except.sort();
        except.dedup();
        Self { range: IpNet::V4(Ipv4Net::default()), except }
    }

    /// The whole range.
    #[must_use]
    pub fn range(&self) -> IpNet {
        self.range
    }

    /// What is left out of it, sorted.
    #[must_use]
    pub fn except(&self) -> &[IpNet] {
        &self.except
    }

    /// Whether the address is meant.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.range.contains(&address) && !self.except.iter().any(|except| except.contains(&address))
    }

    /// Whether every address of a range is meant.
    #[must_use]
    pub fn covers_all(&self, range: IpNet) -> bool {
        let overlaps = |except: &IpNet| except.contains(&range) || range.contains(except);
        self.range.contains(&range) && !self.except.iter().any(overlaps)
    }

    /// The exceptions that go without saying left out, and whether they may be: they are those of [`Self::internet`].
    pub(super) fn without_usual(&self) -> (Vec<IpNet>, bool) {
        let usual = Self::internet(&[]);
        if self.range != usual.range || !usual.except.iter().all(|net| self.except.contains(net)) {
            return (self.except.clone(), false);
        }
        (self.except.iter().copied().filter(|net| !usual.except.contains(net)).collect(), true)
    }

    /// Whether the whole of the internet is meant: exceptions are never a part of it.
    #[must_use]
    pub fn is_internet(&self) -> bool {
        self.range == IpNet::V4(Ipv4Net::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn the_metadata_address_is_never_within() {
        let metadata = "169.254.169.254".parse().unwrap();
        for wide in ["0.0.0.0/0", "169.254.0.0/16", "128.0.0.0/1"] {
            let ranges = Ranges::new(net(wide), []).unwrap();
            assert!(!ranges.covers(metadata), "{wide}");
            assert_eq!(ranges.except(), [net("169.254.169.254/32")]);
        }
        assert!(!Ranges::internet(&[]).covers(metadata));
        assert!(Ranges::new(net("169.254.169.254/32"), []).is_err());
        assert!(Ranges::new(net("198.51.100.0/24"), []).unwrap().except().is_empty());
    }

    #[test]
    fn the_internet_is_not_the_platform() {
        let internet = Ranges::internet(&["10.0.0.0/16".parse().unwrap(), "100.64.0.0/16".parse().unwrap()]);
        let covers = |text: &str| internet.covers(text.parse().unwrap());
        assert!(covers("1.1.1.1") && covers("100.65.0.1"));
        assert!(!covers("10.0.1.1") && !covers("192.168.1.1") && !covers("100.64.0.1"));
        assert!(internet.covers_all(net("198.51.100.0/24")) && internet.is_internet());
        assert!(!internet.covers_all(net("100.64.0.0/12")) && !internet.covers_all(net("10.1.0.0/16")));
        assert!(!Ranges::new(net("0.0.0.0/1"), []).unwrap().is_internet());
    }

    #[test]
    fn an_exception_lies_within() {
        assert!(Ranges::new(net("198.51.100.0/24"), [net("203.0.113.0/24")]).is_err());
        let ranges = Ranges::new(net("198.51.100.7/24"), [net("198.51.100.0/28")]).unwrap();
        assert!(ranges.covers("198.51.100.16".parse().unwrap()) && !ranges.covers("198.51.100.15".parse().unwrap()));
    }
}
