//! Cilium's operator brings the definitions of Cilium's resources, which are in no chart, and says of each policy that it
//! is valid. No CiliumNodes, endpoints or identities are made, and no policy is enforced.

use serde_json::{Value, json};

use super::OperatorError;
use super::objects::Kind;
use super::scene::Scene;

const OPERATOR: &str = "cilium-operator";

const POLICIES: [Kind; 2] = [
    Kind::new("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies"),
    Kind::new("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies").of_cluster(),
];
const OTHERS: [Kind; 3] = [
    Kind::new("cilium.io", "v2", "CiliumEndpoint", "ciliumendpoints"),
    Kind::new("cilium.io", "v2", "CiliumIdentity", "ciliumidentities").of_cluster(),
    Kind::new("cilium.io", "v2", "CiliumNode", "ciliumnodes").of_cluster(),
];

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    if scene.available(OPERATOR).is_none() {
        return Ok(());
    }
    let definitions = POLICIES.iter().chain(&OTHERS).map(definition).collect();
    scene.keep(OPERATOR, &Kind::DEFINITION, definitions).await?;
    for kind in &POLICIES {
        for policy in scene.list(kind).await? {
            let valid = scene.condition(&policy, "Valid", true, ("", "Policy validation succeeded"));
            scene.tell(kind, &policy, json!({"conditions": valid})).await?;
        }
    }
    Ok(())
}

fn definition(kind: &Kind) -> Value {
    let short = match kind.kind {
        "CiliumNetworkPolicy" => vec!["cnp", "ciliumnp"],
        "CiliumClusterwideNetworkPolicy" => vec!["ccnp"],
        _ => Vec::new(),
    };
    json!({
        "metadata": {"name": format!("{}.{}", kind.plural, kind.group)},
        "spec": {
            "group": kind.group,
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "names": {
                "kind": kind.kind,
                "listKind": format!("{}List", kind.kind),
                "plural": kind.plural,
                "singular": kind.kind.to_lowercase(),
                "shortNames": short,
            },
            "versions": [{
                "name": kind.version,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "subresources": {"status": {}},
            }],
        },
    })
}
