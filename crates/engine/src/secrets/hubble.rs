//! Certificates for Hubble, by an authority of its own: nobody at Talos' or Kubernetes' API trusts it. Its key is not
//! stored, for it follows from the bundle; so an export of the bundle is still all that has to be kept.

use helix_plan::secrets::SecretBundle;
use jiff::Timestamp;
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType};
use sha2::{Digest, Sha256};

use super::pki::{certificate, end_of};
use super::{AUTHORITY_VALIDITY, HUBBLE_VALIDITY, HubbleCertificate, SecretMakerError, keys};

const AUTHORITY: &str = "Cilium CA";

/// The seed of the authority's key.
fn seed(bundle: &SecretBundle) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in ["helix.dev/hubble-authority/v1", bundle.secretbox_encryption_secret.expose()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

pub(super) fn issue(
    bundle: &SecretBundle,
    names: &[String],
    client: bool,
    now: Timestamp,
) -> Result<HubbleCertificate, SecretMakerError> {
    let failed = |subject: &str| {
        let subject = subject.to_owned();
        move |source| SecretMakerError::Signing { subject, source }
    };
    let ends = end_of(now, AUTHORITY_VALIDITY)?;
    let authority_key =
        keys::ed25519_of_seed(&seed(bundle)).ok_or(SecretMakerError::AuthorityKey { authority: AUTHORITY })?;
    let mut authority = certificate(&[(DnType::CommonName, AUTHORITY)], now, ends)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    let signed = authority.self_signed(&authority_key).map_err(failed(AUTHORITY))?;
    let authority_pem = keys::pem_text("CERTIFICATE", signed.der().as_ref());

    let key = keys::pkcs8_p256()?;
    let subject = names.first().map(String::as_str).unwrap_or_default();
    let mut leaf = certificate(&[(DnType::CommonName, subject)], now, end_of(now, HUBBLE_VALIDITY)?)?;
    leaf.subject_alt_names = names
        .iter()
        .map(|name| name.as_str().try_into().map(SanType::DnsName))
        .collect::<Result<_, rcgen::Error>>()
        .map_err(failed(subject))?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    leaf.extended_key_usages = match client {
        true => vec![ExtendedKeyUsagePurpose::ClientAuth],
        // Cilium's own certificate of a machine is for both ends.
        false => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    };
    leaf.use_authority_key_identifier_extension = true;
    let issuer = Issuer::new(authority, authority_key);
    let signed = leaf.signed_by(&key.signer, &issuer).map_err(failed(subject))?;
    Ok(HubbleCertificate {
        authority: authority_pem,
        certificate: keys::pem_text("CERTIFICATE", signed.der().as_ref()),
        key: key.pem,
    })
}
