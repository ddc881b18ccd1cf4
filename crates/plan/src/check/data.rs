//! What must hold of plans in clusters that hold data: its last healthy copy stays where it is, and nothing that stands
//! for data is pruned.

use std::collections::BTreeSet;

use super::day_two::rebooted;
use super::{Subject, steps};
use crate::names::MachineName;
use crate::observed::{CloudFacts, ObjectId, Readiness, StoreFacts};
use crate::step::{ResourceKind, Step};

/// Whether the machine works: of one that does not, nothing can be spared any more.
fn is_well(subject: &Subject<'_>, machine: &MachineName) -> bool {
    let nodes = subject.observed.kubernetes.value().map(|kubernetes| kubernetes.nodes.as_slice()).unwrap_or_default();
    let ready = nodes.iter().any(|node| node.name == machine.to_string() && node.readiness == Readiness::Ready);
    ready && subject.observed.talos_of(machine).is_some_and(|talos| talos.ailment().is_none())
}

/// Nodes that the plan empties or takes away, and those of them that do not come back.
fn taken(subject: &Subject<'_>, cloud: &CloudFacts) -> (BTreeSet<String>, BTreeSet<String>) {
    let deleted = |step: &Step| match step {
        Step::DeleteResource { kind: ResourceKind::Server, id, .. } => {
            let server = cloud.servers.iter().find(|server| server.id == *id)?;
            MachineName::parse(&server.name).ok()
        }
        _ => None,
    };
    let emptied = |step: &Step| match step {
        Step::EvictPods { machine, .. } => Some(machine.clone()),
        _ => rebooted(step).cloned(),
    };
    let well = |machine: &MachineName| is_well(subject, machine);
    let names = |which: &dyn Fn(&Step) -> Option<MachineName>| -> BTreeSet<String> {
        steps(subject).filter_map(which).filter(well).map(|machine| machine.to_string()).collect()
    };
    let for_good = names(&deleted);
    (names(&emptied).union(&for_good).cloned().collect(), for_good)
}

pub(super) fn last_copy_stays(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let known = subject.observed.kubernetes.value().and_then(|kubernetes| kubernetes.data.as_ref());
    let Some(data) = known.filter(|_| subject.platform.is_some()) else { return Vec::new() };
    let (taken, for_good) = taken(subject, cloud);
    let all_of = |places: &BTreeSet<String>| !places.is_empty() && places.is_subset(&taken);
    let volumes = data.volumes.iter().filter(|volume| {
        all_of(&volume.healthy_on) && (volume.wanted > 1 || !volume.healthy_on.is_disjoint(&for_good))
    });
    let databases = data.databases.iter().filter(|database| database.wanted > 1 && all_of(&database.ready_on));
    let names = volumes.map(|it| &it.name).chain(databases.map(|it| &it.name));
    names.map(|name| format!("every healthy copy of {name} is taken away at once")).collect()
}

/// Whether data goes with the object: a claim, or a resource that a database or a storage is made of.
fn stands_for_data(object: &ObjectId) -> bool {
    let group = object.api_version.split_once('/').map_or("", |(group, _)| group);
    let of = |group: &str| matches!(group, "longhorn.io" | "postgresql.cnpg.io" | "redis.redis.opstreelabs.in");
    let defines = object.kind == "CustomResourceDefinition";
    let defined = object.name.split_once('.').map_or("", |(_, group)| group);
    object.kind == "PersistentVolumeClaim" || of(if defines { defined } else { group })
}

pub(super) fn is_kept(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let pruned = steps(subject).filter_map(|step| match step {
        Step::PruneObjects { component, objects } => Some((*component, objects)),
        _ => None,
    });
    let mut found = Vec::new();
    for (component, objects) in pruned {
        let installed = subject.observed.components.get(&component).and_then(|facts| facts.installed.value());
        let surplus = installed.map(|installed| installed.surplus.as_slice()).unwrap_or_default();
        for (object, uid) in objects {
            let known = surplus.iter().find(|it| it.id == *object && it.uid == *uid);
            let goes = |it: &ObjectId| objects.iter().any(|(object, _)| object == it);
            let inhabited = object.kind == "Namespace"
                && surplus.iter().any(|it| it.id.namespace.as_ref() == Some(&object.name) && !goes(&it.id));
            if stands_for_data(object) || inhabited || known.is_none_or(|it| it.keep.is_some()) {
                found.push(format!("{object} of {component} is pruned, and is to stay"));
            }
        }
    }
    found
}
