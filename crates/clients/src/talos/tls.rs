//! TLS to apid: version 1.3, with the platform's own authority, or in maintenance mode without any.

use std::sync::Arc;

use helix_engine::seams::TalosCredentials;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The protocol that gRPC speaks.
const ALPN: &[u8] = b"h2";

/// What of a platform's credentials cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("our own {0} cannot be read")]
pub(super) struct UnusableCredentials(&'static str);

/// The configuration for a machine of the platform whose credentials these are.
pub(super) fn mutual(credentials: &TalosCredentials) -> Result<ClientConfig, UnusableCredentials> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    // While authorities are rotated there are two.
    for authority in certificates(&credentials.ca_pem).ok_or(UnusableCredentials("authority"))? {
        roots.add(authority).map_err(|_| UnusableCredentials("authority"))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|_| UnusableCredentials("authority"))?;
    let chain = vec![certificate(&credentials.certificate_pem).ok_or(UnusableCredentials("certificate"))?];
    let key = key(credentials.key_pem.expose()).ok_or(UnusableCredentials("key"))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| UnusableCredentials("TLS version"))?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|_| UnusableCredentials("key"))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The configuration for a machine in maintenance mode.
pub(super) fn maintenance() -> Result<ClientConfig, UnusableCredentials> {
    let provider = Arc::new(ring::default_provider());
    let verifier = MaintenanceVerifier { algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|_| UnusableCredentials("TLS version"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Accepts the certificate that a machine in maintenance mode shows, whoever signed it.
///
/// There is nothing to hold it against: Talos makes a new authority at each boot until it has a configuration, and
/// Hetzner offers no channel that would tell its fingerprint. Yet the configuration that is sent then holds the
/// platform's secrets. What stands in for the certificate:
///
/// - the address: that of a server which Helix itself has just made, as Hetzner's API (authenticated, over TLS) says;
/// - the path: Hetzner routes a server's address to that server alone, and the platform's firewall, which is part of the
///   request that makes the server, admits only the allow-list to this port, so nobody else can configure it first;
/// - the time: only between a server's first boot and its configuration. A configured machine demands our certificate
///   and shows one of our authority, and is never spoken to in this way again.
///
/// Who can divert packets between the operator and Hetzner in that window can read the configuration; where that is
/// not acceptable the operator belongs into the platform's private network. The handshake's signature is still checked,
/// so the peer holds the key of the certificate it shows and nobody on the way can change what is sent.
#[derive(Debug)]
struct MaintenanceVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for MaintenanceVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Not offered, so never asked for.
        Err(Error::General("TLS 1.2 is not spoken with Talos".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// All certificates of a text, which has at least one and nothing else.
fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let blocks = pem::parse_many(text).ok().filter(|blocks| !blocks.is_empty())?;
    let all_are = blocks.iter().all(|block| block.tag() == "CERTIFICATE");
    all_are.then(|| blocks.into_iter().map(|block| CertificateDer::from(block.into_contents())).collect())
}

fn certificate(text: &str) -> Option<CertificateDer<'static>> {
    let block = pem::parse(text).ok().filter(|block| block.tag() == "CERTIFICATE")?;
    Some(CertificateDer::from(block.into_contents()))
}

/// A key by its PEM label. Talos labels the PKCS#8 of an Ed25519 key in a way of its own.
fn key(text: &str) -> Option<PrivateKeyDer<'static>> {
    let block = pem::parse(text).ok()?;
    match block.tag() {
        "PRIVATE KEY" | "ED25519 PRIVATE KEY" => Some(PrivatePkcs8KeyDer::from(block.into_contents()).into()),
        "EC PRIVATE KEY" => Some(PrivateSec1KeyDer::from(block.into_contents()).into()),
        _ => None,
    }
}
