//! Parties and ports as people write them, for `helix policy check`. A pod is written as the matrix prints it.

use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use super::names::is_label;
use super::{NamePattern, Node, Party, Port, Protocol};

/// A word that is no party or no port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Nobody that a policy knows.
    #[error(
        "`{given}` is nobody{hint}; write pods as shop/ or shop/app=web,tier=front, a machine as node, own-node (the \
         one on which the pod runs) or apiserver, and what is outside as an address, a range of them, a DNS name or \
         internet"
    )]
    Party {
        /// What was written.
        given: String,
        /// What it seems to be meant for, with a leading colon or comma; may be empty.
        hint: String,
    },
    /// No port.
    #[error("`{0}` is no port; write it as 443, 443/TCP or 53/UDP")]
    Port(String),
}

impl FromStr for Party {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Some(node) = Node::ALL.into_iter().find(|node| node.as_str() == text) {
            return Ok(Self::Node(node));
        }
        if text == Self::INTERNET {
            return Ok(Self::Internet);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Ok(range) = text.parse::<IpNet>() {
            return Ok(Self::Range(range.trunc()));
        }
        if let Some((namespace, labels)) = text.split_once('/') {
            return pod(namespace, labels).ok_or_else(|| nobody(text, String::new()));
        }
        match NamePattern::parse(&text.to_ascii_lowercase()) {
            Some(name) if name.is_pattern() => Err(nobody(text, ": ask for one name at a time".to_owned())),
            Some(name) => Ok(Self::Name(name.as_str().to_owned())),
            None if is_label(text) => Err(nobody(text, format!(", its pods are `{text}/`"))),
            None => Err(nobody(text, String::new())),
        }
    }
}

fn nobody(given: &str, hint: String) -> ParseError {
    ParseError::Party { given: given.to_owned(), hint }
}

fn pod(namespace: &str, labels: &str) -> Option<Party> {
    if !is_label(namespace) {
        return None;
    }
    let is_word = |text: &str, more: &[u8]| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) || more.contains(&byte))
    };
    let label = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let good = !key.is_empty() && is_word(key, b"/") && is_word(value, b"");
        good.then(|| (key.to_owned(), value.to_owned()))
    };
    let labels = labels.split(',').filter(|_| !labels.is_empty()).map(label);
    Some(Party::Pod { namespace: namespace.to_owned(), labels: labels.collect::<Option<_>>()? })
}

impl FromStr for Port {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::Port(text.to_owned());
        let (number, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
        let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let protocol = known.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(protocol));
        let number = number.parse().ok().filter(|number| *number != 0).ok_or_else(wrong)?;
        Ok(Self { number, protocol: protocol.ok_or_else(wrong)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Pods;

    #[test]
    fn a_pod_is_read_as_it_is_printed() {
        let printed = Pods::of("shop").with("app", "web").with("tier", "front").to_string();
        let Party::Pod { namespace, labels } = printed.parse().unwrap() else { panic!("it is a pod") };
        assert_eq!(Pods { namespace, labels }.to_string(), printed);
    }

    #[test]
    fn the_others_are_told_apart() {
        let party = |text: &str| text.parse::<Party>();
        assert_eq!(party("apiserver"), Ok(Party::Node(Node::ControlPlane)));
        assert_eq!(party("169.254.169.254"), Ok(Party::Address("169.254.169.254".parse().unwrap())));
        assert_eq!(party("198.51.100.7/24"), Ok(Party::Range("198.51.100.0/24".parse().unwrap())));
        assert_eq!(party("internet"), Ok(Party::Internet));
        assert_eq!(party("API.stripe.com"), Ok(Party::Name("api.stripe.com".to_owned())));
        for text in ["shop/", "shop/app=web,tier=front", "node", "10.0.0.0/8", "1.1.1.1", "internet", "example.com"] {
            assert_eq!(party(text).unwrap().to_string(), text);
        }
        for wrong in
            ["", "Shop/", "shop/app", "shop/app=web,", "/app=web", "shop/=web", "shop/a=b c", "a b", "10.0.0.0/33"]
        {
            let told = party(wrong).unwrap_err().to_string();
            assert!(told.starts_with(&format!("`{wrong}` is nobody; write pods as shop/")), "{told}");
        }
        assert!(party("shop").unwrap_err().to_string().starts_with("`shop` is nobody, its pods are `shop/`"));
        assert!(party("*.example.com").unwrap_err().to_string().contains("one name at a time"));
    }

    #[test]
    fn a_port_has_a_protocol() {
        let udp = Port { number: 53, protocol: Protocol::Udp };
        assert_eq!("53/udp".parse(), Ok(udp));
        assert_eq!("443".parse::<Port>().unwrap().to_string(), "443/TCP");
        for wrong in ["0", "70000", "http", "53/ICMP"] {
            assert!(wrong.parse::<Port>().is_err(), "{wrong}");
        }
    }
}
