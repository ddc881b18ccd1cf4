//! Parties and ports as people write them, for `helix policy check`. A pod is written as the matrix prints it.

use std::collections::BTreeMap;
use std::str::FromStr;

use thiserror::Error;

use super::{Node, Party, Port, Protocol};

/// A word that is no party or no port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Nobody that a policy knows.
    #[error(
        "`{0}` is nobody; write pods as shop or shop[app=web], a machine as own-machine, machine or control-plane, or \
         an address or DNS name outside"
    )]
    Party(String),
    /// No port.
    #[error("`{0}` is no port; write it as 443 or 53/UDP")]
    Port(String),
}

impl FromStr for Party {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let nobody = || ParseError::Party(text.to_owned());
        match text {
            "own-machine" => return Ok(Self::Node(Node::Own)),
            "machine" => return Ok(Self::Node(Node::Other)),
            "control-plane" => return Ok(Self::Node(Node::ControlPlane)),
            _ => {}
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (namespace, labels) = match text.split_once('[') {
            Some((namespace, rest)) => (namespace, rest.strip_suffix(']').ok_or_else(nobody)?),
            // No namespace has a dot in its name, and every name outside has one.
            None if text.contains('.') => return Ok(Self::Name(text.to_owned())),
            None => (text, ""),
        };
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if namespace.is_empty() || !namespace.bytes().all(inner) {
            return Err(nobody());
        }
        let label = |part: &str| {
            let (key, value) = part.split_once('=').ok_or_else(nobody)?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let labels = labels.split(',').filter(|part| !part.is_empty()).map(label);
        let labels: BTreeMap<String, String> = labels.collect::<Result<_, ParseError>>()?;
        Ok(Self::Pod { namespace: namespace.to_owned(), labels })
    }
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
        assert_eq!(party("control-plane"), Ok(Party::Node(Node::ControlPlane)));
        assert_eq!(party("169.254.169.254"), Ok(Party::Address("169.254.169.254".parse().unwrap())));
        assert_eq!(party("api.stripe.com"), Ok(Party::Name("api.stripe.com".to_owned())));
        for wrong in ["", "Shop", "shop[app]", "shop[app=web", "[app=web]"] {
            assert_eq!(party(wrong), Err(ParseError::Party(wrong.to_owned())), "{wrong}");
        }
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
