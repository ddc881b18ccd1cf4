//! Steps on components: rendering charts, applying and pruning objects, filling Secrets.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream;
use helix_plan::components::{Component, stage};
use helix_plan::observed::{ObjectId, SetbackKind};

use super::{Applier, Met};
use crate::components::request;
use crate::seams::{ChartError, Manifest, WorkloadError, WorkloadRoute};
use crate::secrets::{Sources, Trouble};

/// Objects of one component that are applied at once.
const AT_ONCE: usize = 8;

impl From<ChartError> for Met {
    fn from(error: ChartError) -> Self {
        match error {
            ChartError::Unreachable { .. } => Self::failed(error.reason(), error.to_string()),
            // Nothing but another specification, or another Helm, makes another answer of it.
            ChartError::NotFound { .. }
            | ChartError::OtherDigest { .. }
            | ChartError::Unusable { .. }
            | ChartError::NotRendered { .. }
            | ChartError::NoHelm { .. } => {
                Self::from_kind(SetbackKind::Rejected { reason: error.reason(), message: error.to_string() })
            }
        }
    }
}

impl From<Trouble> for Met {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Workload(error) => error.into(),
            Trouble::Store(error) => error.into(),
            Trouble::Maker(error) => error.into(),
            Trouble::WithoutSource { .. } => {
                Self { expected: true, ..Self::failed("NotThereYet", trouble.to_string()) }
            }
        }
    }
}

impl Applier<'_> {
    pub(super) fn route(&self) -> Result<WorkloadRoute, Met> {
        let mut routes = self.access.to_cluster().into_iter();
        routes
            .next()
            .map(|(route, _)| route)
            .ok_or_else(|| super::machines::not_at_hand("the way to the Kubernetes API"))
    }

    pub(super) async fn render_chart(&self, component: Component) -> Result<(), Met> {
        let wanted = self.wanted.and_then(|platform| Some((platform.component(component)?, &platform.versions)));
        let request = wanted.and_then(|(wanted, versions)| request(wanted, versions));
        let request = request.ok_or_else(|| super::machines::not_at_hand("the chart"))?;
        self.seams.charts.render(&request).await?;
        Ok(())
    }

    /// Stage by stage, so that what others refer to is there before them; within one several at once.
    pub(super) async fn apply_objects(&self, component: Component, key: &str, objects: &[ObjectId]) -> Result<(), Met> {
        let composed = self.composed.get(&component).filter(|composed| composed.rendered.key == key);
        let composed = composed.ok_or_else(|| super::machines::not_at_hand("what the component is to be"))?;
        let route = self.route()?;
        let manifests = composed.manifests.iter().filter(|manifest| objects.contains(&manifest.id));
        let mut manifests: Vec<&Manifest> = manifests.map(AsRef::as_ref).collect();
        manifests.sort_by_key(|manifest| stage(&manifest.id));
        let mut failed = None;
        for together in manifests.chunk_by(|a, b| stage(&a.id) == stage(&b.id)) {
            let applied: Vec<BoxFuture<'_, _>> =
                together.iter().map(|manifest| self.seams.objects.apply(&route, manifest)).collect();
            let applied: Vec<Result<(), WorkloadError>> = stream::iter(applied).buffered(AT_ONCE).collect().await;
            // One that fails does not keep the others from being tried.
            failed = failed.or(applied.into_iter().find_map(Result::err));
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    pub(super) async fn prune_objects(&self, objects: &[(ObjectId, String)]) -> Result<(), Met> {
        let route = self.route()?;
        for (object, uid) in objects {
            self.seams.objects.delete(&route, object, uid).await?;
        }
        Ok(())
    }

    pub(super) async fn put_secret(&self, component: Component, namespace: &str, name: &str) -> Result<(), Met> {
        let wanted = self.wanted.and_then(|platform| platform.component(component));
        let secret = wanted.and_then(|wanted| {
            wanted.secrets.iter().find(|secret| secret.namespace == namespace && secret.name == name)
        });
        let secret = secret.ok_or_else(|| super::machines::not_at_hand("the Secret"))?;
        let route = self.route()?;
        let network = self.access.network.as_deref();
        let sources = Sources { seams: self.seams, platform: self.platform, route: &route, network };
        let data = sources.data(secret, self.bundle()?, self.now).await?;
        Ok(self.seams.objects.put_secret(&route, component, namespace, name, &data).await?)
    }
}
