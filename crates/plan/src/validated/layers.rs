//! The phases above the machines, as they are wanted: network and sign-on, GitOps, data, AI.
//!
//! What is refused here must not stop a platform whose machines are fine: it is told by the components that it concerns,
//! and the rest goes on. It judges the resource alone; whether a chart exists, a Secret is there or a value's key is known
//! is found out when the phase is built.

mod data;
mod domains;
mod flows;
mod overrides;

use std::collections::BTreeMap;

use helix_crds::{
    Acme, ArgoCd, Authentik, Cilium, ComponentOverride, GitOps, HelixPlatform, IngressDomain, LangGraph, Longhorn,
    Netbird, Ollama, PhaseName, Postgres, ProviderSpec, Redis,
};

use super::{Network, Rejections, Versions, identity, network, versions};
use crate::components::Component;
use crate::names::PlatformIdentity;
use crate::policy::{Flow, NamePattern, Ranges};

/// What runs in the cluster, as it is wanted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Layers {
    /// Which platform this is.
    pub identity: PlatformIdentity,
    /// The last phase that is asked for.
    pub until: PhaseName,
    /// What runs on the machines.
    pub versions: Versions,
    /// The private network.
    pub network: Network,
    /// URL of Hetzner's API.
    pub hetzner_api: String,
    /// The Secret with the token that the cluster gets, and its key.
    pub cluster_token: (String, String),
    /// The location in which control planes are preferred.
    pub location: String,
    /// Image factory schematic of the machines.
    pub schematic: String,
    /// How many machines there are at least.
    pub machines: u32,
    /// The pod network.
    pub cilium: Cilium,
    /// What the user allows on top of what components declare.
    pub allowed: Vec<Flow>,
    /// The mesh.
    pub netbird: Option<Netbird>,
    /// Whether there is ingress, and for which domains of the user's.
    pub domains: Option<Vec<IngressDomain>>,
    /// The account for certificates.
    pub acme: Option<Acme>,
    /// Single sign-on.
    pub authentik: Option<Authentik>,
    /// Argo CD and what belongs to it.
    pub gitops: Option<GitOps>,
    /// Replicated volumes.
    pub longhorn: Option<Longhorn>,
    /// The user's PostgreSQL clusters.
    pub postgres: Vec<Postgres>,
    /// The user's Redis instances.
    pub redis: Vec<Redis>,
    /// Models.
    pub ollama: Option<Ollama>,
    /// Agents.
    pub langgraph: Option<LangGraph>,
    /// Whether there is a browser for agents, and which names it may reach.
    pub browser: Option<Vec<NamePattern>>,
    /// Overrides of the catalogue.
    pub overrides: BTreeMap<Component, ComponentOverride>,
}

impl Layers {
    /// Judges a resource.
    ///
    /// # Errors
    /// [`Rejections`]: every field that cannot be acted on, with the reason and what to write instead.
    pub fn new(platform: &HelixPlatform) -> Result<Self, Rejections> {
        let (layers, rejections) = Self::judge(platform)?;
        rejections.into_result(layers)
    }

    /// Judges a resource, and takes what is good of it beside what is refused.
    ///
    /// # Errors
    /// [`Rejections`], where not even the machines can be as specified.
    pub(super) fn judge(platform: &HelixPlatform) -> Result<(Self, Rejections), Rejections> {
        let mut rejections = Rejections::default();
        let read = Self::read(platform, &mut rejections);
        let Some(layers) = read else { return Err(rejections) };
        domains::check(&layers, platform.spec.dns.zone.as_deref(), &mut rejections);
        data::check(&layers, &platform.spec, &mut rejections);
        overrides::check(&layers, &mut rejections);
        Ok((layers, rejections))
    }

    fn read(platform: &HelixPlatform, rejections: &mut Rejections) -> Option<Self> {
        let spec = &platform.spec;
        let ProviderSpec::Hetzner(hetzner) = &spec.provider;
        let weave = spec.security_weave.clone().unwrap_or_default();
        let data = spec.data.clone().unwrap_or_default();
        let ai = spec.ai.clone().unwrap_or_default();
        let workers = spec.worker_pools.iter().map(|pool| pool.replicas.unwrap_or_default());
        let machines = workers.fold(spec.control_plane.replicas, u32::saturating_add);
        let versions = versions::validate(&spec.versions, rejections);
        let network = network::validate(&hetzner.network, machines, rejections);
        let overrides = overrides::read(&spec.components, rejections);
        let browser = ai.steel_browser.map(|browser| flows::browser(&browser.egress_allow, rejections));
        let (versions, network) = (versions?, network?);
        let allowed = flows::read(&weave.default_deny.allow, &network, rejections);
        let token = hetzner.cluster_token_secret_ref.as_ref().unwrap_or(&hetzner.token_secret_ref);
        Some(Self {
            identity: identity(platform, rejections),
            until: spec.until_phase,
            versions,
            hetzner_api: hetzner.endpoint.clone(),
            cluster_token: (token.name.clone(), token.key.clone()),
            location: spec.control_plane.placements.first().map(|found| found.location.clone()).unwrap_or_default(),
            schematic: hetzner.image.schematic.clone(),
            machines,
            cilium: weave.cilium,
            allowed,
            netbird: weave.netbird,
            domains: weave.ingress.map(|ingress| ingress.domains),
            acme: spec.acme.clone(),
            authentik: weave.authentik,
            gitops: spec.gitops.clone(),
            longhorn: data.longhorn,
            postgres: data.postgres,
            redis: data.redis,
            ollama: ai.ollama,
            langgraph: ai.langgraph,
            browser,
            overrides,
            network,
        })
    }

    /// Whether the specification itself asks for a component. Others may come because something needs them.
    #[must_use]
    pub fn asks_for(&self, component: Component) -> bool {
        let off = self.overrides.get(&component).is_some_and(|found| !found.enabled);
        !off && (component.entry().asked)(self)
    }

    /// The internet, as a pod of this platform sees it.
    #[must_use]
    pub fn internet(&self) -> Ranges {
        Ranges::internet(&[self.network.cidr, self.network.pods, self.network.services])
    }

    /// Two of what should go on without one machine, where there is a second machine.
    #[must_use]
    pub fn spare_replicas(&self) -> u32 {
        self.machines.clamp(1, 2)
    }

    /// Argo CD, where it is asked for.
    #[must_use]
    pub fn argocd(&self) -> Option<&ArgoCd> {
        self.gitops.as_ref().map(|gitops| &gitops.argocd)
    }

    /// The platform's own pages that are reached through the ingress: fields and host names.
    #[must_use]
    pub fn own_hosts(&self) -> Vec<(&'static str, &str)> {
        let authentik = self.authentik.as_ref().map(|found| ("spec.securityWeave.authentik.host", found.host.as_str()));
        let argocd = self.argocd().and_then(|found| found.host.as_deref());
        let argocd = argocd.map(|host| ("spec.gitops.argocd.host", host));
        authentik.into_iter().chain(argocd).collect()
    }
}

#[cfg(test)]
mod tests;
