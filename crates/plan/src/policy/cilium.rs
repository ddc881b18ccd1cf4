//! Cilium's policy resources, as far as Helix writes them.
//!
//! Only fields that Cilium 1.15 and 1.20 both know and read alike: there is no `enableDefaultDeny`, no deny rule and no
//! entity `world` here, so that none can be written. A field is left out where it has nothing to say.

use std::collections::BTreeMap;

use serde::Serialize;

/// The label by which Cilium knows the namespace of a pod.
pub(super) const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";

/// A policy, of one namespace or of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    /// Its name and namespace.
    pub metadata: Metadata,
    pub(super) specs: Vec<Spec>,
}

impl Policy {
    pub(super) fn in_namespace(namespace: &str, name: &str, specs: Vec<Spec>) -> Self {
        let metadata = Metadata { namespace: Some(namespace.to_owned()), ..Metadata::named(name) };
        Self { api_version: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata, specs }
    }

    pub(super) fn clusterwide(name: &str, specs: Vec<Spec>) -> Self {
        let metadata = Metadata::named(name);
        Self { api_version: "cilium.io/v2", kind: "CiliumClusterwideNetworkPolicy", metadata, specs }
    }
}

/// Name, namespace and labels of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its namespace; `None` for one of the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    labels: BTreeMap<&'static str, &'static str>,
}

impl Metadata {
    fn named(name: &str) -> Self {
        let labels = [("app.kubernetes.io/managed-by", "helix")].into();
        Self { name: name.to_owned(), namespace: None, labels }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) description: String,
    pub(super) endpoint_selector: Selector,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ingress: Vec<Ingress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) egress: Vec<Egress>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selector {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) match_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Expression {
    key: &'static str,
    operator: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
}

impl Expression {
    pub(super) fn in_a_namespace() -> Self {
        Self { key: NAMESPACE, operator: "Exists", values: Vec::new() }
    }

    pub(super) fn in_no_namespace_of(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self { key: NAMESPACE, operator: "NotIn", values: namespaces.into_iter().collect() }
    }
}

/// Who may call. One without any field allows nobody, but has the direction denied by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ingress {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) from_endpoints: Vec<Selector>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) from_entities: Vec<&'static str>,
    #[serde(rename = "fromCIDRSet", skip_serializing_if = "Vec::is_empty")]
    pub(super) from_cidr_set: Vec<CidrRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) to_ports: Vec<PortRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) icmps: Vec<IcmpRule>,
}

/// Who may be called. One without any field allows nobody, but has the direction denied by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Egress {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) to_endpoints: Vec<Selector>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) to_entities: Vec<&'static str>,
    #[serde(rename = "toCIDRSet", skip_serializing_if = "Vec::is_empty")]
    pub(super) to_cidr_set: Vec<CidrRule>,
    #[serde(rename = "toFQDNs", skip_serializing_if = "Vec::is_empty")]
    pub(super) to_fqdns: Vec<Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) to_ports: Vec<PortRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct CidrRule {
    pub(super) cidr: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) except: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Name {
    MatchName(String),
    MatchPattern(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PortRule {
    pub(super) ports: Vec<PortProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules: Option<DnsRules>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PortProtocol {
    pub(super) port: String,
    pub(super) protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DnsRules {
    pub(super) dns: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct IcmpRule {
    pub(super) fields: Vec<IcmpField>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct IcmpField {
    pub(super) family: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: u8,
}
