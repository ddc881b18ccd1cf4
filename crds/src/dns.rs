//! Names and certificates: who writes the DNS records, and the account for Let's Encrypt.
//!
//! Domains themselves are listed with the ingress.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who writes the DNS records of the platform's domains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.provider != 'Hetzner' || has(self.zone)")
    .message("provider Hetzner needs the zone to write into: write for example {provider: Hetzner, zone: example.com}"))]
pub struct Dns {
    /// `Hetzner` (Helix owns the records that it labels) or `Manual` (Helix waits for them). Default: `Manual`. Example:
    /// `Hetzner`.
    #[serde(default)]
    pub provider: DnsProvider,
    /// The zone that the records belong to. Default: none. Example: `example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub zone: Option<String>,
}

/// Who writes DNS records: `Hetzner` or `Manual`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DnsProvider {
    /// You do; Helix says which are missing and waits.
    #[default]
    Manual,
    /// Helix does, at Hetzner.
    Hetzner,
}

/// The account for certificates by ACME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acme {
    /// Address that the authority writes to about expiry. Required. Example: `ops@example.com`.
    #[schemars(length(min = 3, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[^@ ]+@[^@ ]+$')")
        .message("is not a mail address: write for example ops@example.com"))]
    pub email: String,
    /// URL of the authority's directory. Default: `https://acme-v02.api.letsencrypt.org/directory`. Example:
    /// `https://acme-staging-v02.api.letsencrypt.org/directory`.
    #[serde(default = "default_acme_server")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("isURL(self)")
        .message("is not a URL: write the authority's directory, for example https://acme-v02.api.letsencrypt.org/directory"))]
    pub server: String,
}

fn default_acme_server() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}
