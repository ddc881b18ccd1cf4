//! TLS as Talos' API, etcd and the Kubernetes API want it, on rustls with the one cryptographic provider named
//! explicitly: no process-wide default is installed or relied on.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::pki::{Issued, PkiError};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| PkiError::NotPem("certificate"))
}

fn identity(issued: &Issued) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError> {
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).map_err(|_| PkiError::NotPem("key"))?;
    Ok((certificates(&issued.certificate_pem)?, key))
}

fn roots(authority_pem: &str) -> Result<Arc<RootCertStore>, PkiError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority_pem)? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

/// What is spoken within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// As Kubernetes' API is asked here.
    Http1,
    /// gRPC.
    Http2,
}

impl Protocol {
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
        }
    }
}

/// Whether this authority has issued a client's certificate that counts now.
#[must_use]
pub fn is_issued_by(certificate_pem: &str, authority_pem: &str) -> bool {
    let verifier = roots(authority_pem)
        .ok()
        .and_then(|roots| WebPkiClientVerifier::builder_with_provider(roots, provider()).build().ok());
    let chain = certificates(certificate_pem).unwrap_or_default();
    match (verifier, chain.split_first()) {
        (Some(verifier), Some((own, others))) => verifier.verify_client_cert(own, others, UnixTime::now()).is_ok(),
        _ => false,
    }
}

/// For a client that trusts one authority and shows a certificate.
///
/// # Errors
/// Where certificate, key or authority cannot be used.
pub fn client(authority_pem: &str, issued: &Issued, protocol: Protocol) -> Result<Arc<ClientConfig>, PkiError> {
    let (chain, key) = identity(issued)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authority_pem)?)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = protocol.names();
    Ok(Arc::new(config))
}

/// For a client that trusts one authority and shows no certificate.
///
/// # Errors
/// Where the authority cannot be used.
pub fn anonymous_client(authority_pem: &str, protocol: Protocol) -> Result<Arc<ClientConfig>, PkiError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authority_pem)?)
        .with_no_client_auth();
    config.alpn_protocols = protocol.names();
    Ok(Arc::new(config))
}

/// For maintenance: any client, and a certificate that is sent along is not even asked for.
///
/// # Errors
/// Where certificate or key cannot be used.
pub fn maintenance_server(issued: &Issued) -> Result<Arc<ServerConfig>, PkiError> {
    let (chain, key) = identity(issued)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = Protocol::Http2.names();
    Ok(Arc::new(config))
}

/// For apid of a configured machine: clients of the authority only, with certificates made for clients only.
///
/// # Errors
/// Where certificate, key or authority cannot be used.
pub fn mutual_server(authority_pem: &str, issued: &Issued) -> Result<Arc<ServerConfig>, PkiError> {
    let inner = WebPkiClientVerifier::builder_with_provider(roots(authority_pem)?, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let (chain, key) = identity(issued)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(ClientsOnly(inner)))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = Protocol::Http2.names();
    Ok(Arc::new(config))
}

/// Accepts what webpki accepts, if the extended key usage is there and says `clientAuth` and nothing else.
#[derive(Debug)]
struct ClientsOnly(Arc<dyn ClientCertVerifier>);

fn is_for_clients_only(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    match parsed.extended_key_usage() {
        Ok(Some(usage)) => {
            let usage = usage.value;
            usage.client_auth && !usage.server_auth && !usage.any && usage.other.is_empty()
        }
        Ok(None) | Err(_) => false,
    }
}

impl ClientCertVerifier for ClientsOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        match is_for_clients_only(end_entity) {
            true => Ok(verified),
            false => Err(Error::InvalidCertificate(CertificateError::InvalidPurpose)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The roles in a client certificate: its Subject O.
#[must_use]
pub fn roles(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    parsed.subject().iter_organization().filter_map(|role| role.as_str().ok()).map(str::to_owned).collect()
}
