//! The bundle against Talos' own files, and against every way to get one wrong.

use super::*;
use crate::reference;

const BUNDLES: [&str; 2] = ["v1.13.9/generated/secrets.yaml", "v1.13.9/testdata/secrets/secrets.yaml"];

#[test]
fn talos_own_bundles_read_and_write_back_as_they_were() {
    for path in BUNDLES {
        let Some(text) = reference::talos(path) else { return };
        let bundle = SecretBundle::from_yaml(&text).unwrap();
        let written = bundle.to_yaml().unwrap();
        let options = || serde_saphyr::options! { strict_booleans: true };
        let theirs: serde_json::Value = serde_saphyr::from_str_with_options(&text, options()).unwrap();
        let ours: serde_json::Value = serde_saphyr::from_str_with_options(written.expose(), options()).unwrap();
        assert_eq!(ours, theirs, "{path}");
        assert_eq!(SecretBundle::from_yaml(written.expose()).unwrap(), bundle);
    }
}

#[test]
fn no_secret_shows() {
    let Some(text) = reference::talos(BUNDLES[0]) else { return };
    let bundle = SecretBundle::from_yaml(&text).unwrap();
    let shown = format!("{bundle:?} {} {}", bundle.service_account_key, bundle.digest());
    for secret in [&bundle.cluster_secret, &bundle.trustd_token, &bundle.os_ca.key, &bundle.service_account_key] {
        assert!(!shown.contains(secret.expose()));
    }
    assert!(!shown.contains("PRIVATE KEY"));
}

#[test]
fn the_digest_follows_the_content() {
    let Some(text) = reference::talos(BUNDLES[0]) else { return };
    let bundle = SecretBundle::from_yaml(&text).unwrap();
    assert_eq!(bundle.digest(), bundle.clone().digest());
    assert_eq!(bundle.digest().len(), 32);
    let mut other = bundle.clone();
    other.trustd_token = Secret::new("aaaaaa.aaaaaaaaaaaaaaaa");
    assert_ne!(other.digest(), bundle.digest());
    // What moves from one field to the next is another bundle, although the concatenation is the same.
    let mut moved = bundle.clone();
    moved.bootstrap_token = Secret::new("");
    moved.cluster_secret =
        Secret::new(format!("{}{}", bundle.cluster_secret.expose(), bundle.bootstrap_token.expose()));
    assert_ne!(moved.digest(), bundle.digest());
}

#[test]
fn what_is_wrong_is_named_and_not_shown() {
    let Some(text) = reference::talos(BUNDLES[0]) else { return };
    type Case = (&'static str, &'static str, SecretBundleError);
    let cases: [Case; 9] = [
        (
            "bootstraptoken: cbw3i4.",
            "bootstraptoken: CBW3I4.",
            SecretBundleError::NotAToken { field: "secrets.bootstraptoken" },
        ),
        ("    id: tDAB", "    id: '%%AB", SecretBundleError::Syntax { line: 0, column: 0 }),
        ("    secret: OrDi", "    secret: '%'  #", SecretBundleError::NotBase64 { field: "cluster.secret" }),
        (
            "    secret: OrDi",
            "    secret: T3JEaQ== #",
            SecretBundleError::WrongLength { field: "cluster.secret", expected: 32, actual: 4 },
        ),
        ("trustdinfo:\n    token: ", "trustdinfo: {} # ", SecretBundleError::Missing { field: "trustdinfo.token" }),
        (
            "    os:\n        crt: ",
            "    os:\n        crt: aGVsbG8= # ",
            SecretBundleError::NotPem { field: "certs.os.crt", label: "CERTIFICATE" },
        ),
        ("certs:", "sertz:", SecretBundleError::Syntax { line: 0, column: 0 }),
        ("    bootstraptoken:", "    aescbcencryptionsecret: YQ==\n    bootstraptoken:", {
            SecretBundleError::Unsupported { field: "secrets.aescbcencryptionsecret" }
        }),
        ("    etcd:\n", "    etcd: []\n    x:\n", SecretBundleError::Syntax { line: 0, column: 0 }),
    ];
    for (from, to, expected) in cases {
        assert!(text.contains(from), "{from}");
        let error = SecretBundle::from_yaml(&text.replacen(from, to, 1)).unwrap_err();
        match (&error, &expected) {
            (SecretBundleError::Syntax { .. }, SecretBundleError::Syntax { .. }) => {}
            _ => assert_eq!(error, expected, "{from} -> {to}"),
        }
        for secret in ["cbw3i4", "CBW3I4", "h72czr", "OrDiYH", "mxGWYV"] {
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
    }
}
