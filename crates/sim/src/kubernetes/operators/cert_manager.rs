//! cert-manager: issuers are ready at once, and certificates as soon as their issuer is. Each certificate is real, signed by
//! an authority that is made for it and thrown away; no challenge is asked for, and nothing is renewed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::OperatorError;
use super::objects::{Kind, text};
use super::scene::Scene;
use crate::talos::pki::{Leaf, Signer, Usage};

const OPERATOR: &str = "cert-manager";
const ISSUER: Kind = Kind::new("cert-manager.io", "v1", "Issuer", "issuers");
const CLUSTER_ISSUER: Kind = Kind::new("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers").of_cluster();
const CERTIFICATE: Kind = Kind::new("cert-manager.io", "v1", "Certificate", "certificates");
/// As the authorities of the internet have it.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Certificates are renewed when a third of their life is left.
const RENEWED_AFTER: Duration = Duration::from_secs(60 * 24 * 3600);

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    if scene.available(OPERATOR).is_none() || scene.available("cert-manager-webhook").is_none() {
        return Ok(());
    }
    let mut issuers = Vec::new();
    for kind in [ISSUER, CLUSTER_ISSUER] {
        for issuer in scene.list(&kind).await? {
            let why = if issuer["spec"]["acme"].is_null() {
                ("IsReady", "the issuer can sign")
            } else {
                ("ACMEAccountRegistered", "The ACME account was registered with the ACME server")
            };
            let ready = scene.condition(&issuer, "Ready", true, why);
            scene.tell(&kind, &issuer, json!({"conditions": ready})).await?;
            issuers.push(issuer);
        }
    }
    for certificate in scene.list(&CERTIFICATE).await? {
        certify(scene, &certificate, &issuers).await?;
    }
    Ok(())
}

/// What is to be done for a certificate.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It waits, for this reason and in these words.
    Wait(&'static str, String),
    /// It is issued.
    Issue,
    /// It is there.
    Nothing,
}

fn next(certificate: &Value, issuers: &[Value], refused: bool, has_secret: bool) -> Next {
    let (kind, name) = (text(certificate, "/spec/issuerRef/kind"), text(certificate, "/spec/issuerRef/name"));
    let kind = if kind.is_empty() { "Issuer" } else { kind };
    let namespace = text(certificate, "/metadata/namespace");
    let is_its = |issuer: &&Value| {
        issuer["kind"] == kind
            && issuer["metadata"]["name"] == name
            && (kind == "ClusterIssuer" || issuer["metadata"]["namespace"] == namespace)
    };
    let conditions = certificate.pointer("/status/conditions").and_then(Value::as_array);
    let told = conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True");
    if refused {
        let message =
            "The certificate request has failed to complete and will be retried: the authority refuses the order";
        Next::Wait("Failed", message.to_owned())
    } else if issuers.iter().find(is_its).is_none() {
        Next::Wait("IssuerNotFound", format!("Referenced {kind:?} not found: {name}"))
    } else if told && has_secret {
        Next::Nothing
    } else {
        Next::Issue
    }
}

async fn certify(scene: &Scene<'_>, certificate: &Value, issuers: &[Value]) -> Result<(), OperatorError> {
    let [namespace, name, secret] =
        ["/metadata/namespace", "/metadata/name", "/spec/secretName"].map(|pointer| text(certificate, pointer));
    let refused = scene.setting.machines.with_world(|world, _| world.faults().is_certificate_refused(name));
    let has_secret = scene.get(&Kind::SECRET, namespace, secret).await?.is_some();
    match next(certificate, issuers, refused, has_secret) {
        Next::Nothing => {}
        Next::Wait(reason, message) => {
            let conditions = scene.condition(certificate, "Ready", false, (reason, &message));
            scene.tell(&CERTIFICATE, certificate, json!({"conditions": conditions})).await?;
        }
        Next::Issue => {
            scene.apply(OPERATOR, &Kind::SECRET, issued(certificate)?).await?;
            let message = "Certificate is up to date and has not expired";
            let status = json!({
                "conditions": scene.condition(certificate, "Ready", true, ("Ready", message)),
                "notBefore": scene.now,
                "notAfter": scene.now + LIFETIME,
                "renewalTime": scene.now + RENEWED_AFTER,
                "revision": 1,
            });
            scene.tell(&CERTIFICATE, certificate, status).await?;
        }
    }
    Ok(())
}

/// The Secret with a new certificate.
fn issued(certificate: &Value) -> Result<Value, OperatorError> {
    let names = certificate.pointer("/spec/dnsNames").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<String> = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let authority = Signer::throw_away()?;
    let leaf = Leaf {
        common_name: text(certificate, "/spec/commonName"),
        organization: "",
        names: &names,
        usage: Usage::Server,
        lifetime: LIFETIME,
    };
    let issued = authority.issue(&leaf)?;
    let encoded = |text: &str| STANDARD.encode(text);
    Ok(json!({
        "metadata": {
            "name": certificate["spec"]["secretName"],
            "namespace": certificate["metadata"]["namespace"],
            "annotations": {"cert-manager.io/certificate-name": certificate["metadata"]["name"]},
            "labels": {},
        },
        "type": "kubernetes.io/tls",
        "data": {
            "ca.crt": encoded(authority.certificate_pem()),
            "tls.crt": encoded(&issued.certificate_pem),
            "tls.key": encoded(&issued.key_pem),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_issued_once_its_issuer_is_there_and_nobody_refuses() {
        let mut certificate = json!({
            "metadata": {"name": "app", "namespace": "traefik"},
            "spec": {"issuerRef": {"kind": "ClusterIssuer", "name": "letsencrypt"}},
        });
        let issuers = [json!({"kind": "ClusterIssuer", "metadata": {"name": "letsencrypt"}})];
        assert!(matches!(next(&certificate, &[], false, false), Next::Wait("IssuerNotFound", _)));
        assert!(matches!(next(&certificate, &issuers, true, false), Next::Wait("Failed", _)));
        assert_eq!(next(&certificate, &issuers, false, false), Next::Issue);
        certificate["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(next(&certificate, &issuers, false, true), Next::Nothing);
        assert_eq!(next(&certificate, &issuers, false, false), Next::Issue, "its Secret is gone");
    }

    #[test]
    fn an_issuer_is_one_of_the_same_namespace() {
        let certificate = json!({"metadata": {"name": "a", "namespace": "one"}, "spec": {"issuerRef": {"name": "i"}}});
        let issuer = |namespace: &str| [json!({"kind": "Issuer", "metadata": {"name": "i", "namespace": namespace}})];
        assert_eq!(next(&certificate, &issuer("one"), false, false), Next::Issue);
        assert!(matches!(next(&certificate, &issuer("two"), false, false), Next::Wait(..)));
    }
}
