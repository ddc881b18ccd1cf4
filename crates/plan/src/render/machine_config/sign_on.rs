//! Single sign-on at the Kubernetes API: which claims of an issuer's tokens say who somebody is.
//!
//! Talos 1.13 knows it as arguments of the API server, 1.14 as an authenticator of its authentication configuration; the
//! API server refuses to start with both. Users and groups have a prefix, so that nobody becomes `system:masters` by the
//! name of a group in the sign-on.

use std::collections::BTreeMap;

use serde::Serialize;

/// The claim that is the user's name.
const USER: &str = "preferred_username";
/// The claim that lists the user's groups.
const GROUPS: &str = "groups";
/// What user and groups of the sign-on begin with in the cluster.
pub(crate) const PREFIX: &str = "oidc:";

/// Whom the API server believes about people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedIssuer {
    /// The issuer's URL, to the letter as its tokens have it.
    pub url: String,
    /// For whom its tokens must be.
    pub client_id: String,
}

/// The arguments of an API server, by name without the dashes.
pub(super) fn arguments(issuer: Option<&TrustedIssuer>) -> BTreeMap<&'static str, &str> {
    let Some(TrustedIssuer { url, client_id }) = issuer else { return BTreeMap::new() };
    BTreeMap::from([
        ("oidc-issuer-url", url.as_str()),
        ("oidc-client-id", client_id),
        ("oidc-username-claim", USER),
        ("oidc-username-prefix", PREFIX),
        ("oidc-groups-claim", GROUPS),
        ("oidc-groups-prefix", PREFIX),
    ])
}

/// An authenticator of Kubernetes' authentication configuration.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JwtAuthenticator<'a> {
    issuer: Issuer<'a>,
    claim_mappings: ClaimMappings,
}

#[derive(Serialize)]
struct Issuer<'a> {
    url: &'a str,
    audiences: [&'a str; 1],
}

#[derive(Serialize)]
struct ClaimMappings {
    username: Claim,
    groups: Claim,
}

#[derive(Serialize)]
struct Claim {
    claim: &'static str,
    prefix: &'static str,
}

impl<'a> JwtAuthenticator<'a> {
    pub(super) fn of(issuer: &'a TrustedIssuer) -> Self {
        let claim = |claim| Claim { claim, prefix: PREFIX };
        Self {
            issuer: Issuer { url: &issuer.url, audiences: [&issuer.client_id] },
            claim_mappings: ClaimMappings { username: claim(USER), groups: claim(GROUPS) },
        }
    }
}
