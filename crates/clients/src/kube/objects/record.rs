//! Which kinds each component has ever had objects of: the ConfigMap `helix-components` in `kube-system`, one key per
//! component, one kind per line.
//!
//! Objects that a component no longer has are found by its label, and a label can only be looked for kind by kind. A
//! cluster serves a hundred kinds, so what to look through is written down, before the first object of a kind is applied:
//! in the cluster itself, so that it is restored with it and whoever works on it next finds it. Secrets are left out:
//! those that a component needs are made, and go, in another way.

use std::collections::{BTreeMap, BTreeSet};

use helix_engine::seams::WorkloadError;
use helix_plan::components::Component;
use helix_plan::observed::ObjectId;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::cluster::{Cluster, ours};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "helix-components";

/// An API version and a kind of it.
pub(super) type KindName = (String, String);
type Kinds = BTreeMap<String, BTreeSet<KindName>>;

/// The record, once it was read.
#[derive(Default)]
pub(super) struct Record(Mutex<Option<Kinds>>);

impl Cluster {
    /// The kinds that a component has ever had objects of.
    pub(super) async fn kinds_of(&self, component: Component) -> Result<BTreeSet<KindName>, WorkloadError> {
        let mut record = self.memory.record.0.lock().await;
        let kinds = match &mut *record {
            Some(kinds) => kinds,
            None => record.insert(self.read_record().await?),
        };
        Ok(kinds.get(component.name()).cloned().unwrap_or_default())
    }

    /// The kinds that any component has ever had objects of.
    pub(super) async fn all_kinds(&self) -> Result<BTreeSet<KindName>, WorkloadError> {
        let mut record = self.memory.record.0.lock().await;
        let kinds = match &mut *record {
            Some(kinds) => kinds,
            None => record.insert(self.read_record().await?),
        };
        Ok(kinds.values().flatten().cloned().collect())
    }

    /// Writes down that a component has objects of a kind, unless that is known.
    pub(super) async fn record_kind(&self, component: &str, id: &ObjectId) -> Result<(), WorkloadError> {
        let kind = (id.api_version.clone(), id.kind.clone());
        if kind == ("v1".to_owned(), "Secret".to_owned()) {
            return Ok(());
        }
        let mut record = self.memory.record.0.lock().await;
        let kinds = match &mut *record {
            Some(kinds) => kinds,
            None => record.insert(self.read_record().await?),
        };
        if kinds.get(component).is_some_and(|known| known.contains(&kind)) {
            return Ok(());
        }
        kinds.entry(component.to_owned()).or_default().insert(kind);
        let written = self.write_record(kinds).await;
        if written.is_err() {
            // Whether it is there now is not known.
            *record = None;
        }
        written
    }

    async fn read_record(&self) -> Result<Kinds, WorkloadError> {
        let kind = self.known_kind("v1", "ConfigMap").await?;
        let stored = self.get(&kind, Some(NAMESPACE), NAME).await?.unwrap_or_default();
        let data = stored["data"].as_object().into_iter().flatten();
        let read = |text: &Value| text.as_str().unwrap_or_default().lines().filter_map(kind_name).collect();
        Ok(data.map(|(component, text)| (component.clone(), read(text))).collect())
    }

    async fn write_record(&self, kinds: &Kinds) -> Result<(), WorkloadError> {
        let text =
            |kinds: &BTreeSet<KindName>| kinds.iter().map(|(api, kind)| format!("{api} {kind}\n")).collect::<String>();
        let data: BTreeMap<&String, String> = kinds.iter().map(|(component, kinds)| (component, text(kinds))).collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "helix"}},
            "data": data,
        });
        // It is nobody else's, whatever somebody wrote into it.
        self.apply_own(&object, &ours().force()).await
    }
}

fn kind_name(line: &str) -> Option<KindName> {
    line.split_once(' ').map(|(api, kind)| (api.to_owned(), kind.to_owned()))
}
