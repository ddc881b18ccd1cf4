//! What to write so that a call is allowed, or why nothing can be written. Whether it is wise is not judged.

use helix_crds::{AllowedFlow, FlowPeer, FlowPort, FlowProtocol};
use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use super::{METADATA, Party, Port, Protocol};

/// Why no field allows a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoRemedy {
    /// To the metadata service.
    #[error("no field allows it: 169.254.169.254 is the metadata service of the servers, which no pod may reach")]
    Metadata,
    /// With a machine.
    #[error("no field allows it: flows with machines and the Kubernetes API are declared by components alone")]
    Machine,
    /// Within the cluster's own ranges.
    #[error(
        "no field allows it: it is an address of the cluster's own, which means nothing for long; ask for the namespace \
         and labels of the pods"
    )]
    OwnAddress,
    /// From a name.
    #[error("no field allows it: a caller cannot be told by a name; ask for its address")]
    NameCalls,
}

/// The entry of `spec.securityWeave.defaultDeny.allow` that allows a call, where `own` are the ranges of pods and
/// services.
///
/// # Errors
/// [`NoRemedy`] where there is none.
pub fn remedy(from: &Party, to: &Party, port: Port, own: &[Ipv4Net]) -> Result<AllowedFlow, NoRemedy> {
    if matches!(from, Party::Name(_)) {
        return Err(NoRemedy::NameCalls);
    }
    let protocol = match port.protocol {
        Protocol::Tcp => FlowProtocol::Tcp,
        Protocol::Udp => FlowProtocol::Udp,
        Protocol::Sctp => FlowProtocol::Sctp,
    };
    Ok(AllowedFlow {
        from: peer(from, own)?,
        to: peer(to, own)?,
        ports: vec![FlowPort { port: port.number, protocol }],
    })
}

fn peer(party: &Party, own: &[Ipv4Net]) -> Result<FlowPeer, NoRemedy> {
    match party {
        Party::Pod { namespace, labels } => {
            Ok(FlowPeer { namespace: Some(namespace.clone()), pod_labels: labels.clone(), ..FlowPeer::default() })
        }
        Party::Node(_) => Err(NoRemedy::Machine),
        Party::Address(address) => range((*address).into(), own),
        Party::Range(range_of) => range(*range_of, own),
        Party::Internet => {
            Ok(FlowPeer { cidr: Some(IpNet::V4(Ipv4Net::default()).to_string()), ..FlowPeer::default() })
        }
        Party::Name(name) => Ok(FlowPeer { fqdn: Some(name.clone()), ..FlowPeer::default() }),
    }
}

fn range(range: IpNet, own: &[Ipv4Net]) -> Result<FlowPeer, NoRemedy> {
    if own.iter().any(|own| IpNet::V4(*own).contains(&range)) {
        return Err(NoRemedy::OwnAddress);
    }
    if range.contains(&IpNet::V4(METADATA)) {
        // A range that holds it is never allowed as a whole.
        return Err(NoRemedy::Metadata);
    }
    Ok(FlowPeer { cidr: Some(range.to_string()), ..FlowPeer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components;
    use crate::validated::Layers;

    /// The minimal platform with one more entry.
    fn layers(allowed: Option<AllowedFlow>) -> Layers {
        let text = include_str!("../../../../manifests/examples/minimal.yaml");
        let mut platform: helix_crds::HelixPlatform = serde_saphyr::from_str(text).unwrap();
        let mut weave = platform.spec.security_weave.take().unwrap_or_default();
        weave.default_deny.allow.extend(allowed);
        platform.spec.security_weave = Some(weave);
        Layers::new(&platform).unwrap_or_else(|rejections| panic!("{rejections}"))
    }

    fn party(text: &str) -> Party {
        text.parse().unwrap()
    }

    const OWN: [Ipv4Net; 2] = [
        Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 244, 0, 0), 16),
        Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 96, 0, 0), 12),
    ];

    #[test]
    fn what_is_to_be_written_allows_just_that() {
        let port: Port = "5432/TCP".parse().unwrap();
        for (from, to) in [
            ("shop/app=web", "postgres/"),
            ("shop/", "api.stripe.com"),
            ("198.51.100.7", "shop/app=web"),
            ("shop/", "198.51.100.0/24"),
            ("shop/", "internet"),
            ("internet", "shop/"),
        ] {
            let (from, to) = (party(from), party(to));
            let allows = |layers: &Layers, from, to| components::matrix(layers).allows(from, to, port).is_allowed();
            assert!(!allows(&layers(None), &from, &to), "{from} to {to}");
            let allowed = layers(Some(remedy(&from, &to, port, &OWN).unwrap()));
            assert!(allows(&allowed, &from, &to), "{from} to {to}");
            assert!(!allows(&allowed, &to, &from), "{to} to {from}");
        }
    }

    #[test]
    fn what_no_field_allows_has_its_reason() {
        let port: Port = "80".parse().unwrap();
        for (from, to, why) in [
            ("shop/", "169.254.169.254", NoRemedy::Metadata),
            ("shop/", "169.254.0.0/16", NoRemedy::Metadata),
            ("shop/", "10.244.3.3", NoRemedy::OwnAddress),
            ("shop/", "apiserver", NoRemedy::Machine),
            ("node", "shop/", NoRemedy::Machine),
            ("example.com", "shop/", NoRemedy::NameCalls),
        ] {
            assert_eq!(remedy(&party(from), &party(to), port, &OWN), Err(why), "{from} to {to}");
        }
    }
}
