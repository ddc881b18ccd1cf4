//! The receipt of a teardown as a ConfigMap: what is in it, and whether one that is there may give way to it. No I/O.

use std::collections::BTreeMap;

use helix_crds::labels;
use helix_engine::seams::Receipt;
use helix_plan::names::PlatformIdentity;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;

use super::names;

/// Nobody owns it: it is for whoever asks after the platform is gone.
pub(super) fn of(platform: &PlatformIdentity, receipt: &Receipt) -> ConfigMap {
    let entry = |(key, value): (&str, String)| (key.to_owned(), value);
    let data = [
        ("name", platform.name.clone()),
        ("uid", platform.uid.clone()),
        ("deletedAt", format!("{:.0}", receipt.at)),
        ("deletedCount", receipt.deleted_count.to_string()),
        ("deleted", lines(&receipt.deleted)),
        ("kept", lines(&receipt.kept)),
    ];
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(names::receipt(platform)),
            namespace: Some(platform.namespace.clone()),
            labels: Some(names::owner_labels(platform)),
            ..ObjectMeta::default()
        },
        data: Some(data.into_iter().map(entry).collect::<BTreeMap<_, _>>()),
        ..ConfigMap::default()
    }
}

fn lines(names: &[String]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

/// Whether this is the receipt of a platform of that name, of this one or of one that was there before.
pub(super) fn is_one(platform: &PlatformIdentity, stored: &ConfigMap) -> bool {
    let name = stored.metadata.labels.as_ref().and_then(|labels| labels.get(labels::PLATFORM));
    name == Some(&platform.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_says_what_became_of_everything_and_belongs_to_nobody() {
        let platform = PlatformIdentity { namespace: "helix-system".into(), name: "dev".into(), uid: "u1".into() };
        let receipt = Receipt {
            at: "2026-11-21T09:00:00Z".parse().unwrap(),
            deleted: vec!["network dev".into(), "server dev-cp-0".into()],
            deleted_count: 2,
            kept: Vec::new(),
        };
        let stored = of(&platform, &receipt);
        assert_eq!(stored.metadata.name.as_deref(), Some("dev-receipt"));
        assert_eq!(stored.metadata.owner_references, None);
        let data = stored.data.as_ref().unwrap();
        assert_eq!(data["deleted"], "network dev\nserver dev-cp-0\n");
        assert_eq!((&*data["uid"], &*data["deletedAt"], &*data["kept"]), ("u1", "2026-11-21T09:00:00Z", ""));

        let namesake = PlatformIdentity { uid: "u2".into(), ..platform };
        assert!(is_one(&namesake, &stored), "a later platform's receipt takes its place");
        assert!(!is_one(&namesake, &ConfigMap::default()), "what a user made stays");
    }
}
