//! The firewall that guards every server from its first packet on: the admin ports only from the allow-list, nothing
//! else from outside. Traffic in the private network does not pass it.

use super::admin_ports::{kept, openness, rules_of};
use super::{Context, Outcome};
use crate::observed::{CloudFacts, Firewall, FirewallRule};
use crate::step::{NewFirewall, Step};
use crate::validated::ValidatedPlatform;

/// Port of Talos' API.
pub const TALOS_PORT: u16 = 50_000;

/// Port of the Kubernetes API.
pub const KUBERNETES_PORT: u16 = 6_443;

/// The platform's firewall.
pub(super) fn of<'a>(context: &Context<'a>) -> Option<&'a Firewall> {
    context.cloud.firewalls.first()
}

/// Inbound rules that admit these sources to the admin ports, sorted; `remark` ends their descriptions.
#[must_use]
pub fn rules_for(sources: &[String], remark: &str) -> Vec<FirewallRule> {
    let mut sources = sources.to_vec();
    sources.sort();
    let admin = |description: &str, port: u16| FirewallRule {
        description: format!("{description}{remark}"),
        protocol: "tcp".to_owned(),
        port: Some(port.to_string()),
        sources: sources.clone(),
    };
    let mut rules = vec![admin("Kubernetes API", KUBERNETES_PORT), admin("Talos API", TALOS_PORT)];
    rules.sort();
    rules
}

/// Whether the platform's firewall, if there is one, admits whom it should, and nobody else.
#[must_use]
pub fn is_as_wanted(platform: &ValidatedPlatform, cloud: &CloudFacts) -> bool {
    cloud.firewalls.first().is_none_or(|firewall| openness(platform, &firewall.rules).is_some())
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let identity = &context.platform.identity;
    let rules = rules_of(context.platform, kept(context));
    match of(context) {
        None => Outcome::step(Step::CreateFirewall(NewFirewall {
            name: identity.base_name(),
            labels: identity.labels(),
            rules,
        })),
        Some(firewall) if sorted(&firewall.rules) == rules => {
            let what = format!("firewall {} admits {} to the admin ports", firewall.name, sources(&rules));
            Outcome::done(what, context.observed.cloud.at())
        }
        Some(firewall) => {
            Outcome::step(Step::SetFirewallRules { firewall: firewall.id, name: firewall.name.clone(), rules })
        }
    }
}

fn sources(rules: &[FirewallRule]) -> String {
    rules.first().map(|rule| rule.sources.join(", ")).unwrap_or_default()
}

/// The rules in an order of their own, because Hetzner keeps that in which they were given.
pub(super) fn sorted(rules: &[FirewallRule]) -> Vec<FirewallRule> {
    let mut rules = rules.to_vec();
    for rule in &mut rules {
        rule.sources.sort();
    }
    rules.sort();
    rules
}
