//! The stages of one component's installation, each of which waits for the earlier ones.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Context, Outcome, blocked, objects};
use crate::components::{Component, Probe, SecretValue, Stage, Wanted, Writer, stage, writer};
use crate::guard::{self, Guard};
use crate::observed::{Application, Health, Installed, ObjectId, ObjectState, Rendered, SecretState, Surplus};
use crate::report::{Obstacle, Wait};
use crate::step::Step;

/// A component that may be installed: what is wanted of it, and what of that is there.
pub(super) struct Standing<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    pub(super) wanted: &'c Wanted,
    pub(super) rendered: &'c Rendered,
    pub(super) installed: &'c Installed,
    pub(super) at: Timestamp,
}

impl Standing<'_, '_> {
    fn component(&self) -> Component {
        self.wanted.component
    }

    /// What the component needs now.
    pub(super) fn next(&self) -> Outcome {
        if let Some(obstacle) = self.foreign() {
            return blocked(self.component(), obstacle);
        }
        let writer = writer(self.component(), &self.context.platform.layers);
        let ground = self.differing(|id| match writer {
            Writer::Helix => stage(id) <= Stage::Namespaces,
            // The Secrets need a place; everything else is in the tree.
            Writer::ArgoCd => stage(id) == Stage::Namespaces,
        });
        if !ground.is_empty() {
            return self.apply(ground);
        }
        if let Some(outcome) = self.secrets() {
            return outcome;
        }
        match writer {
            Writer::Helix => self.rest(),
            Writer::ArgoCd => self.synced(),
        }
    }

    /// Whether all is there, as it should be, and well.
    pub(super) fn is_reached(&self) -> bool {
        objects(self.installed).all(|(_, state)| *state == ObjectState::AsWanted)
            && self.awaits_argo_cd().is_none()
            && self.installed.secrets.values().all(|state| *state == SecretState::AsWanted)
            && self.unhealthy(|_| true).is_none()
    }

    fn foreign(&self) -> Option<Obstacle> {
        objects(self.installed).find_map(|(object, state)| match state {
            ObjectState::Foreign { manager } => {
                Some(Obstacle::Foreign { object: object.clone(), manager: manager.clone() })
            }
            _ => None,
        })
    }

    /// Objects that are missing or differ, in the order of application.
    fn differing(&self, within: impl Fn(&ObjectId) -> bool) -> Vec<ObjectId> {
        let differs = |state: &ObjectState| matches!(state, ObjectState::Missing | ObjectState::Differs);
        let found = objects(self.installed).filter(|(object, state)| differs(state) && within(object));
        let mut found: Vec<ObjectId> = found.map(|(object, _)| object.clone()).collect();
        found.sort_by_key(stage);
        found
    }

    fn apply(&self, objects: Vec<ObjectId>) -> Outcome {
        let key = self.rendered.key.clone();
        Outcome::step(Step::ApplyObjects { component: self.component(), key, objects })
    }

    /// What its Secrets need; none where they are as they should be.
    fn secrets(&self) -> Option<Outcome> {
        let component = self.component();
        let mut steps = Vec::new();
        for ((namespace, name), state) in &self.installed.secrets {
            match state {
                SecretState::AsWanted => {}
                SecretState::Differs => {
                    steps.push(Step::PutSecret { component, namespace: namespace.clone(), name: name.clone() });
                }
                SecretState::WithoutSource { source, users: true } => {
                    let purposes = self.purposes(namespace, name);
                    return Some(blocked(component, Obstacle::WithoutSource { source: source.clone(), purposes }));
                }
                SecretState::WithoutSource { source, users: false } => {
                    return Some(Outcome::waiting(Wait::Source { component, source: source.clone() }));
                }
            }
        }
        (!steps.is_empty()).then(|| Outcome::steps(steps))
    }

    /// What a Secret's values of the user are needed for.
    fn purposes(&self, namespace: &str, name: &str) -> Vec<&'static str> {
        let secret = self.wanted.secrets.iter().filter(|it| it.namespace == namespace && it.name == name);
        let purposes = secret.flat_map(|it| &it.keys).filter_map(|key| match &key.value {
            SecretValue::Users { purpose, .. } => Some(*purpose),
            _ => None,
        });
        purposes.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Everything else: what differs, what is too much, and whether it works.
    fn rest(&self) -> Outcome {
        let own_groups = self.own_groups();
        let is_own = |object: &ObjectId| {
            let group = object.api_version.split_once('/').map_or("", |(group, _)| group);
            own_groups.contains(group)
        };
        let apply = self.differing(|object| !is_own(object));
        if !apply.is_empty() {
            return self.apply(apply);
        }
        let own = self.differing(is_own);
        if !own.is_empty() {
            // Whoever looks after these is asked about them at once, and has to be there.
            return match self.unhealthy(|probe| matches!(probe, Probe::Deployment(_))) {
                Some(why) => self.wait_for_health(why),
                None => self.apply(own),
            };
        }
        if let Some(outcome) = self.unapplied() {
            return outcome;
        }
        let surplus = removable(&self.installed.surplus);
        if !surplus.is_empty() {
            return Outcome::step(Step::PruneObjects { component: self.component(), objects: surplus });
        }
        self.health()
    }

    /// Kinds that are not known yet, and fields that others hold.
    fn unapplied(&self) -> Option<Outcome> {
        let component = self.component();
        let conflict = objects(self.installed).find_map(|(object, state)| match state {
            ObjectState::Conflict { fields } => {
                Some(Obstacle::Conflict { object: object.clone(), fields: fields.clone() })
            }
            _ => None,
        });
        if let Some(obstacle) = conflict {
            return Some(blocked(component, obstacle));
        }
        let unknown = objects(self.installed).filter(|(_, state)| **state == ObjectState::UnknownKind);
        let kinds: BTreeSet<String> = unknown.map(|(object, _)| object.kind.clone()).collect();
        let kinds: Vec<String> = kinds.into_iter().collect();
        (!kinds.is_empty()).then(|| Outcome::waiting(Wait::Definitions { component, kinds }))
    }

    /// Groups whose kinds the component itself defines.
    fn own_groups(&self) -> BTreeSet<&str> {
        let definitions = self.rendered.objects.keys().filter(|object| stage(object) == Stage::Definitions);
        definitions.filter_map(|object| Some(object.name.split_once('.')?.1)).collect()
    }

    /// Somebody else applies it.
    fn synced(&self) -> Outcome {
        match self.awaits_argo_cd() {
            Some(wait) => Outcome::waiting(wait),
            None => self.health(),
        }
    }

    /// What Argo CD still has to do, where it writes the component: its objects are as they were published by then.
    fn awaits_argo_cd(&self) -> Option<Wait> {
        let component = self.component();
        if writer(component, &self.context.platform.layers) == Writer::Helix {
            return None;
        }
        let facts = &self.context.observed.gitops;
        let application = facts.applications.value().and_then(|all| all.get(component.name()));
        let (Some(application), Some(published)) = (application, facts.published.value()) else {
            return Some(Wait::Synced(component));
        };
        let Application { sync, revision, problem, .. } = application;
        let why = match (problem.as_str(), sync.as_str()) {
            ("", "Synced") if published.is_at(revision) => return None,
            ("", "Synced") => "it is not yet at what was published last".to_owned(),
            ("", "") => "Argo CD has not looked at it yet".to_owned(),
            ("", sync) => format!("it is {sync}"),
            (problem, _) => problem.to_owned(),
        };
        Some(Wait::Application { name: component.name().to_owned(), why })
    }

    /// Why it is not well, as far as these probes tell.
    fn unhealthy(&self, which: impl Fn(&Probe) -> bool) -> Option<String> {
        let probes = self.component().entry().health;
        probes.iter().enumerate().filter(|(_, probe)| which(probe)).find_map(|(index, _)| {
            match self.installed.health.get(index) {
                Some(Health::Healthy { .. }) => None,
                Some(Health::Unhealthy { why }) => Some(why.clone()),
                None => Some("nobody has looked at its health yet".to_owned()),
            }
        })
    }

    fn wait_for_health(&self, why: String) -> Outcome {
        Outcome::waiting(Wait::Unhealthy { component: self.component(), why })
    }

    fn health(&self) -> Outcome {
        if let Some(why) = self.unhealthy(|_| true) {
            return self.wait_for_health(why);
        }
        let told = self.installed.health.iter().filter_map(|health| match health {
            Health::Healthy { evidence } => Some(evidence.clone()),
            Health::Unhealthy { .. } => None,
        });
        let version = self.wanted.chart.as_ref().map(|chart| format!(" {}", chart.version)).unwrap_or_default();
        let mut told: Vec<String> = told.collect();
        told.extend(kept(&self.installed.surplus));
        Outcome::done(format!("{}{version}: {}", self.component(), told.join(", ")), Some(self.at))
    }
}

/// Groups whose resources hold the user's data: what they stand for is deleted with them.
const DATA: [&str; 3] = ["longhorn.io", "postgresql.cnpg.io", "redis.redis.opstreelabs.in"];

/// Why something that is no longer asked for stays all the same.
fn stays(surplus: &Surplus) -> Option<String> {
    if !guard::holds(Guard::DataStays) {
        return None;
    }
    // With a definition go all resources of its kind.
    let group = match stage(&surplus.id) {
        Stage::Definitions => surplus.id.name.split_once('.').map_or("", |(_, group)| group),
        _ => surplus.id.api_version.split_once('/').map_or("", |(group, _)| group),
    };
    match &surplus.keep {
        Some(why) => Some(why.clone()),
        None if surplus.id.kind == "PersistentVolumeClaim" || DATA.contains(&group) => {
            Some("it holds data; delete it yourself when nobody needs it".to_owned())
        }
        None => None,
    }
}

/// What may be deleted of what is too much, each with its UID: the last that was applied goes first. With a namespace goes
/// all that is in it, so it stays with what stays there.
pub(super) fn removable(surplus: &[Surplus]) -> Vec<(ObjectId, String)> {
    let staying = surplus.iter().filter(|it| stays(it).is_some());
    let inhabited: BTreeSet<&String> = staying.filter_map(|it| it.id.namespace.as_ref()).collect();
    let may_go = |it: &&Surplus| stays(it).is_none() && !(it.id.kind == "Namespace" && inhabited.contains(&it.id.name));
    let mut objects: Vec<&Surplus> = surplus.iter().filter(may_go).collect();
    objects.sort_by_key(|it| std::cmp::Reverse(stage(&it.id)));
    objects.into_iter().map(|it| (it.id.clone(), it.uid.clone())).collect()
}

/// What is too much and stays, in words.
pub(super) fn kept(surplus: &[Surplus]) -> Vec<String> {
    let kept =
        surplus.iter().filter_map(|it| Some(format!("{} stays, although nothing asks for it: {}", it.id, stays(it)?)));
    kept.collect()
}
