//! Out of one store and into another, with the store of the simulated world.

use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use helix_engine::secrets::{PkiMaker, SecretMaker as _};
use helix_sim::inprocess::Universe;
use helix_sim::world::WorldConfig;

use super::*;

fn platform(uid: &str) -> PlatformIdentity {
    PlatformIdentity { namespace: "helix-system".into(), name: "prod".into(), uid: uid.into() }
}

fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

fn store() -> Universe {
    Universe::new(WorldConfig::default(), now())
}

async fn bundle() -> SecretBundle {
    PkiMaker.make_bundle(now()).await.unwrap()
}

fn record(server_id: u64) -> BootstrapRecord {
    BootstrapRecord { machine: platform("u1").machine("cp", 0), server_id, at: now() }
}

/// A store of a platform that is up, and what it holds.
async fn full_store() -> (Universe, SecretBundle) {
    let (store, bundle) = (store(), bundle().await);
    store.create_bundle(&platform("u1"), &bundle).await.unwrap();
    store.record_bootstrap(&platform("u1"), &record(42)).await.unwrap();
    (store, bundle)
}

#[tokio::test]
async fn a_restore_that_was_made_is_not_forgotten() {
    let (full, _) = full_store().await;
    let begun = RestoreRecord {
        request: "latest".into(),
        snapshot: "prod/u1/20261121T090000Z.etcd.age".into(),
        begun_at: now(),
        leftovers: vec![42],
        target: None,
        closed_at: None,
    };
    let closed = RestoreRecord { closed_at: Some(now()), ..begun.clone() };
    full.record_restore(&platform("u1"), &begun).await.unwrap();
    full.record_restore(&platform("u1"), &closed).await.unwrap();
    let export = take(&full, &platform("u1"), now()).await.unwrap();
    let empty = store();
    let told = put_back(&empty, &platform("u1"), &export, Path::new("x")).await.unwrap();
    assert!(told.ends_with("bootstrap record restored, restore record restored\n"), "{told}");
    assert_eq!(empty.read(&platform("u1")).await.unwrap().0.restore, Some(closed));
    let again = put_back(&empty, &platform("u1"), &export, Path::new("x")).await.unwrap();
    assert!(again.contains("restore record was there already, and is the same"), "{again}");
}

/// A key pair: the file with its identity, and its recipient.
fn key(folder: &Path, name: &str) -> (PathBuf, age::x25519::Recipient) {
    let identity = age::x25519::Identity::generate();
    let path = folder.join(name);
    std::fs::write(&path, format!("# a comment\n{}\n", identity.to_string().expose_secret())).unwrap();
    (path, identity.to_public())
}

#[tokio::test]
async fn what_was_exported_comes_back_into_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let (first, first_recipient) = key(folder.path(), "first");
    let (second, second_recipient) = key(folder.path(), "second");
    let (full, bundle) = full_store().await;
    let export = take(&full, &platform("u1"), now()).await.unwrap();
    let sealed = envelope::seal(&export, &[first_recipient, second_recipient]).unwrap();
    assert!(sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(!sealed.contains(bundle.cluster_secret.expose()));

    for identity in [first, second] {
        let empty = store();
        let export = envelope::open(Path::new("x"), &sealed, &envelope::identities(&identity).unwrap()).unwrap();
        let told = put_back(&empty, &platform("u1"), &export, Path::new("x")).await.unwrap();
        assert_eq!(told, "helix-system/prod: secret bundle restored, bootstrap record restored\n");
        assert_eq!(empty.read(&platform("u1")).await.unwrap().1.as_ref(), Some(&bundle));
        assert_eq!(empty.read(&platform("u1")).await.unwrap().0.bootstrap, Some(record(42)));

        let again = put_back(&empty, &platform("u1"), &export, Path::new("x")).await.unwrap();
        assert!(again.contains("secret bundle was there already, and is the same"), "{again}");
    }
}

#[tokio::test]
async fn nothing_is_ever_overwritten() {
    let (full, _) = full_store().await;
    let export = take(&full, &platform("u1"), now()).await.unwrap();
    let (other, stored) = (store(), bundle().await);
    other.create_bundle(&platform("u1"), &stored).await.unwrap();
    let error = put_back(&other, &platform("u1"), &export, Path::new("x")).await.unwrap_err();
    assert!(matches!(error, CliError::Differs { what: "secret bundle", .. }), "{error}");
    assert_eq!(other.read(&platform("u1")).await.unwrap().1, Some(stored));

    let recorded = store();
    recorded.record_bootstrap(&platform("u1"), &record(7)).await.unwrap();
    let error = put_back(&recorded, &platform("u1"), &export, Path::new("x")).await.unwrap_err();
    assert!(matches!(error, CliError::Differs { what: "bootstrap record", .. }), "{error}");
    let (facts, _) = recorded.read(&platform("u1")).await.unwrap();
    assert_eq!(facts.bootstrap, Some(record(7)));
    assert_eq!(facts.bundle, None, "nothing is brought back by halves");
}

#[tokio::test]
async fn an_export_from_before_the_bootstrap_says_what_it_lacks() {
    let young = store();
    young.create_bundle(&platform("u1"), &bundle().await).await.unwrap();
    let export = take(&young, &platform("u1"), now()).await.unwrap();
    let told = put_back(&store(), &platform("u1"), &export, Path::new("x")).await.unwrap();
    assert!(told.contains("secret bundle restored\n") && told.contains("holds no record of it"), "{told}");
}

#[tokio::test]
async fn a_stranger_reads_nothing_and_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_, recipient) = key(folder.path(), "ours");
    let (stranger, _) = key(folder.path(), "theirs");
    let (full, _) = full_store().await;
    let export = take(&full, &platform("u1"), now()).await.unwrap();
    let sealed = envelope::seal(&export, &[recipient]).unwrap();
    let identities = envelope::identities(&stranger).unwrap();
    let error = envelope::open(Path::new("export.age"), &sealed, &identities).err().unwrap();
    assert!(matches!(error, CliError::Decrypt { .. }) && error.to_string().contains("export.age"), "{error}");

    let cut = &sealed[..sealed.len() / 2];
    let error = envelope::open(Path::new("export.age"), cut, &identities).err().unwrap();
    assert!(matches!(error, CliError::Decrypt { .. }), "{error}");
}

#[tokio::test]
async fn an_export_belongs_to_its_platform() {
    let (full, _) = full_store().await;
    let export = take(&full, &platform("u1"), now()).await.unwrap();
    let by_name = PlatformIdentity { name: "staging".into(), ..platform("u1") };
    let by_namespace = PlatformIdentity { namespace: "team-a".into(), ..platform("u1") };
    for other in [by_name, by_namespace] {
        let empty = store();
        let error = put_back(&empty, &other, &export, Path::new("x")).await.unwrap_err();
        let said = format!("x was exported from HelixPlatform helix-system/prod, not from {}", other.display_name());
        assert!(error.to_string().contains(&said), "{error}");
        assert_eq!(empty.read(&other).await.unwrap().1, None);
    }

    let told = put_back(&store(), &platform("u2"), &export, Path::new("x")).await.unwrap();
    assert!(told.contains("made anew since the export"), "{told}");
    assert!(told.contains("label helix.dev/platform-uid of all of it from u1 to u2"), "{told}");
}

#[tokio::test]
async fn a_platform_without_secrets_has_nothing_to_export() {
    let error = take(&store(), &platform("u1"), now()).await.err().unwrap();
    assert_eq!(error.to_string(), "helix-system/prod has no secret bundle yet: there is nothing to export");
}

#[test]
fn what_is_no_key_is_named() {
    let error = envelope::recipients(&["age1nonsense".to_owned()]).err().unwrap();
    assert!(error.to_string().contains("`age1nonsense` is no age recipient"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    std::fs::write(&path, "").unwrap();
    let error = envelope::identities(&path).err().unwrap();
    assert!(matches!(error, CliError::Identity { .. }), "{error}");
}
