//! What a plan's steps do not say by themselves, and its reader should know before agreeing.

use helix_crds::{PhaseName, ProviderSpec, Retained};
use helix_plan::farewell::Farewell;
use helix_plan::forecast::{Forecast, assumed};
use helix_plan::inside;
use helix_plan::observed::{Fact, Missing};
use helix_plan::step::Step;
use helix_plan::validated::Endpoint;

use crate::sight::{Origin, Sight};

/// What did not answer is told up to this number: where everything is out of reach, a few say enough.
const MOST_UNSEEN: usize = 5;

pub(super) fn notes(sight: &Sight, forecast: &Forecast) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(origin(sight, forecast));
    if sight.is_leaving() {
        notes.push("The platform is being deleted: this is its teardown.".to_owned());
        notes.extend(unproved(sight));
        return notes;
    }
    notes.extend(retained(sight));
    if sight.platform.spec.paused {
        notes.push("spec.paused is true: none of this is done until it is false.".to_owned());
    }
    notes.extend(unseen(sight));
    notes.extend(reach(sight));
    notes.extend(cluster_token(sight));
    notes
}

/// What stays when the platform goes.
fn retained(sight: &Sight) -> Option<String> {
    let words = |retained: &Retained| match retained {
        Retained::Volumes => "its volumes",
        Retained::LoadBalancerIp => "the load balancer that holds the API's address",
    };
    let kept: Vec<&str> = sight.platform.spec.on_delete.retain.iter().map(words).collect();
    let what = kept.join(" and ");
    (!kept.is_empty())
        .then(|| format!("When the platform is deleted, {what} stay, and are billed on (spec.onDelete.retain)."))
}

/// What a teardown leaves where it is for want of a proof.
fn unproved(sight: &Sight) -> Vec<String> {
    let Some(cloud) = sight.observed.cloud.value() else { return Vec::new() };
    let farewell = Farewell::of(&sight.platform, sight.now);
    let told = |(name, why): (String, String)| {
        format!("Stays, because it is not proved to be the platform's: {name} ({why}).")
    };
    inside::unproved(cloud, &farewell).into_iter().map(told).collect()
}

fn origin(sight: &Sight, forecast: &Forecast) -> Vec<String> {
    let versions = &sight.validated.versions;
    let made_up = forecast.items().any(|item| matches!(item.step, Step::CreateServer(_) | Step::CreateNetwork(_)));
    let mut notes = match sight.origin {
        Origin::Nothing => {
            let images = assumed::images(&sight.validated);
            let architectures: Vec<&str> = images.iter().map(|image| image.architecture.as_str()).collect();
            vec![format!(
                "Nothing was looked at: the project is taken to be empty but for a snapshot of Talos v{} for {}. \
                 `--live` plans against what exists.",
                versions.talos,
                architectures.join(" and one for ")
            )]
        }
        Origin::Live { applied: false } => {
            vec![
                "The platform has not been applied to the management cluster: nothing is taken to be its own."
                    .to_owned(),
            ]
        }
        Origin::Live { applied: true } => Vec::new(),
    };
    if made_up {
        notes.push(
            "Ids and addresses of what does not exist yet are made up (192.0.2.0/24, 198.51.100.0/24).".to_owned(),
        );
    }
    notes
}

/// What was asked and did not answer: the forecast takes it to come back.
fn unseen(sight: &Sight) -> Vec<String> {
    let observed = &sight.observed;
    let clusters = [missing(&observed.etcd), missing(&observed.kubernetes)].into_iter().flatten();
    let machines = observed.talos.values().filter_map(missing);
    let told = |missing: &Missing| format!("Not seen, and taken to be well: {missing}.");
    clusters.chain(machines).take(MOST_UNSEEN).map(told).collect()
}

fn missing<T>(fact: &Fact<T>) -> Option<&Missing> {
    match fact {
        Fact::Missing(missing @ (Missing::Unreachable { .. } | Missing::Refused { .. })) => Some(missing),
        Fact::Missing(Missing::NotThereYet) | Fact::Known { .. } => None,
    }
}

/// Who may reach what.
fn reach(sight: &Sight) -> Vec<String> {
    let mut notes = Vec::new();
    match &sight.validated.endpoint {
        Endpoint::LoadBalancer { public: true } => notes.push(
            "The load balancer's port 6443 is open to the world, for Hetzner's firewalls do not guard load balancers; \
             Kubernetes still authenticates every caller. spec.endpoint.public: false keeps it in the private network."
                .to_owned(),
        ),
        Endpoint::LoadBalancer { public: false } => notes.push(
            "The load balancer has only its private interface: callers outside use the control planes' own port 6443, \
             which apiAllowlist guards."
                .to_owned(),
        ),
        Endpoint::Dns { host } => notes.push(format!(
            "The record of {host} is yours to make: it has to lead to the control planes before the API answers there."
        )),
    }
    let allowlist = &sight.validated.api_allowlist;
    if let Some(everybody) = allowlist.iter().find(|range| range.ends_with("/0")) {
        notes.push(format!("apiAllowlist holds {everybody}: the machines' admin ports are open to the world."));
    }
    notes
}

/// The one credential that is written into the workload cluster.
fn cluster_token(sight: &Sight) -> Option<String> {
    let ProviderSpec::Hetzner(hetzner) = &sight.platform.spec.provider;
    if sight.validated.until < PhaseName::SecurityWeave {
        return None;
    }
    let name = hetzner.cluster_token_secret_ref.as_ref().unwrap_or(&hetzner.token_secret_ref);
    Some(format!(
        "With SecurityWeave the token of Secret {} is written into the workload cluster as kube-system/hcloud \
         (spec.provider.hetzner.clusterTokenSecretRef chooses another).",
        name.name
    ))
}
