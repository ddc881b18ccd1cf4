//! The form of `secrets.yaml`: reading it with errors that name the field, and writing it.
//!
//! Serde's own messages are dropped on purpose: they may quote the value that they complain about.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use super::{AcceptedAuthorities, CertificateAuthority, Secret, SecretBundle, SecretBundleError};

type Text<'a> = Option<Cow<'a, str>>;

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BundleForm<'a> {
    cluster: ClusterForm<'a>,
    secrets: SecretsForm<'a>,
    trustdinfo: TrustdForm<'a>,
    certs: CertsForm<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClusterForm<'a> {
    id: Text<'a>,
    secret: Text<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SecretsForm<'a> {
    bootstraptoken: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aescbcencryptionsecret: Text<'a>,
    secretboxencryptionsecret: Text<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrustdForm<'a> {
    token: Text<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CertsForm<'a> {
    etcd: PairForm<'a>,
    k8s: PairForm<'a>,
    k8saggregator: PairForm<'a>,
    k8sserviceaccount: KeyForm<'a>,
    os: PairForm<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PairForm<'a> {
    crt: Text<'a>,
    key: Text<'a>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KeyForm<'a> {
    key: Text<'a>,
}

/// The labels that a private key may have; the first is named in errors.
const ED25519: &[&str] = &["ED25519 PRIVATE KEY"];
const EC: &[&str] = &["EC PRIVATE KEY"];
const RSA_OR_EC: &[&str] = &["RSA PRIVATE KEY", "EC PRIVATE KEY"];
const CERTIFICATE: &[&str] = &["CERTIFICATE"];

pub(super) fn read(text: &str) -> Result<SecretBundle, SecretBundleError> {
    let form: BundleForm<'_> = serde_saphyr::from_str(text).map_err(|error| {
        let at = error.location();
        SecretBundleError::Syntax { line: at.map_or(0, |l| l.line()), column: at.map_or(0, |l| l.column()) }
    })?;
    if form.secrets.aescbcencryptionsecret.is_some() {
        return Err(SecretBundleError::Unsupported { field: "secrets.aescbcencryptionsecret" });
    }
    let certs = form.certs;
    Ok(SecretBundle {
        accepted: AcceptedAuthorities::default(),
        cluster_id: key32("cluster.id", form.cluster.id)?,
        cluster_secret: key32("cluster.secret", form.cluster.secret)?,
        bootstrap_token: token("secrets.bootstraptoken", form.secrets.bootstraptoken)?,
        secretbox_encryption_secret: key32(
            "secrets.secretboxencryptionsecret",
            form.secrets.secretboxencryptionsecret,
        )?,
        trustd_token: token("trustdinfo.token", form.trustdinfo.token)?,
        etcd_ca: authority(("certs.etcd.crt", "certs.etcd.key"), certs.etcd, EC)?,
        kubernetes_ca: authority(("certs.k8s.crt", "certs.k8s.key"), certs.k8s, EC)?,
        aggregator_ca: authority(("certs.k8saggregator.crt", "certs.k8saggregator.key"), certs.k8saggregator, EC)?,
        service_account_key: Secret::new(pem("certs.k8sserviceaccount.key", certs.k8sserviceaccount.key, RSA_OR_EC)?),
        os_ca: authority(("certs.os.crt", "certs.os.key"), certs.os, ED25519)?,
    })
}

pub(super) fn write(bundle: &SecretBundle) -> Result<Secret, SecretBundleError> {
    let form = BundleForm {
        cluster: ClusterForm { id: plain(&bundle.cluster_id), secret: plain(&bundle.cluster_secret) },
        secrets: SecretsForm {
            bootstraptoken: plain(&bundle.bootstrap_token),
            aescbcencryptionsecret: None,
            secretboxencryptionsecret: plain(&bundle.secretbox_encryption_secret),
        },
        trustdinfo: TrustdForm { token: plain(&bundle.trustd_token) },
        certs: CertsForm {
            etcd: pair(&bundle.etcd_ca),
            k8s: pair(&bundle.kubernetes_ca),
            k8saggregator: pair(&bundle.aggregator_ca),
            k8sserviceaccount: KeyForm { key: encoded(bundle.service_account_key.expose()) },
            os: pair(&bundle.os_ca),
        },
    };
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&form, options).map(Secret::new).map_err(|_| SecretBundleError::Unwritable)
}

fn plain(secret: &Secret) -> Text<'_> {
    Some(Cow::Borrowed(secret.expose()))
}

fn encoded(pem: &str) -> Text<'static> {
    Some(Cow::Owned(STANDARD.encode(pem)))
}

fn pair(authority: &CertificateAuthority) -> PairForm<'static> {
    PairForm { crt: encoded(&authority.certificate), key: encoded(authority.key.expose()) }
}

fn required(field: &'static str, text: Text<'_>) -> Result<String, SecretBundleError> {
    text.filter(|t| !t.is_empty()).map(Cow::into_owned).ok_or(SecretBundleError::Missing { field })
}

/// 32 bytes in base64; Talos wrote `cluster.id` in the URL alphabet up to 1.13 and in the standard one since.
fn key32(field: &'static str, text: Text<'_>) -> Result<Secret, SecretBundleError> {
    let secret = Secret::new(required(field, text)?);
    let bytes = STANDARD
        .decode(secret.expose())
        .or_else(|_| URL_SAFE.decode(secret.expose()))
        .map_err(|_| SecretBundleError::NotBase64 { field })?;
    if bytes.len() == 32 {
        Ok(secret)
    } else {
        Err(SecretBundleError::WrongLength { field, expected: 32, actual: bytes.len() })
    }
}

fn token(field: &'static str, text: Text<'_>) -> Result<Secret, SecretBundleError> {
    let secret = Secret::new(required(field, text)?);
    let lower_alphanumeric = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    };
    match secret.expose().split_once('.') {
        Some((id, key)) if lower_alphanumeric(id, 6) && lower_alphanumeric(key, 16) => Ok(secret),
        _ => Err(SecretBundleError::NotAToken { field }),
    }
}

fn authority(
    (crt, key): (&'static str, &'static str),
    form: PairForm<'_>,
    labels: &'static [&'static str],
) -> Result<CertificateAuthority, SecretBundleError> {
    Ok(CertificateAuthority {
        certificate: pem(crt, form.crt, CERTIFICATE)?,
        key: Secret::new(pem(key, form.key, labels)?),
    })
}

/// base64 of PEM with one of `labels`, decoded to PEM.
fn pem(field: &'static str, text: Text<'_>, labels: &'static [&'static str]) -> Result<String, SecretBundleError> {
    let text = required(field, text)?;
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| SecretBundleError::NotBase64 { field })?;
    let wrong = || SecretBundleError::NotPem { field, label: labels.first().copied().unwrap_or_default() };
    let pem = String::from_utf8(bytes).map_err(|_| wrong())?;
    if labels.iter().any(|label| is_pem(&pem, label)) { Ok(pem) } else { Err(wrong()) }
}

fn is_pem(text: &str, label: &str) -> bool {
    let body = text
        .trim()
        .strip_prefix("-----BEGIN ")
        .and_then(|rest| rest.strip_prefix(label))
        .and_then(|rest| rest.strip_prefix("-----"))
        .and_then(|rest| rest.strip_suffix("-----"))
        .and_then(|rest| rest.strip_suffix(label))
        .and_then(|rest| rest.strip_suffix("-----END "));
    body.is_some_and(|body| {
        let joined: String = body.split_whitespace().collect();
        !joined.is_empty() && STANDARD.decode(joined).is_ok()
    })
}
