//! The public admin ports: closed to all but Helix itself once the mesh is another way in for people, and opened again
//! when Helix turns out to be shut out by it.
//!
//! How far it has come is read from the firewall alone. Ports that had to be opened again say so, and when, in the
//! descriptions of their rules: they stay open for [`REST`], so that a mistake in `operatorEgress` does not open and
//! close them by turns. [`super::firewall`] and [`super::load_balancer`] keep what this concern has decided.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::firewall::{self, rules_for};
use super::{Context, Outcome, load_balancer};
use crate::observed::{FirewallRule, SetbackKind};
use crate::report::{Block, PortsOpen, Reach, Wait};
use crate::step::Step;
use crate::validated::{Endpoint, ValidatedPlatform};

/// How long ports that had to be opened again stay open.
const REST: SignedDuration = SignedDuration::from_hours(1);

/// What the descriptions of such rules end with, before the time.
const REOPENED: &str = ", opened again ";

/// What the descriptions of rules end with that let Helix alone in.
const CLOSED: &str = ", for Helix alone";

/// How far the admin ports are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openness {
    /// To the allow-list, and to where Helix calls from.
    Open,
    /// The same, because Helix was shut out at that time.
    Reopened(Timestamp),
    /// To where Helix calls from alone.
    Closed,
}

/// How open these rules leave the ports; `None` where they are not rules of Helix' making.
#[must_use]
pub fn openness(platform: &ValidatedPlatform, rules: &[FirewallRule]) -> Option<Openness> {
    let rules = firewall::sorted(rules);
    let marked = rules.first().and_then(|rule| rule.description.split_once(REOPENED)?.1.parse().ok());
    let candidates =
        [Some(Openness::Open), marked.map(Openness::Reopened), may_close(platform).then_some(Openness::Closed)];
    candidates.into_iter().flatten().find(|openness| rules_of(platform, *openness) == rules)
}

/// The rules that leave the ports so open.
#[must_use]
pub fn rules_of(platform: &ValidatedPlatform, openness: Openness) -> Vec<FirewallRule> {
    let open = || {
        let egress = platform.ports.egress.iter().filter(|_| platform.ports.close);
        let all: BTreeSet<&String> = platform.api_allowlist.iter().chain(egress).collect();
        all.into_iter().cloned().collect::<Vec<String>>()
    };
    match openness {
        Openness::Open => rules_for(&open(), ""),
        Openness::Reopened(at) => rules_for(&open(), &format!("{REOPENED}{at:.0}")),
        Openness::Closed => rules_for(&platform.ports.egress, CLOSED),
    }
}

fn may_close(platform: &ValidatedPlatform) -> bool {
    platform.ports.close && !platform.ports.egress.is_empty()
}

/// How open the ports are to be now, as far as they are not to be closed any further: what the firewall has to keep.
pub(super) fn kept(context: &Context<'_>) -> Openness {
    let existing = firewall::of(context).and_then(|firewall| openness(context.platform, &firewall.rules));
    match existing {
        Some(Openness::Closed) if is_shut_out(context) => Openness::Reopened(context.now),
        Some(Openness::Reopened(at)) if !context.platform.ports.close || at + REST <= context.now => Openness::Open,
        Some(openness) => openness,
        None => Openness::Open,
    }
}

/// Whether nobody answers Helix any more, where somebody should: no machine at Talos' API and no API server. Machines that
/// were just told to go down are not missed.
fn is_shut_out(context: &Context<'_>) -> bool {
    let observed = context.observed;
    let expected = |kind: &SetbackKind| *kind == SetbackKind::UnderWay;
    let is_resting = observed.setbacks.iter().any(|it| expected(&it.kind) && it.until > context.now);
    let answers = observed.talos.values().any(|talos| talos.value().is_some()) || observed.kubernetes.value().is_some();
    !answers && !is_resting && !observed.talos.is_empty()
}

/// Whether the ports are closed, and stay so: people come in by the mesh.
pub(super) fn are_closed(context: &Context<'_>) -> bool {
    kept(context) == Openness::Closed
        && firewall::of(context)
            .is_some_and(|firewall| openness(context.platform, &firewall.rules) == Some(Openness::Closed))
}

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let platform = context.platform;
    if !platform.ports.close {
        return Outcome::done("the admin ports are open to apiAllowlist, as asked for", context.observed.cloud.at());
    }
    if platform.ports.egress.is_empty() {
        return Outcome::blocked(Block::Ports(PortsOpen::NoOtherWayIn));
    }
    let Some(firewall) = firewall::of(context) else {
        return Outcome::waiting(Wait::Concern(super::Concern::Firewall));
    };
    let now = openness(platform, &firewall.rules);
    if let Some(Openness::Reopened(since)) = now {
        return Outcome::blocked(Block::Ports(PortsOpen::ShutOut { since, again: since + REST }));
    }
    if !super::mesh::is_ready(context) {
        return Outcome::resting(Wait::Concern(super::Concern::Mesh));
    }
    let Some(proved) = context.observed.way_in else {
        return Outcome::waiting(Wait::Reach(Reach::WayIn));
    };
    if now != Some(Openness::Closed) {
        let (firewall, name) = (firewall.id, firewall.name.clone());
        return Outcome::step(Step::SetFirewallRules { firewall, name, rules: rules_of(platform, Openness::Closed) });
    }
    if let Endpoint::LoadBalancer { public: true } = platform.endpoint
        && load_balancer::of(context).is_some_and(|balancer| balancer.public)
    {
        return Outcome::waiting(Wait::Concern(super::Concern::LoadBalancer));
    }
    let what = format!("the admin ports admit {} alone, from where Helix calls", platform.ports.egress.join(", "));
    Outcome::done(what, Some(proved))
}
