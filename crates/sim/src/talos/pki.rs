//! Certificates as Talos and its control plane issue them for themselves from the authorities in a configuration.
//!
//! Nothing is repaired: an authority whose parts don't fit makes certificates that nobody accepts, as it would outside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SignatureAlgorithm,
};

use crate::world::machine::config;

/// Certificates count from a while before they are made, as clocks differ.
const BACKDATED: Duration = Duration::from_secs(60);

/// Why an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Not base64.
    #[error("{what} is not base64")]
    NotBase64 {
        /// Which value.
        what: &'static str,
        /// The decoder's error.
        source: base64::DecodeError,
    },
    /// Not PEM, or of a kind that does not belong there.
    #[error("{0} is not the PEM text that belongs there")]
    NotPem(&'static str),
    /// A certificate or key that cannot be read, or a certificate that cannot be made.
    #[error("certificate or key cannot be used: {0}")]
    Crypto(#[from] rcgen::Error),
    /// What TLS does not accept.
    #[error("TLS cannot use it: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// The key, PKCS#8.
    pub key_pem: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(<redacted>)")
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To be dialled.
    Server,
    /// To dial.
    Client,
    /// Both, as etcd's peers.
    Both,
}

/// A certificate to be issued.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// Subject CN, if any.
    pub common_name: &'a str,
    /// Subject O, if any.
    pub organization: &'a str,
    /// Names and addresses.
    pub names: &'a [String],
    /// What it is for.
    pub usage: Usage,
    /// How long it counts.
    pub lifetime: Duration,
}

/// An authority that can sign.
pub struct Signer {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    algorithm: &'static SignatureAlgorithm,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(<redacted>)")
    }
}

/// The PEM text in a base64 value of the configuration.
pub fn pem_text(value: &str, what: &'static str) -> Result<String, PkiError> {
    let bytes = STANDARD.decode(value).map_err(|source| PkiError::NotBase64 { what, source })?;
    String::from_utf8(bytes).map_err(|_| PkiError::NotPem(what))
}

/// The PEM texts in base64 values of the configuration, one after the other.
pub fn pem_texts(values: &[String], what: &'static str) -> Result<String, PkiError> {
    let texts: Vec<String> = values.iter().map(|value| pem_text(value, what)).collect::<Result<_, _>>()?;
    Ok(texts.join("\n"))
}

impl Signer {
    /// Loads an authority as it stands in a configuration.
    ///
    /// # Errors
    /// Where certificate or key are not what Talos would accept.
    pub fn load(authority: &config::Authority, what: &'static str) -> Result<Self, PkiError> {
        let certificate_pem = pem_text(&authority.crt, what)?;
        let (key, algorithm) = private_key(&pem_text(&authority.key, what)?, what)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)?;
        Ok(Self { certificate_pem, issuer, algorithm })
    }

    /// A new authority that signs itself, as a machine in maintenance makes one at each boot.
    ///
    /// # Errors
    /// Where the cryptography fails.
    pub fn throw_away() -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject("", "talos");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { certificate_pem, issuer: Issuer::new(params, key), algorithm: &PKCS_ED25519 })
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key, PKCS#8 in PEM: for programs that sign on their own.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a certificate with a key of the authority's own kind.
    ///
    /// # Errors
    /// Where a name cannot be in a certificate.
    pub fn issue(&self, leaf: &Leaf<'_>) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(self.algorithm)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(leaf.common_name, leaf.organization);
        params.subject_alt_names = leaf.names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match leaf.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        let now = SystemTime::now();
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + leaf.lifetime).into();
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn subject(common_name: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    if !common_name.is_empty() {
        name.push(DnType::CommonName, common_name);
    }
    name
}

fn alternative_name(name: &str) -> Result<SanType, PkiError> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

/// The addresses at which something that listens on `address` is to be found, as names for a certificate.
#[must_use]
pub fn local_names(addresses: &[Option<Ipv4Addr>]) -> Vec<String> {
    let mut names = vec![Ipv4Addr::LOCALHOST.to_string(), "localhost".to_owned()];
    names.extend(addresses.iter().flatten().map(ToString::to_string));
    names
}

/// Reads a key of one of Talos' two kinds: PKCS#8 under the label `ED25519 PRIVATE KEY`, or SEC1 of P-256.
fn private_key(text: &str, what: &'static str) -> Result<(KeyPair, &'static SignatureAlgorithm), PkiError> {
    let parsed = pem::parse(text).map_err(|_| PkiError::NotPem(what))?;
    let (der, algorithm) = match parsed.tag() {
        "ED25519 PRIVATE KEY" => (parsed.into_contents(), &PKCS_ED25519),
        "EC PRIVATE KEY" => (pkcs8_of_sec1(parsed.contents()), &PKCS_ECDSA_P256_SHA256),
        _ => return Err(PkiError::NotPem(what)),
    };
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), algorithm)?;
    Ok((key, algorithm))
}

/// Wraps a SEC1 P-256 key as PKCS#8: version 0, `id-ecPublicKey` with `prime256v1`, and the key as an octet string
/// (RFC 5958, RFC 5915).
fn pkcs8_of_sec1(sec1: &[u8]) -> Vec<u8> {
    const VERSION_AND_ALGORITHM: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let mut content = VERSION_AND_ALGORITHM.to_vec();
    content.extend(der_value(0x04, sec1));
    der_value(0x30, &content)
}

/// A DER value of the given tag, of less than 64 KiB.
fn der_value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let [.., high, low] = length.to_be_bytes();
    let mut value = vec![tag];
    match length {
        0..0x80 => value.push(low),
        0x80..0x100 => value.extend([0x81, low]),
        _ => value.extend([0x82, high, low]),
    }
    value.extend_from_slice(content);
    value
}
