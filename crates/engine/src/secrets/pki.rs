//! The real maker: authorities and certificates with the subjects, usages and formats of Talos' own generator.

use std::time::Duration;

use async_trait::async_trait;
use helix_plan::secrets::{
    AcceptedAuthorities, Authorities, CertificateAuthority, ClientCertificate, Secret, SecretBundle,
};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};

use super::keys::{self, NewKey};
use super::{AUTHORITY_VALIDITY, ClientIdentity, HubbleCertificate, SecretMaker, SecretMakerError, hubble};

/// How much before `now` a certificate begins to be valid.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// Makes real keys and certificates from the system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct PkiMaker;

#[async_trait]
impl SecretMaker for PkiMaker {
    async fn make_bundle(&self, now: Timestamp) -> Result<SecretBundle, SecretMakerError> {
        // The RSA key alone keeps a core busy for up to a second; no other task may wait for that.
        tokio::task::spawn_blocking(move || bundle(now)).await.map_err(|_| SecretMakerError::Stopped)?
    }

    fn make_authorities(&self, now: Timestamp) -> Result<Authorities, SecretMakerError> {
        Ok(Authorities {
            os: authority(Some("talos"), keys::talos_ed25519()?, now)?,
            kubernetes: authority(Some("kubernetes"), keys::sec1_p256()?, now)?,
        })
    }

    fn make_ssh_public_key(&self, comment: &str) -> Result<String, SecretMakerError> {
        keys::ssh_ed25519_public(comment)
    }

    fn make_password(&self, characters: u8) -> Result<Secret, SecretMakerError> {
        keys::password(characters)
    }

    fn issue_hubble_certificate(
        &self,
        bundle: &SecretBundle,
        names: &[String],
        client: bool,
        now: Timestamp,
    ) -> Result<HubbleCertificate, SecretMakerError> {
        hubble::issue(bundle, names, client, now)
    }

    fn end_of_certificate(&self, certificate: &str) -> Option<Timestamp> {
        let block = pem::parse(certificate).ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(block.contents()).ok()?;
        Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
    }

    fn issue_client_certificate(
        &self,
        bundle: &SecretBundle,
        identity: &ClientIdentity,
        validity: Duration,
        now: Timestamp,
    ) -> Result<ClientCertificate, SecretMakerError> {
        match identity {
            ClientIdentity::Talos(role) => {
                let authority = Authority::open("OS", &bundle.os_ca, keys::read_talos_ed25519)?;
                let subject = [(DnType::OrganizationName, role.as_str())];
                authority.issue_client(&subject, keys::talos_ed25519()?, validity, now)
            }
            ClientIdentity::KubernetesAdmin { user } => {
                let authority = Authority::open("Kubernetes", &bundle.kubernetes_ca, keys::read_sec1_p256)?;
                let subject = [(DnType::OrganizationName, "system:masters"), (DnType::CommonName, user.as_str())];
                authority.issue_client(&subject, keys::pkcs8_p256()?, validity, now)
            }
        }
    }
}

fn bundle(now: Timestamp) -> Result<SecretBundle, SecretMakerError> {
    Ok(SecretBundle {
        accepted: AcceptedAuthorities::default(),
        cluster_id: keys::random_base64_url()?,
        cluster_secret: keys::random_base64()?,
        bootstrap_token: keys::token()?,
        secretbox_encryption_secret: keys::random_base64()?,
        trustd_token: keys::token()?,
        os_ca: authority(Some("talos"), keys::talos_ed25519()?, now)?,
        etcd_ca: authority(Some("etcd"), keys::sec1_p256()?, now)?,
        kubernetes_ca: authority(Some("kubernetes"), keys::sec1_p256()?, now)?,
        // Nobody looks at the front proxy's issuer, and Talos leaves it without a name.
        aggregator_ca: authority(None, keys::sec1_p256()?, now)?,
        service_account_key: keys::pkcs1_rsa4096()?,
    })
}

fn authority(
    organization: Option<&str>,
    key: NewKey,
    now: Timestamp,
) -> Result<CertificateAuthority, SecretMakerError> {
    let subject: Vec<_> = organization.map(|name| (DnType::OrganizationName, name)).into_iter().collect();
    let mut params = certificate(&subject, now, end_of(now, AUTHORITY_VALIDITY)?)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let signed = params.self_signed(&key.signer).map_err(|source| SecretMakerError::Signing {
        subject: format!("the {} authority", organization.unwrap_or("aggregator")),
        source,
    })?;
    Ok(CertificateAuthority { certificate: keys::pem_text("CERTIFICATE", signed.der().as_ref()), key: key.pem })
}

/// An authority of the bundle, ready to sign.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ends: Timestamp,
}

impl Authority {
    fn open(
        name: &'static str,
        authority: &CertificateAuthority,
        read_key: fn(&Secret) -> Option<KeyPair>,
    ) -> Result<Self, SecretMakerError> {
        let key = read_key(&authority.key).ok_or(SecretMakerError::AuthorityKey { authority: name })?;
        let unreadable = || SecretMakerError::AuthorityCertificate { authority: name };
        let block = pem::parse(&authority.certificate).map_err(|_| unreadable())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(block.contents()).map_err(|_| unreadable())?;
        let ends = Timestamp::from_second(parsed.validity().not_after.timestamp()).map_err(|_| unreadable())?;
        let issuer = Issuer::from_ca_cert_der(&block.contents().into(), key).map_err(|_| unreadable())?;
        Ok(Self { issuer, ends })
    }

    fn issue_client(
        &self,
        subject: &[(DnType, &str)],
        key: NewKey,
        validity: Duration,
        now: Timestamp,
    ) -> Result<ClientCertificate, SecretMakerError> {
        // No certificate outlives its authority: it would be refused from then on without saying why.
        let expires_at = end_of(now, validity)?.min(self.ends);
        let mut params = certificate(subject, now, expires_at)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key.signer, &self.issuer).map_err(|source| SecretMakerError::Signing {
            subject: subject.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(" "),
            source,
        })?;
        Ok(ClientCertificate {
            certificate: keys::pem_text("CERTIFICATE", signed.der().as_ref()),
            key: key.pem,
            expires_at,
        })
    }
}

pub(super) fn end_of(now: Timestamp, validity: Duration) -> Result<Timestamp, SecretMakerError> {
    let invalid = || SecretMakerError::Validity { moment: format!("{now} + {} s", validity.as_secs()) };
    // Certificates know whole seconds only.
    let second = now.checked_add(validity).map_err(|_| invalid())?.as_second();
    Timestamp::from_second(second).map_err(|_| invalid())
}

/// What every certificate has: subject, a random serial number, and its time.
pub(super) fn certificate(
    subject: &[(DnType, &str)],
    now: Timestamp,
    end: Timestamp,
) -> Result<CertificateParams, SecretMakerError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, name) in subject {
        params.distinguished_name.push(kind.clone(), *name);
    }
    params.serial_number = Some(SerialNumber::from_slice(&keys::serial_number()?));
    let seconds = |moment: Timestamp| {
        let since_epoch = u64::try_from(moment.as_second());
        since_epoch.map(Duration::from_secs).map_err(|_| SecretMakerError::Validity { moment: moment.to_string() })
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(now)?.saturating_sub(CLOCK_TOLERANCE);
    params.not_after = epoch + seconds(end)?;
    Ok(params)
}
