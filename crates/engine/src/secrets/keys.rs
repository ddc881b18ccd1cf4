//! Keys and tokens, in the exact encodings that Talos, Kubernetes and OpenSSH read.
//!
//! Talos names its formats by PEM labels: `ED25519 PRIVATE KEY` around PKCS#8, `EC PRIVATE KEY` around SEC1 with the
//! curve named, `RSA PRIVATE KEY` around PKCS#1; lines end in LF.

use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use helix_plan::secrets::Secret;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

use super::SecretMakerError;

/// The label of a PKCS#8 key that everybody reads.
pub(super) const PKCS8: &str = "PRIVATE KEY";
const TALOS_ED25519: &str = "ED25519 PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const PKCS1: &str = "RSA PRIVATE KEY";

/// A new key, ready to sign, with the text in which it is kept.
pub(super) struct NewKey {
    pub(super) signer: KeyPair,
    pub(super) pem: Secret,
}

pub(super) fn pem_text(label: &str, der: impl Into<Vec<u8>>) -> String {
    let lf = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), lf)
}

/// Ed25519 as Talos keeps it.
pub(super) fn talos_ed25519() -> Result<NewKey, SecretMakerError> {
    let failed = |_| SecretMakerError::Generation { what: "Ed25519 key" };
    let document = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8v1()).map_err(failed)?;
    let der = document.as_ref();
    let signer = KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ED25519)
        .map_err(|_| SecretMakerError::Generation { what: "Ed25519 key" })?;
    Ok(NewKey { signer, pem: Secret::new(pem_text(TALOS_ED25519, der)) })
}

/// P-256 as Talos keeps it.
pub(super) fn sec1_p256() -> Result<NewKey, SecretMakerError> {
    let failed = || SecretMakerError::Generation { what: "P-256 key" };
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failed())?;
    // RFC 5915 with the curve named: Go refuses it without.
    let sec1: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().map_err(|_| failed())?;
    Ok(NewKey { signer: p256_signer(&key).ok_or_else(failed)?, pem: Secret::new(pem_text(SEC1, sec1.as_ref())) })
}

/// P-256 as every Kubernetes client reads it.
pub(super) fn pkcs8_p256() -> Result<NewKey, SecretMakerError> {
    let failed = || SecretMakerError::Generation { what: "P-256 key" };
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failed())?;
    let signer = p256_signer(&key).ok_or_else(failed)?;
    let pem = Secret::new(pem_text(PKCS8, signer.serialized_der()));
    Ok(NewKey { signer, pem })
}

/// The service account key: RSA with 4096 bits, PKCS#1. Takes 0.4 s in the median, now and then more than a second.
pub(super) fn pkcs1_rsa4096() -> Result<Secret, SecretMakerError> {
    let failed = || SecretMakerError::Generation { what: "RSA key" };
    let key = RsaKeyPair::generate(KeySize::Rsa4096).map_err(|_| failed())?;
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| failed())?;
    let pkcs1 = octets_in_pkcs8(pkcs8.as_ref()).ok_or_else(failed)?;
    Ok(Secret::new(pem_text(PKCS1, pkcs1)))
}

/// Reads a key of the OS authority.
pub(super) fn read_talos_ed25519(pem: &Secret) -> Option<KeyPair> {
    let block = pem::parse(pem.expose()).ok().filter(|block| block.tag() == TALOS_ED25519)?;
    KeyPair::from_pkcs8_der_and_sign_algo(&block.contents().into(), &PKCS_ED25519).ok()
}

/// Reads a key of one of the P-256 authorities.
pub(super) fn read_sec1_p256(pem: &Secret) -> Option<KeyPair> {
    let block = pem::parse(pem.expose()).ok().filter(|block| block.tag() == SEC1)?;
    p256_signer(&EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, block.contents()).ok()?)
}

fn p256_signer(key: &EcdsaKeyPair) -> Option<KeyPair> {
    let document = key.to_pkcs8v1().ok()?;
    KeyPair::from_pkcs8_der_and_sign_algo(&document.as_ref().into(), &PKCS_ECDSA_P256_SHA256).ok()
}

/// The public half of a new Ed25519 key as OpenSSH writes it; the private half ends here.
pub(super) fn ssh_ed25519_public(comment: &str) -> Result<String, SecretMakerError> {
    const KIND: &str = "ssh-ed25519";
    let key = Ed25519KeyPair::generate().map_err(|_| SecretMakerError::Generation { what: "SSH key" })?;
    let mut blob = Vec::with_capacity(51);
    for part in [KIND.as_bytes(), key.public_key().as_ref()] {
        let length = u32::try_from(part.len()).map_err(|_| SecretMakerError::Generation { what: "SSH key" })?;
        blob.extend_from_slice(&length.to_be_bytes());
        blob.extend_from_slice(part);
    }
    Ok(format!("{KIND} {} {comment}", STANDARD.encode(blob)))
}

/// 32 random bytes in base64.
pub(super) fn random_base64() -> Result<Secret, SecretMakerError> {
    random::<32>("cluster secret").map(|bytes| Secret::new(STANDARD.encode(bytes)))
}

/// 32 random bytes in base64 of the URL alphabet, as Talos up to 1.13 writes a cluster's id.
pub(super) fn random_base64_url() -> Result<Secret, SecretMakerError> {
    random::<32>("cluster id").map(|bytes| Secret::new(URL_SAFE.encode(bytes)))
}

/// A token of the form `[0-9a-z]{6}.[0-9a-z]{16}`: 113 bits, each character equally likely.
pub(super) fn token() -> Result<Secret, SecretMakerError> {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    /// The largest multiple of 36 that a byte holds; larger bytes would favour the first letters.
    const FAIR: u8 = 252;
    let mut text = String::with_capacity(23);
    while text.len() < 23 {
        for byte in random::<32>("token")?.into_iter().filter(|byte| *byte < FAIR) {
            if text.len() == 6 {
                text.push('.');
            }
            if text.len() < 23 {
                text.extend(ALPHABET.get(usize::from(byte % 36)).map(|letter| char::from(*letter)));
            }
        }
    }
    Ok(Secret::new(text))
}

/// So many letters and digits, each equally likely.
pub(super) fn password(characters: u8) -> Result<Secret, SecretMakerError> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// The largest multiple of 62 that a byte holds; larger bytes would favour the first characters.
    const FAIR: u8 = 248;
    let mut text = String::with_capacity(usize::from(characters));
    while text.len() < usize::from(characters) {
        let fair = random::<32>("password")?.into_iter().filter(|byte| *byte < FAIR);
        let left = usize::from(characters) - text.len();
        text.extend(fair.take(left).filter_map(|byte| ALPHABET.get(usize::from(byte % 62)).map(|it| char::from(*it))));
    }
    Ok(Secret::new(text))
}

/// The Ed25519 key that follows from 32 bytes.
pub(super) fn ed25519_of_seed(seed: &[u8; 32]) -> Option<KeyPair> {
    /// PKCS#8 around an Ed25519 seed (RFC 8410): only the seed is not always the same.
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der: Vec<u8> = PREFIX.iter().chain(seed).copied().collect();
    KeyPair::from_pkcs8_der_and_sign_algo(&der.as_slice().into(), &PKCS_ED25519).ok()
}

/// A certificate's serial number: 127 random bits, so that it is positive however it is read.
pub(super) fn serial_number() -> Result<[u8; 16], SecretMakerError> {
    let mut bytes = random::<16>("serial number")?;
    bytes[0] &= 0x7f;
    Ok(bytes)
}

fn random<const N: usize>(what: &'static str) -> Result<[u8; N], SecretMakerError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SecretMakerError::Generation { what })?;
    Ok(bytes)
}

/// The key inside PKCS#8: `SEQUENCE { INTEGER, SEQUENCE, OCTET STRING { key } }`.
fn octets_in_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(0x30, der)?;
    let (_, body) = element(0x02, body)?;
    let (_, body) = element(0x30, body)?;
    element(0x04, body).map(|(key, _)| key)
}

/// Takes the DER element of this tag off the front: its content, and what follows.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[first, short], rest) = der.split_first_chunk::<2>()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(byte, rest)| (usize::from(*byte), rest))?,
        0x82 => rest.split_first_chunk::<2>().map(|(bytes, rest)| (usize::from(u16::from_be_bytes(*bytes)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(length)
}
