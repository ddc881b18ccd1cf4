//! The bad platforms: what is changed in the full example, which field is blamed, and what the message says to write.

/// One bad platform.
pub(crate) struct Case {
    /// JSON pointers into the full example, and the JSON to write there; `null` removes a field.
    pub(crate) changes: &'static [(&'static str, &'static str)],
    /// Field that is blamed.
    pub(crate) field: &'static str,
    /// Part of the message: the remedy.
    pub(crate) says: &'static str,
}

const fn case(changes: &'static [(&'static str, &'static str)], field: &'static str, says: &'static str) -> Case {
    Case { changes, field, says }
}

/// Platforms that can't be created.
#[rustfmt::skip]
pub(crate) const CREATIONS: &[Case] = &[
    case(&[("/metadata/name", r#""Prod""#)], "", "at most 40 lower-case letters, digits and dashes"),
    case(&[("/metadata/name", r#""a-name-of-more-than-forty-characters-is-too-long""#)], "", "at most 40 lower-case letters"),
    case(&[("/metadata/name", r#""prod.example""#)], "", "at most 40 lower-case letters"),
    case(&[("/spec/acme", "null")], "spec", "write acme: {email: ops@example.com}, or another issuer"),
    case(&[("/spec/acme/email", r#""nobody""#)], "spec.acme.email", "write for example ops@example.com"),
    case(&[("/spec/acme/server", r#""letsencrypt""#)], "spec.acme.server", "write the authority's directory"),

    case(&[("/spec/versions/talos", r#""1.13.9""#)], "spec.versions.talos", "write it as vX.Y.Z, for example v1.13.9"),
    case(&[("/spec/versions/kubernetes", r#""v1.36""#)], "spec.versions.kubernetes", "write it as vX.Y.Z, for example v1.36.3"),

    case(&[("/spec/provider/hetzner/endpoint", r#""api.hetzner.cloud""#)], "spec.provider.hetzner.endpoint", "write the API's base URL"),
    case(&[("/spec/provider/hetzner/apiAllowlist", r#"["203.0.113.7"]"#)], "spec.provider.hetzner.apiAllowlist", "for example 203.0.113.7/32"),
    case(&[("/spec/provider/hetzner/apiAllowlist", "[]")], "spec.provider.hetzner.apiAllowlist", "write the CIDR that you call from"),
    case(&[("/spec/provider/hetzner/operatorEgress", r#"["office"]"#)], "spec.provider.hetzner.operatorEgress", "for example 198.51.100.20/32"),
    case(&[("/spec/provider/hetzner/image/schematic", r#""cilium""#)], "spec.provider.hetzner.image.schematic", "write the 64 hex digits"),
    case(&[("/spec/provider/hetzner/network/cidr", r#""10.0.0.0""#)], "spec.provider.hetzner.network.cidr", "for example 10.0.0.0/16"),
    case(&[("/spec/provider/hetzner/network/subnet", r#""10.0.1.0/33""#)], "spec.provider.hetzner.network.subnet", "for example 10.0.1.0/24"),
    case(&[("/spec/provider/hetzner/network/podCidr", r#""pods""#)], "spec.provider.hetzner.network.podCidr", "for example 10.244.0.0/16"),
    case(&[("/spec/provider/hetzner/network/serviceCidr", r#""10.96.0.0.0/12""#)], "spec.provider.hetzner.network.serviceCidr", "for example 10.96.0.0/12"),

    case(&[("/spec/endpoint/type", r#""Dns""#)], "spec.endpoint", "write {type: Dns, host: api.example.com}"),
    case(&[("/spec/endpoint/host", r#""api.example.com""#)], "spec.endpoint", "or leave host out"),
    case(&[("/spec/endpoint", r#"{"type": "Dns", "host": "https://api.example.com"}"#)], "spec.endpoint.host", "for example api.example.com"),

    case(&[("/spec/controlPlane/replicas", "2")], "spec.controlPlane.replicas", "write 1, 3 or 5"),
    case(&[("/spec/controlPlane/replicas", "7")], "spec.controlPlane.replicas", "write 1, 3 or 5"),
    case(&[("/spec/controlPlane/replicas", "0")], "spec.controlPlane.replicas", "write 1, 3 or 5"),

    case(&[("/spec/controlPlane/placements", "[]")], "spec.controlPlane.placements", "[{serverType: cx33, location: fsn1}]"),
    case(&[("/spec/workerPools/0/placements", "[]")], "spec.workerPools[0].placements", "[{serverType: cx33, location: fsn1}]"),

    case(&[("/spec/workerPools/1/name", r#""general""#)], "spec.workerPools", "write each pool once"),
    case(&[("/spec/workerPools/0/name", r#""gpu-large""#)], "spec.workerPools[0].name", "write 1 to 15 of a-z and 0-9"),
    case(&[("/spec/workerPools/0/name", r#""cp""#)], "spec.workerPools[0].name", "write another name, for example general"),
    case(&[("/spec/workerPools/0/autoscale", r#"{"min": 1, "max": 2}"#)], "spec.workerPools[0]", "write exactly one, for example replicas: 3"),
    case(&[("/spec/workerPools/1/autoscale", "null")], "spec.workerPools[1]", "write exactly one, for example replicas: 3"),
    case(&[("/spec/workerPools/1/autoscale/min", "21")], "spec.workerPools[1].autoscale", "for example {min: 2, max: 20}"),
    case(&[("/spec/workerPools/0/maxMonthlyPrice", r#""12,50 EUR""#)], "spec.workerPools[0].maxMonthlyPrice", r#"for example "12.50""#),
    case(&[("/spec/workerPools/0/storage/volume", r#""100Gi""#)], "spec.workerPools[0].storage", "for example {volume: 100Gi}"),
    case(&[("/spec/workerPools/0/storage", "{}")], "spec.workerPools[0].storage", "for example {volume: 100Gi}"),
    case(&[("/spec/workerPools/0/storage/systemDisk", r#""40GB""#)], "spec.workerPools[0].storage.systemDisk", "for example 40Gi"),
    case(&[("/spec/workerPools/1/storage/volume", r#""-1Gi""#)], "spec.workerPools[1].storage.volume", "for example 100Gi"),

    case(&[("/spec/encryption", r#"{"disk": "ExternalKms"}"#)], "spec.encryption", "{disk: ExternalKms, endpoint: https://kms.example.com:4050}"),
    case(&[("/spec/encryption/disk", r#""NodeId""#)], "spec.encryption", "or leave endpoint out"),
    case(&[("/spec/encryption/endpoint", r#""kms""#)], "spec.encryption.endpoint", "for example https://kms.example.com:4050"),
    case(&[("/spec/dns/zone", "null")], "spec.dns", "for example {provider: Hetzner, zone: example.com}"),
    case(&[("/spec/upgrade/maxUnavailable", "0")], "spec.upgrade.maxUnavailable", r#"for example 1 or "25%""#),
    case(&[("/spec/upgrade/maxUnavailable", r#""101%""#)], "spec.upgrade.maxUnavailable", r#"for example 1 or "25%""#),
    case(&[("/spec/upgrade/window", r#""at night""#)], "spec.upgrade.window", "for example Sat 02:00-05:00 UTC"),
    case(&[("/spec/remediation/maxUnhealthy", r#""most""#)], "spec.remediation.maxUnhealthy", r#"for example 2 or "40%""#),

    case(&[("/spec/securityWeave/cilium/version", r#""v1.20""#)], "spec.securityWeave.cilium.version", "for example 1.20.0"),
    case(&[("/spec/securityWeave/defaultDeny/allow/0/from", r#"{"fqdn": "example.com"}"#)], "spec.securityWeave.defaultDeny.allow[0]", "write fqdn in to, or a cidr in from"),
    case(&[("/spec/securityWeave/defaultDeny/allow/0/from", "{}")], "spec.securityWeave.defaultDeny.allow[0].from", "for example {namespace: shop}"),
    case(&[("/spec/securityWeave/defaultDeny/allow/0/to/cidr", r#""10.0.0.0/8""#)], "spec.securityWeave.defaultDeny.allow[0].to", "for example {namespace: shop}"),
    case(&[("/spec/securityWeave/defaultDeny/allow/0/from", r#"{"cidr": "10.0.0.0/8", "podLabels": {"app": "web"}}"#)], "spec.securityWeave.defaultDeny.allow[0].from", "write namespace, too"),
    case(&[("/spec/securityWeave/defaultDeny/allow/1/to/podLabels", r#"{"app": "web"}"#)], "spec.securityWeave.defaultDeny.allow[1].to", "write namespace, too"),
    case(&[("/spec/securityWeave/defaultDeny/allow/2/from/cidr", r#""world""#)], "spec.securityWeave.defaultDeny.allow[2].from.cidr", "for example 198.51.100.0/24"),
    case(&[("/spec/securityWeave/defaultDeny/allow/2/to", r#"{"cidr": "world"}"#)], "spec.securityWeave.defaultDeny.allow[2].to.cidr", "for example 198.51.100.0/24"),
    case(&[("/spec/securityWeave/netbird/managementUrl", r#""netbird""#)], "spec.securityWeave.netbird.managementUrl", "for example https://api.netbird.io"),

    case(&[("/spec/gitops/argocd/version", r#""latest""#)], "spec.gitops.argocd.version", "for example 10.1.1"),
    case(&[("/spec/gitops/repository/url", r#""https://me:secret@example.com/platform.git""#)], "spec.gitops.repository.url", "into the Secret of credentialsSecretRef"),
    case(&[("/spec/gitops/repository/path", r#""../other""#)], "spec.gitops.repository.path", "for example clusters/prod"),

    case(&[("/spec/data/longhorn/version", r#""1.12""#)], "spec.data.longhorn.version", "for example 1.12.1"),
    case(&[("/spec/data/postgres/0/storage", r#""much""#)], "spec.data.postgres[0].storage", "for example 20Gi"),
    case(&[("/spec/data/postgres/0/backup/schedule", r#""every day""#)], "spec.data.postgres[0].backup.schedule", r#"for example "0 0 * * *""#),
    case(&[("/spec/data/postgres/0/backup/retention", r#""forever""#)], "spec.data.postgres[0].backup.retention", "for example 30d"),
    case(&[("/spec/data/redis/0/replicas", "2")], "spec.data.redis[0]", "write replicas: 3 or more, or sentinel: false"),
    case(&[("/spec/ai/ollama/storage", r#""0""#)], "spec.ai.ollama.storage", "for example 50Gi"),
    case(&[("/spec/backup/etcd/schedule", r#""@daily""#)], "spec.backup.etcd.schedule", r#"for example "0 0 * * *""#),
    case(&[("/spec/backup/etcd/retention", r#""7 days""#)], "spec.backup.etcd.retention", "for example 30d"),

    case(&[("/spec/supplyChain/verify/0/publicKey", r#""-----BEGIN PUBLIC KEY-----""#)], "spec.supplyChain.verify[0]", "write one of them"),
    case(&[("/spec/supplyChain/verify/0/keyless", "null")], "spec.supplyChain.verify[0]", "write keyless or publicKey, or policy: Warn"),
    case(&[("/spec/adopt/0/machine", "null")], "spec.adopt[0]", "write {kind: Server, id: 123, machine: dev-cp-0}"),
    case(&[("/spec/adopt/1/machine", r#""prod-cp-1""#)], "spec.adopt[1]", "or leave machine out"),
];

/// Changes of the full example that its API server must not let through.
#[rustfmt::skip]
pub(crate) const UPDATES: &[Case] = &[
    // Stands for a second kind of provider, which the schema doesn't have yet.
    case(&[("/spec/provider", r#"{"other": {}}"#)], "spec.provider", "create another platform at the other provider"),
    case(&[("/spec/provider/hetzner/network/cidr", r#""10.1.0.0/16""#)], "spec.provider.hetzner.network.cidr", "create another platform with the wanted range"),
    case(&[("/spec/provider/hetzner/network/subnet", r#""10.0.2.0/24""#)], "spec.provider.hetzner.network.subnet", "create another platform with the wanted range"),
    case(&[("/spec/provider/hetzner/network/zone", r#""us-east""#)], "spec.provider.hetzner.network.zone", "create another platform in the wanted zone"),
    case(&[("/spec/provider/hetzner/network/podCidr", r#""10.128.0.0/16""#)], "spec.provider.hetzner.network.podCidr", "create another platform with the wanted range"),
    case(&[("/spec/provider/hetzner/network/serviceCidr", r#""10.112.0.0/12""#)], "spec.provider.hetzner.network.serviceCidr", "create another platform with the wanted range"),
    case(&[("/spec/endpoint", r#"{"type": "Dns", "host": "api.example.com"}"#)], "spec.endpoint.type", "create another platform"),
    case(&[("/spec/encryption", r#"{"disk": "None"}"#)], "spec.encryption", "create another platform with the wanted encryption"),
];
