//! DNS names and patterns of them, as Cilium reads them.
//!
//! Only a leading `*.` is a pattern here. Cilium knows more, but not every version the same.

use std::fmt;

/// A DNS name, or all names one label below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern(String);

impl NamePattern {
    /// Reads `example.com` or `*.example.com`, in lower case, without a final dot; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const LONGEST_NAME: usize = 253;
        let name = text.strip_prefix("*.").unwrap_or(text);
        let good = name.len() <= LONGEST_NAME && name.contains('.') && name.split('.').all(is_label);
        good.then(|| Self(text.to_owned()))
    }

    /// The host of a URL, as in `https://host:port/path`; `None` where it is an address or no name.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
        if is_address { None } else { Self::parse(&host.to_ascii_lowercase()) }
    }

    /// All names one label below this one; itself where it is such a pattern.
    #[must_use]
    pub fn below(&self) -> Self {
        if self.is_pattern() { self.clone() } else { Self(format!("*.{}", self.0)) }
    }

    /// Whether it stands for more than one name.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is one of those meant. As in Cilium a `*` stands for characters of one label.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        match self.0.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => name == self.0,
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether it is one label of a DNS name in lower case, as names of namespaces are.
pub(super) fn is_label(label: &str) -> bool {
    const LONGEST_LABEL: usize = 63;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_are_read() {
        for good in ["example.com", "*.wikipedia.org", "a-1.example.com"] {
            assert_eq!(NamePattern::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "*", "com", "*.*.org", "ex ample.com", "-a.org", "Example.com", "a..b", "example.com."] {
            assert_eq!(NamePattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_star_is_one_label() {
        let pattern = NamePattern::parse("*.wikipedia.org").unwrap();
        assert!(pattern.covers("en.wikipedia.org") && pattern.covers("EN.wikipedia.org."));
        assert!(!pattern.covers("wikipedia.org") && !pattern.covers("en.m.wikipedia.org"));
        assert!(!NamePattern::parse("example.com").unwrap().covers("www.example.com"));
    }

    #[test]
    fn the_host_of_a_url_is_found() {
        let host = |url: &str| NamePattern::of_url(url).map(|name| name.0);
        assert_eq!(host("https://api.netbird.io:443/x").as_deref(), Some("api.netbird.io"));
        assert_eq!(host("ssh://git@GitHub.com/acme/p.git").as_deref(), Some("github.com"));
        assert_eq!(host("https://10.0.0.1/x"), None);
    }
}
