//! Secrets without cryptography: seeded values that only have to differ and to be told apart.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_engine::secrets::{ClientIdentity, SecretMaker, SecretMakerError};
use helix_plan::secrets::{CertificateAuthority, ClientCertificate, Secret, SecretBundle};
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

    fn make_ssh_public_key(&self, comment: &str) -> Result<String, SecretMakerError> {
        let mut blob = Vec::new();
        for part in [b"ssh-ed25519".as_slice(), self.lock().secrets.hex(32).as_bytes()] {
            blob.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
            blob.extend(part);
        }
        Ok(format!("ssh-ed25519 {} {comment}", STANDARD.encode(blob)))
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
        Ok(ClientCertificate { certificate: authority.certificate.clone(), key, expires_at: now + validity })
    }
}
