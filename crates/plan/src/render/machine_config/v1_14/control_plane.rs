//! The documents that only a control plane of Talos 1.14 may have, and their shapes.

use serde::Serialize;

use super::super::MachineConfigInputs;
use super::super::api_server::{AuditPolicy, POD_SECURITY, PodSecurityConfiguration};
use super::super::shapes::{Enabled, kubernetes_image};
use super::super::sign_on::{JwtAuthenticator, TrustedIssuer};
use super::documents::Kind;
use crate::secrets::{CertificateAuthority, SecretBundle};

/// What runs the Kubernetes control plane, in the order of Talos' generator.
pub(super) fn documents<'a>(inputs: &'a MachineConfigInputs, bundle: &'a SecretBundle) -> [Kind<'a>; 13] {
    let image = |component: &str| kubernetes_image(inputs, component);
    [
        Kind::KubeAggregatorCAConfig(IssuingCa::of(&bundle.aggregator_ca)),
        Kind::KubeAdmissionControlConfig(AdmissionControl {
            name: POD_SECURITY,
            configuration: PodSecurityConfiguration::baseline(),
        }),
        Kind::KubeAuditPolicyConfig(AuditPolicyConfig { configuration: AuditPolicy::metadata() }),
        Kind::KubeAuthenticationConfig(Authentication::of(inputs.trusted_issuer.as_ref())),
        Kind::KubeAuthorizerConfig(Authorizer { name: "node", kind: "Node" }),
        Kind::KubeAuthorizerConfig(Authorizer { name: "rbac", kind: "RBAC" }),
        Kind::KubeEtcdEncryptionConfig(EtcdEncryption::of_secrets(bundle.secretbox_encryption_secret.expose())),
        Kind::KubeServiceAccountConfig(ServiceAccount {
            issuer: Issuer { private_key: bundle.service_account_key.expose(), url: &inputs.endpoint },
        }),
        Kind::KubeAPIServerConfig(ApiServer { image: image("kube-apiserver"), cert_extra_sans: &inputs.cert_sans }),
        Kind::KubeControllerManagerConfig(ImageAlone { image: image("kube-controller-manager") }),
        Kind::KubeSchedulerConfig(Scheduler { image: image("kube-scheduler"), config: Nothing {} }),
        // Cilium takes its place; Talos wants the image all the same.
        Kind::KubeProxyConfig(Proxy { enabled: false, image: image("kube-proxy"), config: Nothing {} }),
        Kind::KubeCoreDNSConfig(Enabled { enabled: true }),
    ]
}

#[derive(Serialize)]
pub(super) struct IssuingCa<'a> {
    #[serde(rename = "issuingCA")]
    pair: PemPair<'a>,
}

#[derive(Serialize)]
struct PemPair<'a> {
    cert: &'a str,
    key: &'a str,
}

impl<'a> IssuingCa<'a> {
    pub(super) fn of(authority: &'a CertificateAuthority) -> Self {
        Self { pair: PemPair { cert: &authority.certificate, key: authority.key.expose() } }
    }
}

#[derive(Serialize)]
pub(super) struct AdmissionControl {
    name: &'static str,
    configuration: PodSecurityConfiguration,
}

#[derive(Serialize)]
pub(super) struct AuditPolicyConfig {
    configuration: AuditPolicy,
}

#[derive(Serialize)]
pub(super) struct Authentication<'a> {
    configuration: AuthenticationConfiguration<'a>,
}

#[derive(Serialize)]
struct AuthenticationConfiguration<'a> {
    anonymous: Anonymous,
    jwt: Vec<JwtAuthenticator<'a>>,
}

#[derive(Serialize)]
struct Anonymous {
    enabled: bool,
    conditions: [Condition; 3],
}

#[derive(Serialize)]
struct Condition {
    path: &'static str,
}

impl<'a> Authentication<'a> {
    /// Talos' default: who has not said who it is may ask whether the server is well, and nothing else. Besides, whom the
    /// sign-on vouches for.
    fn of(issuer: Option<&'a TrustedIssuer>) -> Self {
        let conditions = ["/livez", "/readyz", "/healthz"].map(|path| Condition { path });
        let anonymous = Anonymous { enabled: true, conditions };
        let jwt = issuer.map(JwtAuthenticator::of).into_iter().collect();
        Self { configuration: AuthenticationConfiguration { anonymous, jwt } }
    }
}

#[derive(Serialize)]
pub(super) struct Authorizer {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct EtcdEncryption<'a> {
    config: EncryptionConfiguration<'a>,
}

#[derive(Serialize)]
struct EncryptionConfiguration<'a> {
    resources: [EncryptedResources<'a>; 1],
}

#[derive(Serialize)]
struct EncryptedResources<'a> {
    resources: [&'static str; 1],
    providers: [Provider<'a>; 1],
}

#[derive(Serialize)]
struct Provider<'a> {
    secretbox: Keys<'a>,
}

#[derive(Serialize)]
struct Keys<'a> {
    keys: [Key<'a>; 1],
}

#[derive(Serialize)]
struct Key<'a> {
    name: &'static str,
    secret: &'a str,
}

impl<'a> EtcdEncryption<'a> {
    /// The key has the name under which Talos wrote secrets before 1.14: the name is stored with what it encrypted.
    fn of_secrets(secret: &'a str) -> Self {
        let keys = [Key { name: "key2", secret }];
        let resources =
            EncryptedResources { resources: ["secrets"], providers: [Provider { secretbox: Keys { keys } }] };
        Self { config: EncryptionConfiguration { resources: [resources] } }
    }
}

#[derive(Serialize)]
pub(super) struct ServiceAccount<'a> {
    issuer: Issuer<'a>,
}

#[derive(Serialize)]
struct Issuer<'a> {
    #[serde(rename = "privateKey")]
    private_key: &'a str,
    #[serde(rename = "issuerURL")]
    url: &'a str,
}

#[derive(Serialize)]
pub(super) struct ApiServer<'a> {
    image: String,
    #[serde(rename = "certExtraSANs")]
    cert_extra_sans: &'a [String],
}

#[derive(Serialize)]
pub(super) struct ImageAlone {
    image: String,
}

#[derive(Serialize)]
pub(super) struct Scheduler {
    image: String,
    config: Nothing,
}

#[derive(Serialize)]
pub(super) struct Proxy {
    enabled: bool,
    image: String,
    config: Nothing,
}

#[derive(Serialize)]
struct Nothing {}
