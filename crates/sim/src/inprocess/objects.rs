//! The objects of components, kept with the cluster that holds them. What runs becomes healthy some time after it was
//! applied; Cilium brings the pod network and its own kinds, the cloud controller manager what nodes wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use async_trait::async_trait;
use helix_engine::seams::{Answer, Manifest, Marks, Objects, SecretData, WorkloadError, WorkloadRoute};
use helix_plan::components::{Component, Probe, Question};
use helix_plan::observed::{Health, ObjectId, ObjectState, SavedDatabase, Surplus};
use helix_plan::secrets::Secret;
use jiff::{SignedDuration, Timestamp};

use super::{Inner, Universe};
use crate::world::ServerId;
use crate::world::machine::{AddOns, ExposedService, HeldObject, HeldSecret, Inside, NodeCondition, ObjectKey, models};

/// How long pods need to run.
pub(super) const COMES_UP: SignedDuration = SignedDuration::from_secs(15);

/// What the UIDs of objects of components begin with.
const OF_A_COMPONENT: &str = "uid-";

/// Namespaces that every cluster has.
const AT_BIRTH: [&str; 2] = ["default", "kube-system"];

/// The kind that defines others: with it go all objects that it defines.
const DEFINITION: &str = "CustomResourceDefinition";

/// Who applies what Helix applies.
const MANAGER: &str = "helix";

pub(super) fn key(id: &ObjectId) -> ObjectKey {
    (id.api_version.clone(), id.kind.clone(), id.namespace.clone(), id.name.clone())
}

fn id(key: &ObjectKey) -> ObjectId {
    let (api_version, kind, namespace, name) = key.clone();
    ObjectId { api_version, kind, namespace, name }
}

/// Whether the cluster knows the kinds of that group: Kubernetes' own, what is defined, and what Cilium's operator defines.
pub(super) fn knows(inside: &Inside, api_version: &str, now: Timestamp) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    if !group.contains('.') || group.ends_with(".k8s.io") {
        return true;
    }
    if group == "cilium.io" {
        return workload(inside, "Deployment", "kube-system", "cilium-operator").is_some_and(|it| is_up(it, now));
    }
    let defines = |key: &ObjectKey| key.1 == "CustomResourceDefinition" && key.3.ends_with(&format!(".{group}"));
    inside.objects.keys().any(defines)
}

pub(super) fn workload<'a>(inside: &'a Inside, kind: &str, namespace: &str, name: &str) -> Option<&'a HeldObject> {
    inside.objects.get(&("apps/v1".to_owned(), kind.to_owned(), Some(namespace.to_owned()), name.to_owned()))
}

pub(super) fn is_up(object: &HeldObject, now: Timestamp) -> bool {
    object.since + COMES_UP <= now
}

fn state(inside: &Inside, manifest: &Manifest, component: Component, now: Timestamp) -> ObjectState {
    if !knows(inside, &manifest.id.api_version, now) {
        return ObjectState::UnknownKind;
    }
    match inside.objects.get(&key(&manifest.id)) {
        None => ObjectState::Missing,
        Some(held) if held.component.as_deref() != Some(component.name()) => {
            ObjectState::Foreign { manager: held.manager.clone() }
        }
        Some(held) if held.digest.as_ref() == Some(&manifest.digest) => ObjectState::AsWanted,
        Some(held) if !held.contested.is_empty() => ObjectState::Conflict { fields: held.contested.clone() },
        Some(_) => ObjectState::Differs,
    }
}

/// What carries a component's label and is rendered no longer.
fn surplus(inside: &Inside, component: Component, wanted: &[Arc<Manifest>]) -> Vec<Surplus> {
    let is_wanted = |key: &ObjectKey| wanted.iter().any(|manifest| manifest.id == id(key));
    let ours = inside.objects.iter().filter(|(_, held)| held.component.as_deref() == Some(component.name()));
    let too_much = ours.filter(|(key, _)| !is_wanted(key));
    too_much
        .map(|(key, held)| {
            let others = |other: &HeldObject| other.component != held.component;
            let inhabited = || inside.objects.iter().any(|(it, other)| it.2.as_ref() == Some(&key.3) && others(other));
            let keep = match key.1.as_str() {
                "Namespace" if inhabited() => Some("it has content of others"),
                "PersistentVolumeClaim" => Some("it is a claim to a volume"),
                DEFINITION if inside.objects.keys().any(|it| defined_by(&key.3) == group(it)) => {
                    Some("there are resources of it")
                }
                _ => None,
            };
            Surplus { id: id(key), uid: held.uid.clone(), keep: keep.map(str::to_owned) }
        })
        .collect()
}

/// The group of an object's kind.
fn group(key: &ObjectKey) -> Option<&str> {
    key.0.split_once('/').map(|(group, _)| group)
}

/// The group of the kind that a definition of that name defines.
fn defined_by(definition: &str) -> Option<&str> {
    definition.split_once('.').map(|(_, group)| group)
}

/// The first object of one of these kinds in a namespace.
fn custom<'a>(inside: &'a Inside, namespace: &str, kind: Option<&str>) -> Option<(&'a ObjectKey, &'a HeldObject)> {
    let fits = |key: &ObjectKey| {
        let of_kind = kind.map_or(key.0.contains('.') && !key.0.starts_with("cilium.io/"), |kind| key.1 == kind);
        of_kind && key.2.as_deref() == Some(namespace)
    };
    inside.objects.iter().find(|(key, _)| fits(key))
}

/// Services of components whose objects are gone leave with their load balancers.
fn leave_services(inside: &mut Inside, now: Timestamp) {
    let left: BTreeSet<String> = inside.objects.values().map(|held| held.uid.clone()).collect();
    let gone = inside.services.values_mut().filter(|it| it.uid.starts_with(OF_A_COMPONENT) && !left.contains(&it.uid));
    gone.for_each(|service| service.leaving = service.leaving.or(Some(now)));
}

/// The first workload of a namespace.
fn running<'a>(inside: &'a Inside, namespace: &str) -> Option<(&'a ObjectKey, &'a HeldObject)> {
    inside.objects.iter().find(|(key, _)| key.0 == "apps/v1" && key.2.as_deref() == Some(namespace))
}

/// The Secret that CloudNativePG makes for the application of a cluster.
fn of_database(inside: &Inside, namespace: &str, name: &str) -> Option<HeldSecret> {
    let cluster = name.strip_suffix("-app")?;
    let is_it = |key: &ObjectKey| key.1 == "Cluster" && key.2.as_deref() == Some(namespace) && key.3 == cluster;
    let uri = format!("postgresql://app:simulated@{cluster}-rw.{namespace}:5432/app");
    inside.objects.keys().any(is_it).then(|| HeldSecret::from([("uri".to_owned(), uri)]))
}

impl Inner {
    pub(super) fn look(&self, server: ServerId) -> &Inside {
        static NOTHING: Inside = Inside {
            services: BTreeMap::new(),
            claims: BTreeMap::new(),
            volumes: BTreeMap::new(),
            objects: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        self.world.guests().inside_at(server).unwrap_or(&NOTHING)
    }

    fn health(&self, server: ServerId, namespace: &str, probe: &Probe) -> Health {
        let inside = self.look(server);
        let now = self.now;
        let told = |what: String, held: Option<&HeldObject>| match held {
            Some(held) if is_up(held, now) => Health::Healthy { evidence: format!("{what} is available") },
            Some(_) => Health::Unhealthy { why: format!("{what}: 0 of 1 replicas are available") },
            None => Health::Unhealthy { why: format!("{what} is not there") },
        };
        let one = |kind: &str, name: &str| {
            told(format!("{kind} {namespace}/{name}"), workload(inside, kind, namespace, name))
        };
        match probe {
            Probe::Deployment(name) => one("Deployment", name),
            Probe::DaemonSet(name) => one("DaemonSet", name),
            Probe::StatefulSet(name) => one("StatefulSet", name),
            Probe::StatefulSets => {
                told(format!("StatefulSets in {namespace}"), custom(inside, namespace, None).map(|(_, held)| held))
            }
            Probe::Condition { kind, .. } | Probe::Told { kind, .. } | Probe::Status { kind, .. } => {
                // What nobody has applied is made by whoever runs there.
                let held = custom(inside, namespace, Some(kind)).or_else(|| running(inside, namespace));
                told(format!("{kind} in {namespace}"), held.map(|(_, held)| held))
            }
            Probe::Answers(question) | Probe::Models(question) => {
                self.answer(server, namespace, question).health(namespace, question)
            }
            Probe::NodesReady => self.nodes(server, "is not Ready", |node| node.condition == NodeCondition::Ready),
            Probe::NodesWithoutTaint(taint) => {
                self.nodes(server, taint, |node| node.taints.iter().all(|found| found.key != *taint))
            }
        }
    }

    fn nodes(&self, server: ServerId, why: &str, good: impl Fn(&crate::world::machine::Node) -> bool) -> Health {
        let nodes = self.world.guests().nodes_at(server);
        match nodes.into_iter().flatten().find(|(_, node)| !good(node)) {
            Some((name, _)) => Health::Unhealthy { why: format!("node {name}: {why}") },
            None => Health::Healthy { evidence: "all nodes are as they should be".to_owned() },
        }
    }

    /// The nodes show what runs in the cluster.
    fn show_add_ons(&mut self, server: ServerId) {
        let inside = self.look(server);
        let has = |kind: &str, name: &str| workload(inside, kind, "kube-system", name).is_some();
        let add_ons = AddOns {
            pod_network: has("DaemonSet", "cilium"),
            cloud_controller: has("Deployment", "hcloud-cloud-controller-manager"),
        };
        let now = self.now;
        if add_ons != AddOns::default() {
            self.world.guests_mut(now).set_add_ons(server, add_ons, now);
        }
    }
}

#[async_trait]
impl Objects for Universe {
    async fn compare(
        &self,
        route: &WorkloadRoute,
        component: Component,
        wanted: &[Arc<Manifest>],
    ) -> Result<(BTreeMap<ObjectId, ObjectState>, Vec<Surplus>), WorkloadError> {
        self.ask("compare", |inner| {
            let server = inner.api_server(route)?;
            let (inside, now) = (inner.look(server), inner.now);
            let states = wanted.iter().map(|it| (it.id.clone(), state(inside, it, component, now)));
            Ok((states.collect(), surplus(inside, component, wanted)))
        })
        .await
    }

    async fn apply(&self, route: &WorkloadRoute, manifest: &Manifest) -> Result<(), WorkloadError> {
        self.tell("apply", |inner| {
            let server = inner.api_server(route)?;
            inner.say(&manifest.id);
            let now = inner.now;
            let id = &manifest.id;
            if !knows(inner.look(server), &id.api_version, now) {
                let (api_version, kind) = (id.api_version.clone(), id.kind.clone());
                return Err(WorkloadError::UnknownKind { api_version, kind });
            }
            let component = manifest.object.pointer("/metadata/labels/helix.dev~1component");
            let component = component.and_then(|label| label.as_str()).map(str::to_owned);
            let uid = format!("{OF_A_COMPONENT}{}-{}", id.kind, inner.counts.calls);
            let Some(inside) = inner.world.guests_mut(now).inside_at_mut(server) else { return Ok(()) };
            if let Some(namespace) = id.namespace.as_ref().filter(|it| !AT_BIRTH.contains(&it.as_str())) {
                let home = ("v1".to_owned(), "Namespace".to_owned(), None, namespace.clone());
                if !inside.objects.contains_key(&home) {
                    let (endpoint, why) = (route.endpoint.clone(), format!("namespace {namespace} not found"));
                    return Err(WorkloadError::Other { endpoint, code: 404, why });
                }
            }
            let held = inside.objects.entry(key(id)).or_insert_with(|| HeldObject {
                uid,
                component: None,
                manager: MANAGER.to_owned(),
                digest: None,
                contested: Vec::new(),
                models: Vec::new(),
                since: now,
            });
            if !held.contested.is_empty() {
                return Err(WorkloadError::Conflict { object: id.to_string(), fields: held.contested.clone() });
            }
            held.component = component;
            held.digest = Some(manifest.digest.clone());
            held.models = models(&manifest.object["spec"]["template"]["spec"]);
            let uid = held.uid.clone();
            if id.kind == "Service" && manifest.object["spec"]["type"] == "LoadBalancer" {
                inside.services.entry(id.name.clone()).or_insert(ExposedService { uid, leaving: None });
                inner.world.wake_controllers();
            }
            inner.show_add_ons(server);
            Ok(())
        })
        .await
    }

    async fn delete(&self, route: &WorkloadRoute, object: &ObjectId, uid: &str) -> Result<(), WorkloadError> {
        self.tell("delete object", |inner| {
            let server = inner.api_server(route)?;
            inner.say(object);
            let now = inner.now;
            if let Some(inside) = inner.world.guests_mut(now).inside_at_mut(server) {
                let exactly = inside.objects.get(&key(object)).is_some_and(|held| held.uid == uid);
                if exactly {
                    inside.objects.remove(&key(object));
                }
                if exactly && object.kind == DEFINITION {
                    inside.objects.retain(|key, _| group(key) != defined_by(&object.name));
                }
                if exactly && object.kind == "Namespace" {
                    inside.objects.retain(|key, _| key.2.as_ref() != Some(&object.name));
                    inside.secrets.retain(|(namespace, _), _| *namespace != object.name);
                }
                leave_services(inside, now);
                inner.world.wake_controllers();
            }
            Ok(())
        })
        .await
    }

    async fn marks(&self, route: &WorkloadRoute) -> Result<Marks, WorkloadError> {
        self.ask("marks", |inner| {
            let server = inner.api_server(route)?;
            let mut marks: BTreeMap<Component, DefaultHasher> = BTreeMap::new();
            for (key, held) in &inner.look(server).objects {
                if let Some(component) = held.component.as_deref().and_then(Component::named) {
                    (key, &held.uid, &held.digest).hash(marks.entry(component).or_default());
                }
            }
            Ok(marks.into_iter().map(|(component, mark)| (component, mark.finish())).collect())
        })
        .await
    }

    async fn ask_service(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
        question: &Question,
    ) -> Result<Answer, WorkloadError> {
        self.ask("ask a Service", |inner| {
            let server = inner.api_server(route)?;
            Ok(inner.answer(server, namespace, question))
        })
        .await
    }

    async fn saved_databases(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
    ) -> Result<Vec<SavedDatabase>, WorkloadError> {
        self.ask("list databases", |inner| {
            let server = inner.api_server(route)?;
            Ok(inner.saved(server, namespace))
        })
        .await
    }

    async fn probe(&self, route: &WorkloadRoute, namespace: &str, probe: &Probe) -> Result<Health, WorkloadError> {
        self.ask("probe", |inner| {
            let server = inner.api_server(route)?;
            Ok(inner.health(server, namespace, probe))
        })
        .await
    }

    async fn secret(
        &self,
        route: &WorkloadRoute,
        namespace: &str,
        name: &str,
    ) -> Result<Option<SecretData>, WorkloadError> {
        self.ask("secret", |inner| {
            let server = inner.api_server(route)?;
            let inside = inner.look(server);
            let held = inside.secrets.get(&(namespace.to_owned(), name.to_owned())).cloned();
            let held = held.or_else(|| of_database(inside, namespace, name));
            Ok(held.map(|held| held.into_iter().map(|(key, value)| (key, Secret::new(value))).collect()))
        })
        .await
    }

    async fn put_secret(
        &self,
        route: &WorkloadRoute,
        _: Component,
        namespace: &str,
        name: &str,
        data: &SecretData,
    ) -> Result<(), WorkloadError> {
        self.tell("put secret", |inner| {
            let server = inner.api_server(route)?;
            let now = inner.now;
            if let Some(inside) = inner.world.guests_mut(now).inside_at_mut(server) {
                let held = inside.secrets.entry((namespace.to_owned(), name.to_owned())).or_default();
                held.extend(data.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())));
            }
            Ok(())
        })
        .await
    }
}
