//! The component catalogue: everything that Helix installs in a cluster, one entry and one file each.
//!
//! An entry says where a component comes from, with which values, what it needs, whom it may talk to and how its health
//! is read. To add one: a file beside the others with its [`Entry`], and a line in `catalogue!`. Order and phase are
//! derived from what an entry needs, never listed. Nothing is fetched or rendered here, and no digest is made up: what
//! a chart's digest is, is found out by whoever fetches it, and is then an observed fact.

mod argo_cd;
mod authentik;
mod caches;
mod cert_manager;
mod cilium;
mod cloudnative_pg;
mod databases;
mod devtron;
mod entry;
mod hcloud_ccm;
mod hcloud_csi;
mod kube_prometheus_stack;
mod langgraph;
mod longhorn;
mod manifests;
mod nearest;
mod netbird_operator;
mod ollama;
mod order;
mod redis_operator;
mod secrets;
mod steel_browser;
mod traefik;
pub mod values;
mod weave;

use serde::{Serialize, Serializer};

pub use argo_cd::applications::ROOT as ROOT_APPLICATION;
pub(crate) use argo_cd::applications::applications;
pub use authentik::kubernetes_issuer;
pub use entry::{Chart, Digest, Entry, Home, PodSecurity, Probe, Question, Source, Supports};
pub use manifests::{Stage, Writer, digest, images, is_exposed, manifests, stage, writer};
pub(crate) use nearest::distance;
pub use nearest::nearest;
pub use ollama::{ModelsUntold, lacking_models};
pub use order::{Wanted, WantedChart, asked, talos_extensions, wanted};
pub use secrets::{SecretKey, SecretValue, SecretWanted};
pub use weave::{matrix, namespaces};

/// Makes the closed enumeration of components, and the way from each to its entry.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $component:ident => $module:ident,)*) => {
        /// A component of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Component {
            $($(#[$doc])* $component,)*
        }

        impl Component {
            /// All components, in no order that means anything.
            pub const ALL: &[Self] = &[$(Self::$component,)*];

            /// What is known of it.
            #[must_use]
            pub fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$component => &$module::ENTRY,)*
                }
            }
        }
    };
}

catalogue! {
    /// Argo CD.
    ArgoCd => argo_cd,
    /// Authentik: single sign-on.
    Authentik => authentik,
    /// The user's Redis instances.
    Caches => caches,
    /// cert-manager.
    CertManager => cert_manager,
    /// Cilium: the pod network and its policies.
    Cilium => cilium,
    /// CloudNativePG: the operator of PostgreSQL clusters.
    CloudNativePg => cloudnative_pg,
    /// The user's PostgreSQL clusters.
    Databases => databases,
    /// Devtron.
    Devtron => devtron,
    /// Hetzner's cloud controller manager.
    HcloudCcm => hcloud_ccm,
    /// Hetzner's volumes.
    HcloudCsi => hcloud_csi,
    /// Prometheus, Alertmanager and Grafana.
    KubePrometheusStack => kube_prometheus_stack,
    /// LangGraph: the user's agents.
    LangGraph => langgraph,
    /// Longhorn: replicated volumes.
    Longhorn => longhorn,
    /// The operator of NetBird, the mesh.
    NetbirdOperator => netbird_operator,
    /// Ollama: models.
    Ollama => ollama,
    /// The operator of Redis.
    RedisOperator => redis_operator,
    /// Steel Browser: a browser for agents.
    SteelBrowser => steel_browser,
    /// Traefik: ingress.
    Traefik => traefik,
}

impl Component {
    /// Its name in `spec.components`, and that of its Helm release.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The component of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|component| component.name() == name)
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
