//! The administrator's kubeconfig and talosconfig: stored where the user looks for them, renewed before they end. Where the
//! public admin ports are closed they lead into the private network, to which the mesh leads.

use jiff::SignedDuration;

use super::{Context, Outcome, admin_ports, servers};
use crate::endpoints::{api_endpoints, machine_endpoint};
use crate::observed::CredentialFacts;
use crate::report::Wait;
use crate::step::Step;

/// How long a certificate must still be good for.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let Some(bundle) = &context.store.bundle else {
        return Outcome::resting(Wait::Concern(super::Concern::SecretBundle));
    };
    let closed = admin_ports::are_closed(context);
    let kubernetes = match closed {
        true => machine_endpoint(context.platform, context.cloud).into_iter().collect(),
        false => api_endpoints(context.platform, context.cloud).for_clients(),
    };
    let public = |machine| {
        let server = context.server_of(machine)?;
        let address = if closed { context.cloud.private_ipv4(&server.private) } else { server.public_ipv4 };
        Some(address?.to_string())
    };
    let talos: Vec<String> = servers::control_planes(context).iter().filter_map(public).collect();
    if kubernetes.is_empty() || talos.len() < context.platform.control_plane.replicas as usize {
        return Outcome::resting(Wait::Concern(super::Concern::Servers));
    }
    let good = |stored: &Option<CredentialFacts>, endpoints: &[String]| {
        stored.as_ref().is_some_and(|facts| {
            facts.endpoints == endpoints
                && facts.bundle_digest == bundle.digest
                && facts.expires_at > context.now + RENEW_BEFORE
        })
    };
    let mut steps = Vec::new();
    if !good(&context.store.kubeconfig, &kubernetes) {
        steps.push(Step::StoreKubeconfig { endpoints: kubernetes });
    }
    if !good(&context.store.talosconfig, &talos) {
        steps.push(Step::StoreTalosconfig { endpoints: talos });
    }
    if steps.is_empty() {
        return Outcome::done("kubeconfig and talosconfig are stored", context.observed.store.at());
    }
    Outcome::steps(steps)
}
