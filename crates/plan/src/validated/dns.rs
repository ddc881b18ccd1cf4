//! The names of a platform, and who writes their records.

use std::collections::BTreeSet;

use helix_crds::{DnsProvider, HelixPlatformSpec, PhaseName};

use super::{Endpoint, Layers, Rejections};
use crate::components::Component;
use crate::observed::APEX;
use crate::policy::NamePattern;

/// The names of a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// The zone at Hetzner that Helix writes into; none where somebody else writes all records.
    pub zone: Option<String>,
    /// Hosts that lead to the ingress.
    pub ingress: BTreeSet<String>,
    /// The host of the Kubernetes API, where it has a name.
    pub api: Option<String>,
}

impl Dns {
    /// The place of a host in the zone that Helix writes into; `None` for one that somebody else sees to.
    #[must_use]
    pub fn place(&self, host: &str) -> Option<(&str, String)> {
        let zone = self.zone.as_deref()?;
        let name = match host.strip_suffix(zone)? {
            "" => APEX.to_owned(),
            rest => rest.strip_suffix('.').filter(|name| !name.is_empty())?.to_owned(),
        };
        Some((zone, name))
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &String> {
        self.ingress.iter().chain(&self.api)
    }
}

pub(super) fn dns(
    spec: &HelixPlatformSpec,
    endpoint: Option<&Endpoint>,
    layers: Option<&Layers>,
    rejections: &mut Rejections,
) -> Dns {
    let zone = spec.dns.zone.as_deref().filter(|_| spec.dns.provider == DnsProvider::Hetzner);
    let is_name = |zone: &str| NamePattern::parse(zone).is_some_and(|name| !name.is_pattern());
    if let Some(zone) = zone.filter(|zone| !is_name(zone)) {
        rejections.add(
            "spec.dns.zone",
            format!("`{zone}` is no DNS name"),
            "write it in lower case, as in example.com",
        );
    }
    if spec.dns.provider == DnsProvider::Hetzner && zone.is_none() {
        rejections.add(
            "spec.dns.zone",
            "is missing for provider Hetzner",
            "write the zone at Hetzner that the records belong to, as in example.com",
        );
    }
    let published =
        layers.filter(|layers| layers.until >= PhaseName::SecurityWeave && layers.asks_for(Component::Traefik));
    let ingress = published.map(|layers| {
        let own = layers.own_hosts().into_iter().map(|(_, host)| host.to_owned());
        let hosts = own.chain(layers.domains.iter().flatten().map(|domain| domain.host.clone()));
        // What is no name is refused with what would be published under it.
        hosts.filter(|host| is_name(host)).collect()
    });
    let api = match endpoint {
        Some(Endpoint::Dns { host }) => Some(host.clone()),
        Some(Endpoint::LoadBalancer { .. }) | None => None,
    };
    Dns { zone: zone.map(str::to_owned), ingress: ingress.unwrap_or_default(), api }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_zone_have_a_place_in_it() {
        let dns = Dns { zone: Some("example.com".into()), ..Dns::default() };
        let place = |host: &str| dns.place(host).map(|(_, name)| name);
        assert_eq!(place("app.example.com").as_deref(), Some("app"));
        assert_eq!(place("a.b.example.com").as_deref(), Some("a.b"));
        assert_eq!(place("example.com").as_deref(), Some("@"));
        assert_eq!(place("badexample.com"), None);
        assert_eq!(place("example.org"), None);
        assert_eq!(Dns::default().place("example.com"), None);
    }
}
