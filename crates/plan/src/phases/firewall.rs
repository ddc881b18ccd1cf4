//! The firewall that guards every server from its first packet on: the admin ports only from the allow-list, nothing
//! else from outside. Traffic in the private network does not pass it.

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

/// The inbound rules that the platform wants, sorted.
#[must_use]
pub fn wanted_rules(allowlist: &[String]) -> Vec<FirewallRule> {
    let mut sources = allowlist.to_vec();
    sources.sort();
    let admin = |description: &str, port: u16| FirewallRule {
        description: description.to_owned(),
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
    cloud.firewalls.first().is_none_or(|firewall| sorted(&firewall.rules) == wanted_rules(&platform.api_allowlist))
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let identity = &context.platform.identity;
    let rules = wanted_rules(&context.platform.api_allowlist);
    match of(context) {
        None => Outcome::step(Step::CreateFirewall(NewFirewall {
            name: identity.base_name(),
            labels: identity.labels(),
            rules,
        })),
        Some(firewall) if sorted(&firewall.rules) == rules => {
            let what = format!("firewall {} admits {} to the admin ports", firewall.name, sources(context));
            Outcome::done(what, context.observed.cloud.at())
        }
        Some(firewall) => {
            Outcome::step(Step::SetFirewallRules { firewall: firewall.id, name: firewall.name.clone(), rules })
        }
    }
}

fn sources(context: &Context<'_>) -> String {
    context.platform.api_allowlist.join(", ")
}

/// The rules in an order of their own, because Hetzner keeps that in which they were given.
fn sorted(rules: &[FirewallRule]) -> Vec<FirewallRule> {
    let mut rules = rules.to_vec();
    for rule in &mut rules {
        rule.sources.sort();
    }
    rules.sort();
    rules
}
