//! A certificate and a route for each host of the platform, and who is asked before somebody is let through.
//!
//! All are in Traefik's own namespace, the only one whose routes it reads.

use helix_crds::IngressAuth;
use serde_json::{Value, json};

use super::NAMESPACE;
use crate::components::{Component, authentik, cert_manager};
use crate::validated::Layers;

/// The middleware that asks Authentik.
const FORWARD_AUTH: &str = "authentik";
/// Where Authentik's own outpost answers, whatever the host.
const OUTPOST: &str = "/outpost.goauthentik.io/";

/// A host and the service behind it.
struct Route<'a> {
    host: &'a str,
    issuer: &'a str,
    namespace: &'a str,
    service: &'a str,
    port: u16,
    auth: IngressAuth,
}

pub(super) fn routes(layers: &Layers, _: &Value) -> Vec<Value> {
    let hosts = hosts(layers);
    let guarded = hosts.iter().any(|route| route.auth == IngressAuth::ForwardAuth);
    let middleware = guarded.then(forward_auth);
    let routes = hosts.iter().flat_map(|route| [certificate(route), ingress_route(route)]);
    middleware.into_iter().chain(routes).collect()
}

/// The platform's own pages first. They sign on by themselves, so nobody is asked before them.
fn hosts(layers: &Layers) -> Vec<Route<'_>> {
    let own = |host, component: Component, service, port| Route {
        host,
        issuer: cert_manager::ISSUER,
        namespace: component.entry().home.namespace(),
        service,
        port,
        auth: IngressAuth::None,
    };
    let sso = layers.authentik.as_ref().map(|found| own(&found.host, Component::Authentik, "authentik-server", 80));
    let argocd = layers.argocd().and_then(|found| found.host.as_deref());
    let argocd = argocd.map(|host| own(host, Component::ArgoCd, "argocd-server", 80));
    let domains = layers.domains.iter().flatten().map(|domain| Route {
        host: &domain.host,
        issuer: &domain.issuer,
        namespace: &domain.service.namespace,
        service: &domain.service.name,
        port: domain.service.port,
        auth: domain.auth,
    });
    sso.into_iter().chain(argocd).chain(domains).collect()
}

/// A host as the name of a resource.
fn name(host: &str) -> String {
    host.replace('.', "-")
}

fn certificate(route: &Route<'_>) -> Value {
    let name = name(route.host);
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "secretName": format!("{name}-tls"),
            "dnsNames": [route.host],
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": route.issuer},
        },
    })
}

fn ingress_route(route: &Route<'_>) -> Value {
    let name = name(route.host);
    let host = format!("Host(`{}`)", route.host);
    let service = json!({"name": route.service, "namespace": route.namespace, "port": route.port});
    let mut routes = Vec::new();
    if route.auth == IngressAuth::ForwardAuth {
        routes.push(
            json!({"kind": "Rule", "match": host, "services": [service], "middlewares": [{"name": FORWARD_AUTH}]}),
        );
        // Signing on itself must not ask who is signed on.
        let outpost = format!("{host} && PathPrefix(`{OUTPOST}`)");
        let namespace = Component::Authentik.entry().home.namespace();
        let services = json!([{"name": "authentik-server", "namespace": namespace, "port": 80}]);
        routes.push(json!({"kind": "Rule", "match": outpost, "priority": 1000, "services": services}));
    } else {
        routes.push(json!({"kind": "Rule", "match": host, "services": [service]}));
    }
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "entryPoints": ["websecure"],
            "routes": routes,
            "tls": {"secretName": format!("{name}-tls")},
        },
    })
}

fn forward_auth() -> Value {
    let namespace = Component::Authentik.entry().home.namespace();
    let address =
        format!("http://authentik-server.{namespace}.svc.cluster.local:{}{OUTPOST}auth/traefik", authentik::HTTP);
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"name": FORWARD_AUTH, "namespace": NAMESPACE},
        "spec": {"forwardAuth": {
            "address": address,
            "trustForwardHeader": true,
            "authResponseHeaders": [
                "X-authentik-username", "X-authentik-groups", "X-authentik-email", "X-authentik-name",
                "X-authentik-uid", "X-authentik-jwt",
            ],
        }},
    })
}
