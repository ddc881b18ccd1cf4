//! Secrets without cryptography: seeded values that only have to differ and to be told apart.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_engine::secrets::{ClientIdentity, HUBBLE_VALIDITY, HubbleCertificate, SecretMaker, SecretMakerError};
use helix_plan::secrets::{
    AcceptedAuthorities, Authorities, CertificateAuthority, ClientCertificate, Secret, SecretBundle,
};
use jiff::Timestamp;

use super::Universe;
use crate::world::Rng;

fn authority(rng: &mut Rng, key_label: &str) -> CertificateAuthority {
    let pem = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    CertificateAuthority {
        certificate: pem("CERTIFICATE", &STANDARD.encode(rng.hex(48))),
        key: Secret::new(pem(key_label, &STANDARD.encode(rng.hex(48)))),
    }
}

#[async_trait]
impl SecretMaker for Universe {
    async fn make_bundle(&self, _: Timestamp) -> Result<SecretBundle, SecretMakerError> {
        let mut inner = self.lock();
        let rng = &mut inner.secrets;
        let token = |rng: &mut Rng| Secret::new(format!("{}.{}", rng.hex(6), rng.hex(16)));
        let bytes = |rng: &mut Rng| Secret::new(STANDARD.encode(rng.hex(32)));
        Ok(SecretBundle {
            accepted: AcceptedAuthorities::default(),
            cluster_id: bytes(rng),
            cluster_secret: bytes(rng),
            bootstrap_token: token(rng),
            secretbox_encryption_secret: bytes(rng),
            trustd_token: token(rng),
            os_ca: authority(rng, "ED25519 PRIVATE KEY"),
            etcd_ca: authority(rng, "EC PRIVATE KEY"),
            kubernetes_ca: authority(rng, "EC PRIVATE KEY"),
            aggregator_ca: authority(rng, "EC PRIVATE KEY"),
            service_account_key: authority(rng, "RSA PRIVATE KEY").key,
        })
    }

    fn make_authorities(&self, _: Timestamp) -> Result<Authorities, SecretMakerError> {
        let rng = &mut self.lock().secrets;
        Ok(Authorities { os: authority(rng, "ED25519 PRIVATE KEY"), kubernetes: authority(rng, "EC PRIVATE KEY") })
    }

    fn make_ssh_public_key(&self, comment: &str) -> Result<String, SecretMakerError> {
        let mut blob = Vec::new();
        for part in [b"ssh-ed25519".as_slice(), self.lock().secrets.hex(32).as_bytes()] {
            blob.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
            blob.extend(part);
        }
        Ok(format!("ssh-ed25519 {} {comment}", STANDARD.encode(blob)))
    }

    fn make_password(&self, characters: u8) -> Result<Secret, SecretMakerError> {
        Ok(Secret::new(self.lock().secrets.hex(usize::from(characters))))
    }

    fn issue_hubble_certificate(
        &self,
        bundle: &SecretBundle,
        names: &[String],
        client: bool,
        now: Timestamp,
    ) -> Result<HubbleCertificate, SecretMakerError> {
        let signer = format!("{} by the authority of {} (client: {client})", names.join(" "), bundle.digest());
        let certificate = Shown { signer, expires_at: now + HUBBLE_VALIDITY }.to_text();
        let key = Secret::new(self.lock().secrets.hex(64));
        Ok(HubbleCertificate { authority: format!("the authority of {}", bundle.digest()), certificate, key })
    }

    fn end_of_certificate(&self, certificate: &str) -> Option<Timestamp> {
        Shown::read(certificate).map(|shown| shown.expires_at)
    }

    fn issue_client_certificate(
        &self,
        bundle: &SecretBundle,
        identity: &ClientIdentity,
        validity: Duration,
        now: Timestamp,
    ) -> Result<ClientCertificate, SecretMakerError> {
        let authority = match identity {
            ClientIdentity::Talos(_) => &bundle.os_ca,
            ClientIdentity::KubernetesAdmin { .. } => &bundle.kubernetes_ca,
        };
        let key = Secret::new(self.lock().secrets.hex(64));
        let expires_at = now + validity;
        let certificate = Shown { signer: authority.certificate.clone(), expires_at }.to_text();
        Ok(ClientCertificate { certificate, key, expires_at })
    }
}

/// What a client's certificate says: who signed it, and until when it counts.
pub(super) struct Shown {
    pub(super) signer: String,
    pub(super) expires_at: Timestamp,
}

/// What stands between the two in a certificate's text.
const UNTIL: &str = "not after ";

impl Shown {
    fn to_text(&self) -> String {
        format!("{}{UNTIL}{}", self.signer, self.expires_at)
    }

    /// Reads a certificate that this maker has issued; nothing else is one.
    pub(super) fn read(certificate: &str) -> Option<Self> {
        let (signer, until) = certificate.rsplit_once(UNTIL)?;
        Some(Self { signer: signer.to_owned(), expires_at: until.parse().ok()? })
    }

    /// Whether somebody who knows these authorities (in base64, as a configuration has them) lets its bearer in.
    pub(super) fn is_admitted_by(&self, known: &[String], now: Timestamp) -> bool {
        known.contains(&STANDARD.encode(&self.signer)) && now < self.expires_at
    }
}

/// Whether a client that trusts these authorities (one PEM text) takes a server for genuine whose certificate this
/// authority, in base64, has issued.
pub(super) fn trusts(authorities: &str, issuer: &str) -> bool {
    let issuer = STANDARD.decode(issuer).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    issuer.is_some_and(|issuer| !issuer.is_empty() && authorities.contains(&issuer))
}
