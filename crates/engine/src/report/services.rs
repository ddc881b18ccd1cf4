//! The Services of type LoadBalancer that a cluster has had, kept in the status: when nobody in the cluster can be asked any
//! more, their UIDs are one half of the proof that a load balancer is this cluster's.
//!
//! A UID is never used twice, so one too many does no harm. Only when the list is full do those go first whose Service and
//! load balancer are gone.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::labels::SERVICE_UID;
use helix_crds::{HelixPlatform, RecordedService};
use helix_plan::observed::Observed;

/// What is recorded from now on: what was, and what the cluster shows.
pub(crate) fn recorded(platform: &HelixPlatform, observed: &Observed) -> Vec<RecordedService> {
    let before = platform.status.as_ref().map(|status| status.services.as_slice()).unwrap_or_default();
    let shown = observed.kubernetes.value().map(|cluster| cluster.services.as_slice()).unwrap_or_default();
    let mut all: BTreeMap<String, String> = before.iter().map(|it| (it.uid.clone(), it.name.clone())).collect();
    all.extend(shown.iter().map(|it| (it.uid.clone(), format!("{}/{}", it.namespace, it.name))));
    if all.len() > RecordedService::MOST {
        let balancers = observed.cloud.value().map(|cloud| cloud.unlabelled.load_balancers.as_slice());
        let labels = balancers.unwrap_or_default().iter().filter_map(|it| it.labels.get(SERVICE_UID));
        let used: BTreeSet<&String> = labels.chain(shown.iter().map(|it| &it.uid)).collect();
        let mut spare = all.len() - RecordedService::MOST;
        all.retain(|uid, _| {
            let goes = spare > 0 && !used.contains(uid);
            spare -= usize::from(goes);
            !goes
        });
    }
    all.into_iter().take(RecordedService::MOST).map(|(uid, name)| RecordedService { uid, name }).collect()
}

#[cfg(test)]
mod tests {
    use helix_plan::observed::{CloudFacts, Fact, KubernetesFacts, Missing, ServiceFacts};
    use jiff::Timestamp;

    use super::*;
    use crate::report::tests::plain;

    fn platform(services: impl IntoIterator<Item = usize>) -> HelixPlatform {
        let service = |number: usize| serde_json::json!({"uid": format!("u{number:04}"), "name": "shop/web"});
        let services: Vec<_> = services.into_iter().map(service).collect();
        plain(serde_json::json!({"services": services}))
    }

    fn observed(services: &[&str]) -> Observed {
        let service = |uid: &&str| ServiceFacts {
            namespace: "shop".into(),
            name: "new".into(),
            uid: (*uid).to_owned(),
            leaving: None,
            addresses: Vec::new(),
        };
        let services = services.iter().map(service).collect();
        let kubernetes = Fact::known(KubernetesFacts { services, ..KubernetesFacts::default() }, Timestamp::UNIX_EPOCH);
        Observed { kubernetes, ..Observed::nothing(CloudFacts::default(), Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn what_was_recorded_outlives_the_service_and_the_cluster() {
        let uids = |recorded: Vec<RecordedService>| recorded.into_iter().map(|it| it.uid).collect::<Vec<_>>();
        assert_eq!(uids(recorded(&platform([1]), &observed(&["u0002"]))), ["u0001", "u0002"]);
        let silent = Observed { kubernetes: Fact::Missing(Missing::NotThereYet), ..observed(&[]) };
        assert_eq!(uids(recorded(&platform([1]), &silent)), ["u0001"]);
    }

    #[test]
    fn a_full_list_lets_go_of_what_is_gone_and_not_of_what_is_there() {
        let full = recorded(&platform(0..RecordedService::MOST), &observed(&["u0000", "z"]));
        assert_eq!(full.len(), RecordedService::MOST);
        assert!(["u0000", "z"].iter().all(|uid| full.iter().any(|it| it.uid == *uid)), "they exist");
        assert!(full.iter().all(|it| it.uid != "u0001"));
    }
}
