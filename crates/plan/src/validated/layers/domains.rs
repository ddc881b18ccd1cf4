//! Host names: each once, each with somebody who vouches for its visitors or says that nobody does, and a certificate.

use std::collections::BTreeMap;

use helix_crds::IngressAuth;

use super::Layers;
use crate::policy::NamePattern;
use crate::validated::Rejections;

pub(super) fn check(layers: &Layers, zone: Option<&str>, rejections: &mut Rejections) {
    let hosts = hosts(layers);
    listed_once(&hosts, rejections);
    for (field, host) in &hosts {
        if NamePattern::parse(host).is_none_or(|name| name.is_pattern()) {
            rejections.add(
                field,
                format!("`{host}` is no DNS name"),
                "write it in lower case without scheme and port, as in app.example.com",
            );
        }
    }
    for (index, domain) in layers.domains.iter().flatten().enumerate() {
        if domain.auth == IngressAuth::ForwardAuth && layers.authentik.is_none() {
            rejections.add(
                format!("spec.securityWeave.ingress.domains[{index}].auth"),
                format!("{} is only for who is signed on, but nothing signs anybody on", domain.host),
                "write securityWeave.authentik, or auth: None to let everybody through",
            );
        }
    }
    if let (None, Some((field, host))) = (&layers.acme, layers.own_hosts().first()) {
        rejections.add(
            *field,
            format!("{host} needs a certificate, and there is no account to get one with"),
            "write acme: {email: ops@example.com}",
        );
    }
    under_a_domain(layers, zone, rejections);
    if let Some(netbird) = &layers.netbird
        && netbird.management_url.trim_end_matches('/') != "https://api.netbird.io"
    {
        rejections.not_implemented(
            "spec.securityWeave.netbird.managementUrl",
            "a management service of one's own, for which the chart of NetBird's operator has no setting,",
            "write https://api.netbird.io",
        );
    }
}

/// All host names with their fields.
fn hosts(layers: &Layers) -> Vec<(String, String)> {
    let domains = layers.domains.iter().flatten().enumerate();
    let domains =
        domains.map(|(index, domain)| (format!("spec.securityWeave.ingress.domains[{index}].host"), &domain.host));
    let domains = domains.map(|(field, host)| (field, host.clone()));
    let own = layers.own_hosts().into_iter().map(|(field, host)| (field.to_owned(), host.to_owned()));
    own.chain(domains).collect()
}

fn listed_once(hosts: &[(String, String)], rejections: &mut Rejections) {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    for (field, host) in hosts {
        if let Some(earlier) = first.get(&host.to_ascii_lowercase()) {
            rejections.add(
                field,
                format!("{host} is already the host of {earlier}"),
                "list each host once, or give one of the two another name",
            );
        } else {
            first.insert(host.to_ascii_lowercase(), field);
        }
    }
}

/// The sign-on's and Argo CD's pages belong to the platform's domains: in another zone nobody would write their records,
/// and a browser would not take the sign-on's cookie along.
fn under_a_domain(layers: &Layers, zone: Option<&str>, rejections: &mut Rejections) {
    let parents = layers.domains.iter().flatten().filter_map(|domain| domain.host.split_once('.'));
    let parents: Vec<&str> = match zone {
        Some(zone) => vec![zone],
        None => parents.map(|(_, parent)| parent).collect(),
    };
    if parents.is_empty() {
        return;
    }
    for (field, host) in layers.own_hosts() {
        let is_under = |parent: &str| host.strip_suffix(parent).is_some_and(|name| name.ends_with('.'));
        if !parents.iter().any(|parent| is_under(parent)) {
            let parents = parents.join(", ");
            rejections.add(
                field,
                format!("{host} is not under a domain of the platform ({parents})"),
                format!("write a host under {}", parents.split(", ").next().unwrap_or_default()),
            );
        }
    }
}
