//! Looking at the components of a cluster: what their charts render to, as far as that is known without running Helm, how
//! their objects stand, and how healthy they are.
//!
//! Health is looked at in every turn. Objects are compared when something was applied or is not as it should be, when their
//! marks say that somebody has changed them, and with each sweep; in between they are taken to be as they were.

mod health;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use helix_crds::PhaseName;
use helix_plan::SWEEP;
use helix_plan::components::{Component, Stage, Wanted, Writer, asked, stage, writer};
use helix_plan::observed::{
    ComponentFacts, Components, Fact, Health, Installed, KubernetesFacts, Missing, ObjectId, ObjectState,
    SavedDatabase, SecretState,
};
use helix_plan::validated::{Layers, ValidatedPlatform};
use jiff::{SignedDuration, Timestamp};

use super::Access;
use crate::components::{Composed, compose, own_digest, request};
use crate::memory::{Compared, Installation, Memory};
use crate::seams::{Manifest, Seams, WorkloadError, WorkloadRoute};
use crate::secrets::{Sources, Trouble};

/// Components that are looked at at once.
const AT_ONCE: usize = 8;

/// How soon objects that are not as they should be are compared again, though nothing was applied: somebody else may have
/// put them right, or made their kind known.
const COMPARE_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// How often the marks of what is installed are looked at: a change by hand is put right that soon.
const MARKS: SignedDuration = SignedDuration::from_secs(60);

/// What is known of all components.
pub(super) async fn look(
    seams: &Seams,
    platform: &ValidatedPlatform,
    (access, kubernetes): (&Access, &Fact<KubernetesFacts>),
    memory: &mut Memory,
    now: Timestamp,
) -> Components {
    if platform.until < PhaseName::SecurityWeave {
        return Components::new();
    }
    put_together(seams, platform, memory).await;
    let route = access.to_cluster().into_iter().map(|(route, _)| route).next();
    let route = match (kubernetes, route) {
        (Fact::Known { .. }, Some(route)) => Ok(route),
        (Fact::Missing(missing), _) => Err(missing.clone()),
        (Fact::Known { .. }, None) => Err(Missing::NotThereYet),
    };
    if let Ok(route) = &route {
        look_at_marks(seams, route, memory, now).await;
    }
    let due = |component: Component| memory.installations.get(&component).is_none_or(|it| it.is_due(now));
    let wanted = platform.components.iter().map(|wanted| (wanted.component, Some(wanted)));
    let asked = asked(&platform.layers);
    let former = Component::ALL.iter().filter(|it| !asked.contains(it)).map(|it| (*it, None));
    let subjects: Vec<Subject<'_>> = wanted
        .chain(former)
        .map(|(component, wanted)| Subject {
            component,
            wanted,
            writer: writer(component, &platform.layers),
            layers: &platform.layers,
            composed: memory.installations.get(&component).and_then(|it| it.composed.clone()),
            last: memory.installations.get(&component).filter(|_| !due(component)).and_then(|it| it.compared.clone()),
        })
        .collect();
    let surveyed = match &route {
        Ok(route) => {
            let sources = Sources { seams, platform: &platform.identity, route, network: access.network.as_deref() };
            let surveys: Vec<_> = subjects.iter().map(|subject| subject.survey(sources, now)).collect();
            stream::iter(surveys).buffered(AT_ONCE).collect::<Vec<_>>().await
        }
        Err(missing) => subjects.iter().map(|_| Err(missing.clone())).collect(),
    };
    let mut components = Components::new();
    for (subject, surveyed) in subjects.iter().zip(surveyed) {
        let installed = match surveyed {
            Ok(survey) => Fact::known(remembered(subject, survey, memory, now), now),
            Err(missing) => Fact::Missing(missing),
        };
        let rendered = match &subject.composed {
            Some(composed) => Fact::known(composed.rendered.clone(), now),
            None => Fact::Missing(Missing::NotThereYet),
        };
        components.insert(subject.component, ComponentFacts { rendered, installed });
    }
    components
}

/// Puts together what every component is to be, as far as its chart has been rendered before.
async fn put_together(seams: &Seams, platform: &ValidatedPlatform, memory: &mut Memory) {
    for wanted in platform.components.iter() {
        let request = request(wanted, &platform.versions);
        let rendering = match &request {
            Some(request) => seams.charts.rendered(request).await,
            None => None,
        };
        let installation = memory.installations.entry(wanted.component).or_default();
        if request.is_some() && rendering.is_none() {
            installation.composed = None;
            continue;
        }
        let source = (rendering.as_ref().map(|rendering| rendering.chart_digest.clone()), own_digest(wanted));
        let same = installation.rendering.as_ref().zip(rendering.as_ref()).is_none_or(|(a, b)| Arc::ptr_eq(a, b));
        if installation.composed.is_none() || installation.source.as_ref() != Some(&source) || !same {
            installation.become_anew(compose(wanted, rendering.as_deref()), source);
        }
        installation.rendering = rendering;
    }
}

/// Reads the marks of what is installed, unless that was done lately: what has another mark than when it was compared last
/// is compared again. One that could not be read says nothing, and neither does a look that failed: the sweep comes anyway.
async fn look_at_marks(seams: &Seams, route: &WorkloadRoute, memory: &mut Memory, now: Timestamp) {
    let settled = memory.installations.values().any(|it| it.compared.as_ref().is_some_and(Compared::is_as_wanted));
    if !settled || memory.marked_at.is_some_and(|at| at + MARKS > now) {
        return;
    }
    memory.marked_at = Some(now);
    match seams.objects.marks(route).await {
        Ok(marks) => {
            for (component, installation) in &mut memory.installations {
                installation.note(marks.get(component).copied());
            }
        }
        Err(error) => tracing::debug!(reason = error.reason(), %error, "marks of components are not known"),
    }
}

/// Keeps what was found for the next turn, and tells it.
fn remembered(subject: &Subject<'_>, survey: Survey, memory: &mut Memory, now: Timestamp) -> Installed {
    let Survey { compared, health, saved } = survey;
    let installation = memory.installations.entry(subject.component).or_default();
    installation.again_at = match (&subject.last, compared.is_as_wanted()) {
        (Some(_), _) => installation.again_at,
        (None, true) => Some(now + SWEEP),
        (None, false) => Some(now + COMPARE_AGAIN),
    };
    if compared.is_as_wanted() {
        installation.done.clear();
        installation.reached = subject.composed.as_ref().map(|composed| composed.rendered.key.clone());
    }
    installation.compared = Some(compared.clone());
    let Compared { objects, surplus, secrets } = compared;
    Installed { objects, surplus, secrets, health, saved }
}

/// What a look at one component found.
struct Survey {
    compared: Compared,
    health: Vec<Health>,
    saved: Vec<SavedDatabase>,
}

/// One component to be looked at.
struct Subject<'a> {
    component: Component,
    /// None where nothing asks for it.
    wanted: Option<&'a Wanted>,
    writer: Writer,
    layers: &'a Layers,
    composed: Option<Arc<Composed>>,
    /// How its objects stood, where that still counts.
    last: Option<Compared>,
}

impl Subject<'_> {
    async fn survey(&self, sources: Sources<'_>, now: Timestamp) -> Result<Survey, Missing> {
        let Some(wanted) = self.wanted else {
            let compared = self.compare(sources, &[], now).await.map_err(|trouble| unreachable(&trouble))?;
            return Ok(Survey { compared, health: Vec::new(), saved: Vec::new() });
        };
        // What it would be is not known: nothing of it can be said to be right, wrong or too much.
        if self.composed.is_none() {
            return Err(Missing::NotThereYet);
        }
        let compared = self.compare(sources, &wanted.secrets, now).await.map_err(|trouble| unreachable(&trouble))?;
        let (mut found, mut saved) = (Vec::new(), Vec::new());
        if self.is_begun(&compared) {
            found = health::of(sources.seams, sources.route, self.component, self.layers)
                .await
                .map_err(|error| unreachable(&error.into()))?;
            saved = self.saved(sources).await.map_err(|error| unreachable(&error.into()))?;
        }
        tracing::trace!(component = %self.component, %now, "surveyed");
        Ok(Survey { compared, health: found, saved })
    }

    /// Its databases and their backups, where any are to be backed up.
    async fn saved(&self, sources: Sources<'_>) -> Result<Vec<SavedDatabase>, WorkloadError> {
        let backed_up = self.layers.postgres.iter().any(|database| database.backup.is_some());
        if self.component != Component::Databases || !backed_up {
            return Ok(Vec::new());
        }
        sources.seams.objects.saved_databases(sources.route, self.component.entry().home.namespace()).await
    }

    async fn compare(
        &self,
        sources: Sources<'_>,
        secrets: &[helix_plan::components::SecretWanted],
        now: Timestamp,
    ) -> Result<Compared, Trouble> {
        if let Some(last) = &self.last {
            return Ok(last.clone());
        }
        let manifests = self.composed.as_ref().map(|composed| composed.manifests.as_slice()).unwrap_or_default();
        // What Argo CD has applied is for Argo CD to compare: fields are theirs whose manager applied them.
        let ours = |manifest: &&Arc<Manifest>| match (self.wanted, self.writer) {
            (None, _) => false,
            (Some(_), Writer::Helix) => true,
            (Some(_), Writer::ArgoCd) => stage(&manifest.id) == Stage::Namespaces,
        };
        let manifests: Vec<Arc<Manifest>> = manifests.iter().filter(ours).cloned().collect();
        let (objects, surplus) = sources.seams.objects.compare(sources.route, self.component, &manifests).await?;
        let surplus = if self.wanted.is_some() && self.writer == Writer::ArgoCd { Vec::new() } else { surplus };
        let mut states = BTreeMap::new();
        for secret in secrets {
            states.insert((secret.namespace.to_owned(), secret.name.clone()), sources.state(secret, now).await?);
        }
        Ok(Compared { objects, surplus, secrets: states })
    }

    /// Whether anything runs that has a health: pods are asked for, or all is there.
    fn is_begun(&self, compared: &Compared) -> bool {
        let there = |(id, state): (&ObjectId, &ObjectState)| {
            stage(id) == Stage::Workloads && !matches!(state, ObjectState::Missing | ObjectState::UnknownKind)
        };
        compared.objects.iter().any(there) || compared.is_as_wanted()
    }
}

fn unreachable(trouble: &Trouble) -> Missing {
    // A kind that was just defined cannot be listed for a moment: the API asks for patience.
    if matches!(trouble, Trouble::Workload(WorkloadError::Other { code: 429 | 503, .. })) {
        return Missing::NotThereYet;
    }
    let who = match trouble {
        Trouble::Store(_) => "the store of secrets",
        Trouble::Workload(_) | Trouble::Maker(_) | Trouble::WithoutSource { .. } => "the Kubernetes API",
    };
    Missing::Unreachable { who: who.to_owned(), why: trouble.to_string() }
}

impl Compared {
    /// Whether all objects and Secrets are as they should be.
    fn is_as_wanted(&self) -> bool {
        self.objects.values().all(|state| *state == ObjectState::AsWanted)
            && self.secrets.values().all(|state| *state == SecretState::AsWanted)
    }
}

impl Installation {
    /// Whether its objects have to be compared.
    fn is_due(&self, now: Timestamp) -> bool {
        self.compared.is_none() || self.again_at.is_none_or(|at| at <= now)
    }

    /// Its objects have this mark now: one that differs from the mark before its last comparison has to be compared again.
    fn note(&mut self, mark: Option<u64>) {
        let settled = self.compared.as_ref().is_some_and(Compared::is_as_wanted);
        if settled && self.mark != Some(mark) {
            self.compared = None;
        }
        self.mark = Some(mark);
    }

    /// It is to be something else from now on.
    fn become_anew(&mut self, composed: Composed, source: (Option<String>, String)) {
        let same = self.composed.as_ref().is_some_and(|before| before.rendered.key == composed.rendered.key);
        self.source = Some(source);
        self.composed = Some(Arc::new(composed));
        if !same {
            self.compared = None;
        }
    }
}
