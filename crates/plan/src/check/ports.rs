//! Rows about the admin ports.

use std::collections::BTreeSet;

use super::{Subject, steps};
use crate::observed::{CloudFacts, FirewallRule, StoreFacts};
use crate::step::Step;
use crate::validated::{Endpoint, ValidatedPlatform};

/// Only the allow-list, and what Helix calls from where that is to be let in besides.
pub(super) fn guarded(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let Some(platform) = subject.platform else { return Vec::new() };
    let rules = |step: &Step| match step {
        Step::CreateFirewall(new) => new.rules.clone(),
        Step::SetFirewallRules { rules, .. } => rules.clone(),
        _ => Vec::new(),
    };
    let permitted = |source: &String| {
        platform.api_allowlist.contains(source) || platform.ports.close && platform.ports.egress.contains(source)
    };
    steps(subject)
        .flat_map(|step| rules(step).into_iter().map(move |rule| (step, rule)))
        .flat_map(|(step, rule)| rule.sources.into_iter().map(move |source| (step, source)))
        .filter(|(_, source)| !permitted(source))
        .map(|(step, source)| format!("{step} admits {source}, which is not in apiAllowlist"))
        .collect()
}

/// Whether rules leave somebody of the allow-list out.
fn are_narrow(platform: &ValidatedPlatform, rules: &[FirewallRule]) -> bool {
    rules.is_empty() || rules.iter().any(|rule| platform.api_allowlist.iter().any(|it| !rule.sources.contains(it)))
}

/// Nobody of the allow-list is left out before there is a proof of another way in, and then Helix itself is let in; the load
/// balancer loses its public interface after that alone.
pub(super) fn narrowed_only_when_proved(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let Some(platform) = subject.platform else { return Vec::new() };
    let egress: BTreeSet<&String> = platform.ports.egress.iter().collect();
    let asked = platform.ports.close && !egress.is_empty();
    let lets_helix_in = |rules: &[FirewallRule]| {
        !rules.is_empty() && rules.iter().all(|rule| egress.iter().all(|source| rule.sources.contains(source)))
    };
    let is_proved = subject.observed.way_in.is_some() && subject.observed.mesh.value().is_some();
    let already = cloud.firewalls.iter().any(|firewall| are_narrow(platform, &firewall.rules));
    let violation = |step: &Step| match step {
        Step::CreateFirewall(new) => are_narrow(platform, &new.rules).then(|| format!("{step} leaves somebody out")),
        Step::SetFirewallRules { rules, .. } if are_narrow(platform, rules) => {
            (!asked || !lets_helix_in(rules) || !is_proved && !already)
                .then(|| format!("{step} leaves somebody out without a proof of another way in"))
        }
        Step::SetLoadBalancerPublic { public: false, .. }
            if platform.endpoint == (Endpoint::LoadBalancer { public: true }) =>
        {
            (!asked || !already).then(|| format!("{step} while nothing else is closed"))
        }
        _ => None,
    };
    steps(subject).filter_map(violation).collect()
}
