//! Prometheus, Alertmanager and Grafana: what badges and alerts read.
//!
//! No section asks for it: it comes when `components` names it. Webhooks are off, for their certificates would be made
//! by a job of Helm's; Grafana and Alertmanager read Secrets that Helix makes.

use helix_crds::{IngressDomain, PhaseName};
use serde_json::{Value, json};

use super::entry::no_version;
use super::values::merged;
use super::{
    Chart, Component, Entry, Home, PodSecurity, Probe, SecretKey, SecretValue, SecretWanted, Source, Supports, argo_cd,
    authentik, hcloud_csi,
};
use crate::policy::{Flow, Pods, Ports, Target};
use crate::validated::Layers;

const NAMESPACE: &str = "monitoring";
const GRAFANA: &str = "grafana";
const GRAFANA_SECRET: &str = "grafana-admin";
const GRAFANA_OIDC_SECRET: &str = "grafana-oidc";
const ALERTMANAGER_SECRET: &str = "alertmanager-config";

/// Alertmanager without anybody to tell, until somebody is named: alerts show in Grafana.
const QUIET: &str = "route: {receiver: none}\nreceivers: [{name: none}]\n";

pub(super) static ENTRY: Entry = Entry {
    name: "kube-prometheus-stack",
    phase: PhaseName::SecurityWeave,
    // The exporter of machines' figures reads their disks and is on their network.
    home: Home::Own { namespace: NAMESPACE, level: PodSecurity::Privileged },
    source: Source::Chart(Chart::new(
        "https://prometheus-community.github.io/helm-charts",
        "kube-prometheus-stack",
        "90.0.0",
    )),
    needs: &[Component::HcloudCsi],
    after: &[Component::Authentik],
    health: &[
        Probe::Deployment("monitoring-operator"),
        Probe::Deployment("grafana"),
        Probe::Deployment("kube-state-metrics"),
        Probe::StatefulSet("prometheus-monitoring-prometheus"),
        Probe::StatefulSet("alertmanager-monitoring-alertmanager"),
        Probe::DaemonSet("node-exporter"),
    ],
    host_network: Some("the exporter of machines' figures counts their network's traffic"),
    talos_extensions: &[],
    // Alerts go to the port on which Alertmanager tells its metrics.
    metrics: &[8080, 9090, 9093],
    supports: Supports::ALL,
    asked_by: "components: {kube-prometheus-stack: {}}",
    asked: |layers| layers.overrides.contains_key(&Component::KubePrometheusStack),
    version: no_version,
    open_values: &[],
    fixed_values: &[],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets,
};

/// Prometheus' pods.
pub(super) fn prometheus() -> Pods {
    Pods::of(NAMESPACE).with("app.kubernetes.io/name", "prometheus")
}

fn grafana() -> Pods {
    Pods::of(NAMESPACE).with("app.kubernetes.io/name", "grafana")
}

fn values(layers: &Layers) -> Value {
    let claim = |size: &str| {
        json!({"spec": {
            "storageClassName": hcloud_csi::STORAGE_CLASS,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }})
    };
    let off = || json!({"enabled": false});
    let values = json!({
        "fullnameOverride": "monitoring",
        "crds": {"enabled": true},
        "prometheusOperator": {"admissionWebhooks": off(), "tls": off()},
        "prometheus": {"prometheusSpec": {
            "retention": "15d",
            "storageSpec": {"volumeClaimTemplate": claim("20Gi")},
        }},
        "alertmanager": {"alertmanagerSpec": {
            "useExistingSecret": true,
            "configSecret": ALERTMANAGER_SECRET,
            "storage": {"volumeClaimTemplate": claim("10Gi")},
        }},
        "grafana": {
            "fullnameOverride": GRAFANA,
            "admin": {"existingSecret": GRAFANA_SECRET, "userKey": "admin-user", "passwordKey": "admin-password"},
        },
        "kube-state-metrics": {"fullnameOverride": "kube-state-metrics"},
        "prometheus-node-exporter": {"fullnameOverride": "node-exporter"},
        // Talos has no kube-proxy here, and keeps the others to the control planes' own addresses.
        "kubeProxy": off(),
        "kubeEtcd": off(),
        "kubeControllerManager": off(),
        "kubeScheduler": off(),
    });
    match sign_on(layers) {
        Some((sso, host)) => merged(values, &oidc(sso, host)),
        None => values,
    }
}

/// The host of the sign-on and Grafana's own, where Grafana is to trust the one and published at the other: by a domain
/// of the user's that leads to it.
pub(super) fn sign_on(layers: &Layers) -> Option<(&str, &str)> {
    let authentik = layers.authentik.as_ref().filter(|authentik| authentik.oidc.grafana)?;
    let is_grafana = |domain: &&IngressDomain| domain.service.namespace == NAMESPACE && domain.service.name == GRAFANA;
    let domain = layers.domains.iter().flatten().find(is_grafana)?;
    Some((&authentik.host, &domain.host))
}

fn oidc(sso: &str, host: &str) -> Value {
    let role = format!("contains(groups, '{}') && 'Admin' || 'Viewer'", authentik::ADMINS);
    json!({"grafana": {
        "envFromSecrets": [{"name": GRAFANA_OIDC_SECRET}],
        "grafana.ini": {
            "server": {"root_url": format!("https://{host}/")},
            "auth.generic_oauth": {
                "enabled": true,
                "name": "Authentik",
                "client_id": "grafana",
                "scopes": "openid profile email",
                "auth_url": format!("https://{sso}/application/o/authorize/"),
                "token_url": format!("https://{sso}/application/o/token/"),
                "api_url": format!("https://{sso}/application/o/userinfo/"),
                "role_attribute_path": role,
            },
        },
    }})
}

fn flows(layers: &Layers) -> Vec<Flow> {
    let here = || Pods::of(NAMESPACE);
    let resolver = crate::policy::cluster::resolver;
    let machines = Ports::tcp([6443, 9100, 9962, 9963, 10250]);
    let mut flows = vec![
        Flow::new(here(), Target::ApiServer, Ports::tcp([6443]), "monitoring watches what it is to look at"),
        Flow::new(prometheus(), Target::Nodes, machines, "Prometheus asks machines, kubelets and Cilium for metrics"),
        Flow::new(prometheus(), resolver(), Ports::tcp([9153]), "Prometheus asks the DNS servers for metrics"),
        Flow::new(prometheus(), here(), Ports::tcp([3000]), "Prometheus asks Grafana for metrics"),
        Flow::new(grafana(), prometheus(), Ports::tcp([9090]), "Grafana shows what Prometheus knows"),
        Flow::new(grafana(), here(), Ports::tcp([9093]), "Grafana shows alerts"),
    ];
    flows.extend(sign_on(layers).into_iter().flat_map(|(sso, _)| argo_cd::to_sign_on(&grafana(), sso, "Grafana")));
    flows
}

fn secrets(layers: &Layers) -> Vec<SecretWanted> {
    let random = |key| SecretKey::new(key, SecretValue::Random { characters: 32 });
    let plain = |key, text: &str| SecretKey::new(key, SecretValue::Plain(text.to_owned()));
    let admin = vec![plain("admin-user", "admin"), random("admin-password")];
    let mut secrets = vec![
        SecretWanted::new(NAMESPACE, GRAFANA_SECRET, admin),
        SecretWanted::new(NAMESPACE, ALERTMANAGER_SECRET, vec![plain("alertmanager.yaml", QUIET)]),
    ];
    if sign_on(layers).is_some() {
        let (name, key) = (authentik::SECRET.to_owned(), authentik::GRAFANA_SECRET);
        let copied = SecretValue::Component { namespace: authentik::NAMESPACE, name, key };
        let key = SecretKey::new("GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET", copied);
        secrets.push(SecretWanted::new(NAMESPACE, GRAFANA_OIDC_SECRET, vec![key]));
    }
    secrets
}
