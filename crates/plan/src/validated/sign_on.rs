//! Whether the Kubernetes API trusts the platform's own sign-on.

use helix_crds::{HelixPlatformSpec, PhaseName};

use crate::components::{Component, kubernetes_issuer};
use crate::policy::NamePattern;
use crate::render::machine_config::TrustedIssuer;

/// The sign-on's provider, where it is asked for and is ever installed. A host that is no name is refused with the phase
/// that publishes it, and must not end up in a machine's configuration.
pub(super) fn trusted_issuer(spec: &HelixPlatformSpec) -> Option<TrustedIssuer> {
    let authentik = spec.security_weave.as_ref()?.authentik.as_ref()?;
    let is_off = spec.components.get(Component::Authentik.name()).is_some_and(|found| !found.enabled);
    let is_name = NamePattern::parse(&authentik.host).is_some_and(|name| !name.is_pattern());
    let wanted = authentik.oidc.kubernetes && spec.until_phase >= PhaseName::SecurityWeave;
    (wanted && is_name && !is_off).then(|| kubernetes_issuer(&authentik.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(weave: serde_json::Value, until: &str) -> Option<TrustedIssuer> {
        let spec = serde_json::json!({
            "untilPhase": until,
            "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["203.0.113.7/32"]}},
            "controlPlane": {"placements": [{"serverType": "cax11", "location": "fsn1"}]},
            "securityWeave": weave,
        });
        trusted_issuer(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn the_sign_on_is_trusted_where_it_is_asked_for() {
        let weave = |host: &str, kubernetes: bool| serde_json::json!({"authentik": {"host": host, "oidc": {"kubernetes": kubernetes}}});
        let found = issuer(weave("sso.example.com", true), "AiAgentic").unwrap();
        assert_eq!(found.url, "https://sso.example.com/application/o/kubernetes/");
        assert_eq!(issuer(weave("sso.example.com", false), "AiAgentic"), None);
        assert_eq!(issuer(weave("sso.example.com", true), "ImmutableSubstrate"), None, "nobody answers there");
        assert_eq!(issuer(weave("sso example com", true), "AiAgentic"), None);
        assert_eq!(issuer(serde_json::json!({}), "AiAgentic"), None);
    }
}
