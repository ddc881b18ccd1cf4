//! What the real maker makes, as others read it: x509-parser, rustls, and Talos' rules for a bundle.

use std::sync::OnceLock;
use std::time::Duration;

use helix_plan::secrets::{CertificateAuthority, ClientCertificate, Secret, SecretBundle};
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

/// One bundle for all tests that only need one: an RSA key takes a while.
fn bundle() -> SecretBundle {
    static BUNDLE: OnceLock<SecretBundle> = OnceLock::new();
    BUNDLE.get_or_init(new_bundle).clone()
}

fn new_bundle() -> SecretBundle {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(PkiMaker.make_bundle(now())).unwrap()
}

fn der(pem_text: &str) -> Vec<u8> {
    assert!(!pem_text.contains('\r'));
    pem::parse(pem_text).unwrap().into_contents()
}

fn parse(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

fn check_authority(authority: &CertificateAuthority, subject: &str, key_label: &str) {
    let der = der(&authority.certificate);
    let certificate = parse(&der);
    assert_eq!(certificate.subject().to_string(), subject);
    assert_eq!(certificate.issuer().to_string(), subject);
    certificate.verify_signature(None).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint.is_none());
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    // digitalSignature (bit 0) and keyCertSign (bit 5), nothing else.
    assert_eq!(usage.value.flags, 0b10_0001);
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && extended.client_auth && !extended.any && extended.other.is_empty());
    assert_eq!(certificate.validity().not_after.timestamp() - now().as_second(), 87_600 * 3_600);
    assert!(certificate.validity().not_before.timestamp() < now().as_second());
    assert!(certificate.raw_serial().len() <= 16);
    let key = pem::parse(authority.key.expose()).unwrap();
    assert_eq!(key.tag(), key_label);
}

#[test]
fn a_bundle_is_as_talos_makes_it() {
    let bundle = bundle();
    check_authority(&bundle.os_ca, "O=talos", "ED25519 PRIVATE KEY");
    check_authority(&bundle.etcd_ca, "O=etcd", "EC PRIVATE KEY");
    check_authority(&bundle.kubernetes_ca, "O=kubernetes", "EC PRIVATE KEY");
    check_authority(&bundle.aggregator_ca, "", "EC PRIVATE KEY");
    // Reading it back checks every encoding, length, token and label.
    let text = bundle.to_yaml().unwrap();
    assert_eq!(SecretBundle::from_yaml(text.expose()).unwrap(), bundle);

    // SEC1 with P-256 named: 1.2.840.10045.3.1.7.
    let named_curve = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let sec1 = der(bundle.etcd_ca.key.expose());
    assert!(sec1.windows(named_curve.len()).any(|window| window == named_curve));
    // PKCS#8 of version 0 and nothing but the seed, 48 bytes, as Talos' own generator writes.
    assert_eq!(der(bundle.os_ca.key.expose()).len(), 48);
    let rsa = pem::parse(bundle.service_account_key.expose()).unwrap();
    assert_eq!(rsa.tag(), "RSA PRIVATE KEY");
    let signer = aws_lc_rs::signature::RsaKeyPair::from_der(rsa.contents()).unwrap();
    assert_eq!(signer.public_modulus_len(), 512);
}

#[test]
fn nothing_is_made_twice() {
    let (one, two) = (bundle(), new_bundle());
    assert_ne!(one.digest(), two.digest());
    assert_ne!(one.cluster_id, two.cluster_id);
    assert_ne!(one.bootstrap_token, one.trustd_token);
    assert_ne!(PkiMaker.make_ssh_public_key("x").unwrap(), PkiMaker.make_ssh_public_key("x").unwrap());
}

/// Checks a client certificate as a Go server does: chain, time and usage.
fn verify_client(certificate: &ClientCertificate, authority: &CertificateAuthority, at: Timestamp) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(der(&authority.certificate))).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let leaf = CertificateDer::from(der(&certificate.certificate));
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap()));
    verifier.verify_client_cert(&leaf, &[], at).is_ok()
}

/// Loads a key as rustls does, which knows Talos' label for Ed25519 only as `PRIVATE KEY`.
fn loads_in_rustls(key: &Secret) -> bool {
    let pem = key.expose().replace("ED25519 PRIVATE KEY", "PRIVATE KEY");
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    rustls::crypto::ring::sign::any_supported_type(&key).is_ok()
}

fn check_client(certificate: &ClientCertificate, authority: &CertificateAuthority, subject: &str) {
    let authority_der = der(&authority.certificate);
    let certificate_der = der(&certificate.certificate);
    let (parsed, authority_parsed) = (parse(&certificate_der), parse(&authority_der));
    assert_eq!(parsed.subject().to_string(), subject);
    assert_eq!(parsed.issuer(), authority_parsed.subject());
    parsed.verify_signature(Some(authority_parsed.public_key())).unwrap();
    let usage = parsed.key_usage().unwrap().unwrap();
    assert_eq!((usage.critical, usage.value.flags), (true, 1));
    let extended = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any && extended.other.is_empty());
    assert_eq!(parsed.validity().not_after.timestamp(), certificate.expires_at.as_second());
    assert!(verify_client(certificate, authority, now()));
    assert!(!verify_client(certificate, authority, certificate.expires_at + DAY));
    assert!(loads_in_rustls(&certificate.key));
}

#[test]
fn clients_are_admitted_by_their_authority_and_by_no_other() {
    let bundle = bundle();
    let issue = |identity: ClientIdentity| PkiMaker.issue_client_certificate(&bundle, &identity, DAY, now()).unwrap();
    let admin = issue(ClientIdentity::Talos(TalosRole::Admin));
    check_client(&admin, &bundle.os_ca, "O=os:admin");
    assert_eq!(admin.expires_at, now() + DAY);
    assert!(!verify_client(&admin, &bundle.kubernetes_ca, now()));
    check_client(&issue(ClientIdentity::Talos(TalosRole::Reader)), &bundle.os_ca, "O=os:reader");
    let kubernetes = issue(ClientIdentity::KubernetesAdmin { user: "helix".into() });
    check_client(&kubernetes, &bundle.kubernetes_ca, "O=system:masters, CN=helix");
    assert!(!format!("{admin:?}").contains("PRIVATE"));
}

#[test]
fn no_certificate_outlives_its_authority() {
    let bundle = bundle();
    let late = now() + AUTHORITY_VALIDITY.checked_sub(DAY).unwrap();
    let identity = ClientIdentity::Talos(TalosRole::Admin);
    let certificate = PkiMaker.issue_client_certificate(&bundle, &identity, 365 * DAY, late).unwrap();
    assert_eq!(certificate.expires_at, now() + AUTHORITY_VALIDITY);
}

#[test]
fn talos_own_bundle_can_issue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/talos/v1.13.9/generated/secrets.yaml");
    let Ok(text) = std::fs::read_to_string(path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {path}");
        println!("needs {path}, which is not here");
        return;
    };
    let bundle = SecretBundle::from_yaml(&text).unwrap();
    for (identity, authority, subject) in [
        (ClientIdentity::Talos(TalosRole::Admin), &bundle.os_ca, "O=os:admin"),
        (ClientIdentity::KubernetesAdmin { user: "admin".into() }, &bundle.kubernetes_ca, "O=system:masters, CN=admin"),
    ] {
        let certificate = PkiMaker.issue_client_certificate(&bundle, &identity, DAY, now()).unwrap();
        check_client(&certificate, authority, subject);
    }
}

#[test]
fn a_damaged_bundle_is_named_and_not_shown() {
    let mut bundle = bundle();
    bundle.os_ca.key = Secret::new("hush");
    bundle.kubernetes_ca.certificate = "nothing".into();
    let issue = |identity: ClientIdentity| PkiMaker.issue_client_certificate(&bundle, &identity, DAY, now());
    let error = issue(ClientIdentity::Talos(TalosRole::Admin)).unwrap_err();
    assert_eq!(error, SecretMakerError::AuthorityKey { authority: "OS" });
    assert!(!format!("{error} {error:?}").contains("hush"));
    let error = issue(ClientIdentity::KubernetesAdmin { user: "x".into() }).unwrap_err();
    assert_eq!(error, SecretMakerError::AuthorityCertificate { authority: "Kubernetes" });
}

#[test]
fn an_ssh_key_line_is_as_openssh_writes_it() {
    use base64::Engine as _;
    let line = PkiMaker.make_ssh_public_key("helix/dev").unwrap();
    let parts: Vec<_> = line.split(' ').collect();
    assert_eq!((parts.len(), parts[0], parts[2]), (3, "ssh-ed25519", "helix/dev"));
    let blob = base64::engine::general_purpose::STANDARD.decode(parts[1]).unwrap();
    assert_eq!(blob.len(), 51);
    assert_eq!(&blob[..19], b"\0\0\0\x0bssh-ed25519\0\0\0\x20");
}
