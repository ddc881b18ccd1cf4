//! A snapshot of etcd as it lies in the bucket: what may be known of it, and the age encryption around the rest.
//!
//! The first line is JSON that holds no secret; after it comes one age file (version 1, X25519). Within the encryption
//! the same line stands again before etcd's own bytes, so that neither can be exchanged for another's.
//!
//! The key follows from `secretboxencryptionsecret` of the bundle alone: whoever can use a snapshot (its Secrets are
//! encrypted with that) can read it, and an export of the bundle is all that has to be kept.

use std::io::{Read as _, Write as _};
use std::iter;
use std::str::FromStr as _;

use age::x25519::Identity;
use age::{DecryptError, Decryptor, Encryptor};
use bech32::{Bech32, Hrp};
use helix_plan::observed::Flaw;
use helix_plan::secrets::{Secret, SecretBundle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The form of what follows; another one is another number.
const VERSION: u32 = 1;

/// The longest first line.
const LONGEST_HEADER: usize = 4_096;

/// What may be known of a snapshot by whoever may list the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    helix_etcd_snapshot: u32,
    /// UID of the platform.
    pub platform: String,
    /// What tells its cluster from others: a digest of the bundle's `cluster.id`.
    pub cluster: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The Talos that the platform was to run then, as in `1.13.9`.
    pub talos: String,
    /// The Kubernetes that it was to run then, as in `1.36.3`.
    pub kubernetes: String,
    /// How large etcd's own bytes are.
    pub size_bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

/// Why a snapshot could not be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot could not be encrypted: {0}")]
pub struct SealError(String);

/// What is said of a snapshot besides its bytes.
pub(crate) struct About<'a> {
    pub(crate) platform: &'a str,
    pub(crate) taken_at: Timestamp,
    pub(crate) talos: String,
    pub(crate) kubernetes: String,
}

/// The age identity, as `age-keygen` writes it, that decrypts a platform's snapshots.
///
/// # Errors
/// [`SealError`] when it cannot be written down, which no bundle leads to.
pub fn identity(bundle: &SecretBundle) -> Result<Secret, SealError> {
    let key = digest("helix.dev/backup-identity/v1", bundle.secretbox_encryption_secret.expose());
    let hrp = Hrp::parse("age-secret-key-").map_err(|error| SealError(error.to_string()))?;
    let text = bech32::encode::<Bech32>(hrp, &key).map_err(|error| SealError(error.to_string()))?;
    Ok(Secret::new(text.to_uppercase()))
}

fn opener(bundle: &SecretBundle) -> Result<Identity, SealError> {
    Identity::from_str(identity(bundle)?.expose()).map_err(|error| SealError(error.to_owned()))
}

fn cluster(bundle: &SecretBundle) -> String {
    hex(&digest("helix.dev/backup-cluster/v1", bundle.cluster_id.expose())[..16])
}

fn digest(domain: &str, secret: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [domain, secret] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How large a sealed snapshot of that many bytes is at most: age adds 16 bytes to every 64 KiB.
pub(crate) const fn sealed_limit(largest: usize) -> usize {
    largest + largest / 4_096 + 2 * LONGEST_HEADER
}

/// Seals etcd's bytes for the bucket.
pub(crate) fn seal(bundle: &SecretBundle, about: About<'_>, snapshot: &[u8]) -> Result<Vec<u8>, SealError> {
    let header = Header {
        helix_etcd_snapshot: VERSION,
        platform: about.platform.to_owned(),
        cluster: cluster(bundle),
        taken_at: about.taken_at,
        talos: about.talos,
        kubernetes: about.kubernetes,
        size_bytes: snapshot.len() as u64,
        sha256: hex(&Sha256::digest(snapshot)),
    };
    let mut line = serde_json::to_vec(&header).map_err(|error| SealError(error.to_string()))?;
    line.push(b'\n');
    let recipient = opener(bundle)?.to_public();
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
        .map_err(|error| SealError(error.to_string()))?;
    let write = || -> std::io::Result<Vec<u8>> {
        let mut writer = encryptor.wrap_output(line.clone())?;
        writer.write_all(&line)?;
        writer.write_all(snapshot)?;
        writer.finish()
    };
    write().map_err(|error| SealError(error.to_string()))
}

/// Opens what was sealed, and believes none of it before all of it has been checked.
pub(crate) fn open(bundle: &SecretBundle, sealed: &[u8]) -> Result<Vec<u8>, Flaw> {
    let end = sealed.iter().take(LONGEST_HEADER).position(|byte| *byte == b'\n').ok_or(Flaw::Foreign)?;
    let (line, encrypted) = sealed.split_at(end + 1);
    let header: Header = serde_json::from_slice(line).map_err(|_| Flaw::Foreign)?;
    if header.helix_etcd_snapshot != VERSION {
        return Err(Flaw::Foreign);
    }
    if header.cluster != cluster(bundle) {
        return Err(Flaw::OtherCluster);
    }
    let opener = opener(bundle).map_err(|_| Flaw::OtherKey)?;
    let decryptor = Decryptor::new(encrypted).map_err(|_| Flaw::Damaged)?;
    let mut reader = decryptor.decrypt(iter::once(&opener as &dyn age::Identity)).map_err(|error| match error {
        DecryptError::NoMatchingKeys => Flaw::OtherKey,
        _ => Flaw::Damaged,
    })?;
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).map_err(|_| Flaw::Damaged)?;
    if !plain.starts_with(line) {
        return Err(Flaw::Damaged);
    }
    let snapshot = plain.split_off(line.len());
    let whole = snapshot.len() as u64 == header.size_bytes && hex(&Sha256::digest(&snapshot)) == header.sha256;
    if whole { Ok(snapshot) } else { Err(Flaw::Damaged) }
}

#[cfg(test)]
mod tests {
    use helix_plan::secrets::{AcceptedAuthorities, CertificateAuthority};

    use super::*;

    fn bundle(cluster: &str, secretbox: &str) -> SecretBundle {
        let authority = || CertificateAuthority { certificate: String::new(), key: Secret::new("k") };
        SecretBundle {
            cluster_id: Secret::new(cluster),
            cluster_secret: Secret::new("s"),
            bootstrap_token: Secret::new("t"),
            secretbox_encryption_secret: Secret::new(secretbox),
            trustd_token: Secret::new("t"),
            os_ca: authority(),
            etcd_ca: authority(),
            kubernetes_ca: authority(),
            aggregator_ca: authority(),
            service_account_key: Secret::new("k"),
            accepted: AcceptedAuthorities::default(),
        }
    }

    fn sealed(bundle: &SecretBundle) -> Vec<u8> {
        let about = About {
            platform: "u1",
            taken_at: Timestamp::UNIX_EPOCH,
            talos: "1.13.9".to_owned(),
            kubernetes: "1.36.3".to_owned(),
        };
        seal(bundle, about, &[7; 200_000]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_bundle_alone() {
        let ours = bundle("c1", "k1");
        let sealed = sealed(&ours);
        assert_eq!(open(&ours, &sealed), Ok(vec![7; 200_000]));
        assert_eq!(open(&bundle("c2", "k2"), &sealed), Err(Flaw::OtherCluster));
        assert_eq!(open(&bundle("c1", "k2"), &sealed), Err(Flaw::OtherKey));
    }

    #[test]
    fn damage_shows_wherever_it_is() {
        let ours = bundle("c1", "k1");
        let whole = sealed(&ours);
        for length in [whole.len() - 1, whole.len() / 2, 600] {
            assert_eq!(open(&ours, &whole[..length]), Err(Flaw::Damaged), "cut at {length}");
        }
        let text = String::from_utf8_lossy(&whole[..200]).into_owned();
        let version = whole.windows(6).position(|part| part == b"1.36.3").unwrap();
        let mut changed = whole.clone();
        changed[version] = b'2';
        assert_eq!(open(&ours, &changed), Err(Flaw::Damaged), "the header is bound to the rest: {text}");
        assert_eq!(open(&ours, b"anything else\n"), Err(Flaw::Foreign));
        assert_eq!(open(&ours, b""), Err(Flaw::Foreign));
    }

    #[test]
    fn an_export_of_the_bundle_is_enough_for_the_age_tool() {
        let text = identity(&bundle("c1", "k1")).unwrap();
        assert!(text.expose().starts_with("AGE-SECRET-KEY-1") && text.expose().len() == 74);
        assert_eq!(format!("{text:?}"), "<redacted>");
    }
}
