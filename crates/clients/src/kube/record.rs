//! Between facts and the content of a Secret. No I/O.

use std::collections::BTreeMap;

use helix_crds::labels;
use helix_engine::seams::{StoreError, StoredClientConfig};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, CredentialFacts, RestoreRecord};
use helix_plan::secrets::{Rotation, Secret as Text, SecretBundle};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::names;

/// What is kept beside a client configuration, so that nobody has to parse it to know it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    endpoints: Vec<String>,
    expires_at: Timestamp,
    bundle_digest: String,
}

/// The bundle as a Secret that nobody can change, only delete.
pub(super) fn of_bundle(platform: &PlatformIdentity, bundle: &SecretBundle) -> Result<Secret, StoreError> {
    let name = names::bundle(platform);
    let text = bundle.to_yaml().map_err(|error| corrupt(&name, error.to_string()))?;
    Ok(secret(platform, name, &[(names::BUNDLE_KEY, text.expose())], true))
}

pub(super) fn of_bootstrap(platform: &PlatformIdentity, record: &BootstrapRecord) -> Result<Secret, StoreError> {
    let name = names::bootstrap(platform);
    let text = serde_json::to_string(record).map_err(|_| corrupt(&name, "it cannot be written".to_owned()))?;
    Ok(secret(platform, name, &[(names::BOOTSTRAP_KEY, &text)], true))
}

pub(super) fn of_restore(platform: &PlatformIdentity, record: &RestoreRecord) -> Result<Secret, StoreError> {
    let name = names::restore(platform);
    let text = serde_json::to_string(record).map_err(|_| corrupt(&name, "it cannot be written".to_owned()))?;
    Ok(secret(platform, name, &[(names::RESTORE_KEY, &text)], false))
}

pub(super) fn read_restore(stored: &Secret) -> Result<RestoreRecord, StoreError> {
    serde_json::from_str(text(stored, names::RESTORE_KEY)?)
        .map_err(|error| corrupt(name(stored), format!("`{}`: {error}", names::RESTORE_KEY)))
}

/// A rotation as a Secret in which the next stage takes the place of the one before.
pub(super) fn of_rotation(platform: &PlatformIdentity, rotation: &Rotation) -> Result<Secret, StoreError> {
    let name = names::rotation(platform);
    let text = rotation.to_json().map_err(|error| corrupt(&name, error.to_string()))?;
    Ok(secret(platform, name, &[(names::ROTATION_KEY, text.expose())], false))
}

pub(super) fn of_client_config(platform: &PlatformIdentity, config: &StoredClientConfig) -> Result<Secret, StoreError> {
    let name = names::client_config(platform, config.kind);
    let facts = Facts {
        endpoints: config.facts.endpoints.clone(),
        expires_at: config.facts.expires_at,
        bundle_digest: config.facts.bundle_digest.clone(),
    };
    let facts = serde_json::to_string(&facts).map_err(|_| corrupt(&name, "it cannot be written".to_owned()))?;
    let data = [(names::CLIENT_CONFIG_KEY, config.text.expose()), (names::FACTS_KEY, &facts)];
    Ok(secret(platform, name, &data, false))
}

pub(super) fn read_bundle(stored: &Secret) -> Result<SecretBundle, StoreError> {
    let text = Text::new(text(stored, names::BUNDLE_KEY)?);
    SecretBundle::from_yaml(text.expose()).map_err(|error| corrupt(name(stored), error.to_string()))
}

pub(super) fn read_bootstrap(stored: &Secret) -> Result<BootstrapRecord, StoreError> {
    serde_json::from_str(text(stored, names::BOOTSTRAP_KEY)?)
        .map_err(|error| corrupt(name(stored), format!("`{}`: {error}", names::BOOTSTRAP_KEY)))
}

pub(super) fn read_rotation(stored: &Secret) -> Result<Rotation, StoreError> {
    let read = Rotation::from_json(text(stored, names::ROTATION_KEY)?);
    read.map_err(|error| corrupt(name(stored), error.to_string()))
}

/// `None` where the facts are not readable: the configuration can be made anew, so it is taken as absent.
pub(super) fn read_client_config(stored: &Secret) -> Option<CredentialFacts> {
    let facts: Facts = serde_json::from_str(text(stored, names::FACTS_KEY).ok()?).ok()?;
    let Facts { endpoints, expires_at, bundle_digest } = facts;
    Some(CredentialFacts { endpoints, expires_at, bundle_digest })
}

/// Refuses a Secret that has our name and is not ours.
///
/// Its name alone does not make it ours: a user may have made it, or a platform of this name that was deleted by force
/// and whose servers may still run.
pub(super) fn must_be_ours(platform: &PlatformIdentity, stored: &Secret) -> Result<(), StoreError> {
    if is_ours(platform, stored) {
        return Ok(());
    }
    let why = format!("it does not carry this platform's label {}={}", labels::PLATFORM_UID, platform.uid);
    Err(corrupt(name(stored), why))
}

pub(super) fn is_ours(platform: &PlatformIdentity, stored: &Secret) -> bool {
    let uid = stored.metadata.labels.as_ref().and_then(|labels| labels.get(labels::PLATFORM_UID));
    uid == Some(&platform.uid)
}

/// How errors speak of a Secret.
pub(super) fn words(name: &str) -> String {
    format!("Secret {name}")
}

fn corrupt(name: &str, why: String) -> StoreError {
    StoreError::Corrupt { what: words(name), why }
}

fn name(stored: &Secret) -> &str {
    stored.metadata.name.as_deref().unwrap_or_default()
}

fn text<'a>(stored: &'a Secret, key: &str) -> Result<&'a str, StoreError> {
    let data = stored.data.as_ref().and_then(|data| data.get(key));
    let bytes = data.ok_or_else(|| corrupt(name(stored), format!("it has no key `{key}`")))?;
    std::str::from_utf8(&bytes.0).map_err(|_| corrupt(name(stored), format!("`{key}` is not text")))
}

/// No owner reference: what is stored must outlive the platform object until the teardown is complete.
fn secret(platform: &PlatformIdentity, name: String, data: &[(&str, &str)], immutable: bool) -> Secret {
    let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(platform.namespace.clone()),
            labels: Some(names::owner_labels(platform)),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data.iter().map(entry).collect::<BTreeMap<_, _>>()),
        immutable: immutable.then_some(true),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use helix_engine::seams::ClientConfigKind;

    use super::*;

    fn platform(uid: &str) -> PlatformIdentity {
        PlatformIdentity { namespace: "helix-system".into(), name: "dev".into(), uid: uid.into() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_bootstrap_record_reads_back_and_cannot_be_changed() {
        let platform = platform("u1");
        let machine = platform.machine("cp", 0);
        let record = BootstrapRecord { machine, server_id: 42, at: at("2026-11-21T09:00:00Z") };
        let stored = of_bootstrap(&platform, &record).unwrap();
        assert_eq!(read_bootstrap(&stored).unwrap(), record);
        assert_eq!(stored.immutable, Some(true));
        assert_eq!(stored.metadata.name.as_deref(), Some("dev-bootstrap"));
        assert_eq!(stored.metadata.owner_references, None);
    }

    #[test]
    fn a_client_config_is_known_without_being_read() {
        let facts = CredentialFacts {
            endpoints: vec!["https://203.0.113.1:6443".into()],
            expires_at: at("2027-11-21T09:00:00Z"),
            bundle_digest: "d1".into(),
        };
        let config =
            StoredClientConfig { kind: ClientConfigKind::Kubeconfig, text: Text::new("x"), facts: facts.clone() };
        let mut stored = of_client_config(&platform("u1"), &config).unwrap();
        assert_eq!(stored.metadata.name.as_deref(), Some("dev-kubeconfig"));
        assert_eq!(stored.data.as_ref().unwrap()[names::CLIENT_CONFIG_KEY].0, b"x");
        assert_eq!(read_client_config(&stored), Some(facts));
        stored.data.as_mut().unwrap().insert(names::FACTS_KEY.into(), ByteString(b"{".to_vec()));
        assert_eq!(read_client_config(&stored), None);
    }

    #[test]
    fn a_namesake_is_told_from_ours_by_its_label() {
        let record =
            BootstrapRecord { machine: platform("u1").machine("cp", 0), server_id: 1, at: at("2026-11-21T09:00:00Z") };
        let stored = of_bootstrap(&platform("u1"), &record).unwrap();
        assert_eq!(must_be_ours(&platform("u1"), &stored), Ok(()));
        let error = must_be_ours(&platform("u2"), &stored).unwrap_err();
        assert_eq!(error.reason(), "StoreCorrupt");
        assert!(error.to_string().contains("Secret dev-bootstrap"), "{error}");
        assert!(must_be_ours(&platform("u1"), &Secret::default()).is_err());
    }

    #[test]
    fn a_broken_bundle_is_corrupt_and_stays_unseen() {
        let stored =
            secret(&platform("u1"), "dev-secrets".into(), &[(names::BUNDLE_KEY, "cluster: {id: hunter2}")], true);
        let error = read_bundle(&stored).unwrap_err();
        assert_eq!(error.reason(), "StoreCorrupt");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(read_bundle(&Secret::default()).unwrap_err().reason(), "StoreCorrupt");
    }
}
