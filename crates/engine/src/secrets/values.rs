//! The values of the Secrets that components need: copied from where they are, or made once and kept.

use std::collections::BTreeMap;

use helix_plan::components::{SecretKey, SecretValue, SecretWanted};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::SecretState;
use helix_plan::secrets::{Secret, SecretBundle};
use jiff::{SignedDuration, Timestamp};

use super::SecretMakerError;
use crate::seams::{Seams, SecretData, StoreError, WorkloadError, WorkloadRoute};

/// How long a certificate must still be good for.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Where values come from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) seams: &'a Seams,
    pub(crate) platform: &'a PlatformIdentity,
    pub(crate) route: &'a WorkloadRoute,
    /// The name of the platform's network at Hetzner.
    pub(crate) network: Option<&'a str>,
}

/// Why the values of a Secret are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Maker(#[from] SecretMakerError),
    /// What it is made of is not there.
    #[error("{source_name} is not there")]
    WithoutSource {
        source_name: String,
        /// Whether the user has to bring it.
        users: bool,
    },
}

/// What a key is to hold.
enum Wish {
    /// Just this.
    Is(Secret),
    /// Whatever it holds, if it holds anything.
    Kept,
}

impl Sources<'_> {
    /// Whether a Secret is as it should be.
    pub(crate) async fn state(&self, wanted: &SecretWanted, now: Timestamp) -> Result<SecretState, Trouble> {
        let found = self.found(wanted).await?;
        let mut state = SecretState::AsWanted;
        for key in &wanted.keys {
            let wish = match self.wish(key).await {
                Ok(wish) => wish,
                Err(Trouble::WithoutSource { source_name: source, users }) => {
                    return Ok(SecretState::WithoutSource { source, users });
                }
                Err(trouble) => return Err(trouble),
            };
            let held = found.get(key.key);
            let good = match wish {
                Wish::Is(value) => held.is_some_and(|held| held.expose() == value.expose()),
                Wish::Kept => held.is_some_and(|held| self.is_good(key, held, now)),
            };
            if !good {
                state = SecretState::Differs;
            }
        }
        Ok(state)
    }

    /// Makes a Secret's values what they should be; what was made before is kept.
    pub(crate) async fn data(
        &self,
        wanted: &SecretWanted,
        bundle: &SecretBundle,
        now: Timestamp,
    ) -> Result<SecretData, Trouble> {
        let found = self.found(wanted).await?;
        let good = |key: &SecretKey| found.get(key.key).is_some_and(|held| self.is_good(key, held, now));
        let whole = wanted.keys.iter().all(good);
        let hubble = if whole { None } else { self.hubble(wanted, bundle, now)? };
        let mut data = BTreeMap::new();
        for key in &wanted.keys {
            let kept = found.get(key.key).filter(|held| !held.expose().is_empty()).cloned();
            let value = match (self.wish(key).await?, &key.value, &hubble) {
                (Wish::Is(value), ..) => value,
                // Certificate, key and authority belong together: all are new, or none is.
                (Wish::Kept, SecretValue::HubbleAuthority, Some((authority, ..))) => authority.clone(),
                (Wish::Kept, SecretValue::HubbleCertificate { .. }, Some((_, certificate, _))) => certificate.clone(),
                (Wish::Kept, SecretValue::HubbleKey, Some((_, _, key))) => key.clone(),
                (Wish::Kept, SecretValue::Random { characters }, _) => match kept {
                    Some(kept) => kept,
                    None => self.seams.secrets.make_password(*characters)?,
                },
                (Wish::Kept, ..) => match kept {
                    Some(kept) => kept,
                    None => continue,
                },
            };
            data.insert(key.key.to_owned(), value);
        }
        Ok(data)
    }

    /// Whether what a key holds may stay: it holds something, and a certificate that still counts for long enough.
    fn is_good(&self, key: &SecretKey, held: &Secret, now: Timestamp) -> bool {
        match &key.value {
            SecretValue::HubbleCertificate { .. } => {
                let end = self.seams.secrets.end_of_certificate(held.expose());
                end.is_some_and(|end| end > now + RENEW_BEFORE)
            }
            _ => !held.expose().is_empty(),
        }
    }

    async fn found(&self, wanted: &SecretWanted) -> Result<SecretData, WorkloadError> {
        let found = self.seams.objects.secret(self.route, wanted.namespace, &wanted.name).await?;
        Ok(found.unwrap_or_default())
    }

    async fn wish(&self, key: &SecretKey) -> Result<Wish, Trouble> {
        Ok(Wish::Is(match &key.value {
            SecretValue::Random { .. }
            | SecretValue::HubbleAuthority
            | SecretValue::HubbleCertificate { .. }
            | SecretValue::HubbleKey => return Ok(Wish::Kept),
            SecretValue::Plain(text) => Secret::new(text.clone()),
            SecretValue::NetworkName => {
                let missing =
                    || Trouble::WithoutSource { source_name: "the platform's network".to_owned(), users: false };
                Secret::new(self.network.ok_or_else(missing)?.to_owned())
            }
            SecretValue::Users { name, key, .. } => {
                let found = self.seams.store.users_secret(self.platform, name).await?;
                pick(found, &self.platform.namespace, name, key, true)?
            }
            SecretValue::Component { namespace, name, key } => self.components_own(namespace, name, key).await?,
            SecretValue::RedisUrl { address, namespace, name } => {
                let password = self.components_own(namespace, name, "password").await?;
                Secret::new(format!("redis://:{}@{address}", password.expose()))
            }
        }))
    }

    async fn components_own(&self, namespace: &str, name: &str, key: &str) -> Result<Secret, Trouble> {
        let found = self.seams.objects.secret(self.route, namespace, name).await?;
        pick(found, namespace, name, key, false)
    }

    /// Authority, certificate and key, if the Secret is one with a certificate of Hubble's.
    fn hubble(
        &self,
        wanted: &SecretWanted,
        bundle: &SecretBundle,
        now: Timestamp,
    ) -> Result<Option<(Secret, Secret, Secret)>, SecretMakerError> {
        let asked = wanted.keys.iter().find_map(|key| match &key.value {
            SecretValue::HubbleCertificate { names, client } => Some((names, *client)),
            _ => None,
        });
        let Some((names, client)) = asked else { return Ok(None) };
        let issued = self.seams.secrets.issue_hubble_certificate(bundle, names, client, now)?;
        Ok(Some((Secret::new(issued.authority), Secret::new(issued.certificate), issued.key)))
    }
}

fn pick(found: Option<SecretData>, namespace: &str, name: &str, key: &str, users: bool) -> Result<Secret, Trouble> {
    let value = found.and_then(|mut data| data.remove(key)).filter(|value| !value.expose().is_empty());
    value
        .ok_or_else(|| Trouble::WithoutSource { source_name: format!("key {key} of Secret {namespace}/{name}"), users })
}
