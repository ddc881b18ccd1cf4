//! `helix render --gitops`: the tree that the operator publishes, for whoever merges it by hand, or reviews it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use helix_clients::charts::ChartStore;
use helix_clients::mirrors::Mirrors;
use helix_engine::chart_request;
use helix_engine::seams::{Charts as _, Rendering};
use helix_plan::components::{Component, manifests};
use helix_plan::gitops::Tree;
use helix_plan::validated::ValidatedPlatform;
use serde_json::Value;
use tokio::task::JoinSet;

use super::directory;
use crate::Outcome;
use crate::arguments::RenderArguments;
use crate::charts;
use crate::error::CliError;
use crate::output;
use crate::sight;

pub(super) async fn run(arguments: &RenderArguments, directory: &Path) -> Result<Outcome, CliError> {
    let sight = sight::from_nothing(&arguments.file)?;
    if !sight.validated.refused.is_empty() {
        return Err(CliError::Layers(sight.validated.refused));
    }
    let mirrors: Mirrors = arguments.charts.mirror.iter().cloned().collect();
    let store = ChartStore::new(charts::options(&arguments.charts.rendering, mirrors))?;
    let rendered = render(Arc::new(store), &sight.validated).await?;
    let components = sight.validated.components.iter();
    let manifests: BTreeMap<Component, Vec<Value>> = components
        .map(|wanted| {
            let chart = rendered.get(&wanted.component).map(|it| it.manifests.as_slice()).unwrap_or_default();
            (wanted.component, manifests(wanted, chart))
        })
        .collect();
    let tree = Tree::new(&sight.validated.layers, &manifests)?;
    let changes = directory::write(directory, &tree)?;
    output::print(&format!(
        "{} files of {} components in {}: {} written, {} removed, the others as they were\ndigest {}\n",
        tree.files().len(),
        manifests.len(),
        directory.display(),
        changes.write.len(),
        changes.remove.len(),
        tree.digest()
    ))?;
    Ok(Outcome::Done)
}

/// What every chart renders to; all that goes wrong is the first of it.
async fn render(
    store: Arc<ChartStore>,
    platform: &ValidatedPlatform,
) -> Result<BTreeMap<Component, Arc<Rendering>>, CliError> {
    let mut renderings = JoinSet::new();
    for wanted in platform.components.iter() {
        let Some(request) = chart_request(wanted, &platform.versions) else { continue };
        let (store, component) = (Arc::clone(&store), wanted.component);
        renderings.spawn(async move {
            let rendering = match store.rendered(&request).await {
                Some(rendering) => Ok(rendering),
                None => store.render(&request).await,
            };
            (component, rendering)
        });
    }
    let mut rendered = BTreeMap::new();
    while let Some(done) = renderings.join_next().await {
        let (component, rendering) = done.map_err(|_| CliError::Interrupted)?;
        let rendering = rendering.map_err(|source| CliError::Chart { component, source })?;
        if let Some(unknown) = rendering.unknown_values.first() {
            return Err(CliError::UnknownValue { component, unknown: unknown.clone() });
        }
        rendered.insert(component, rendering);
    }
    Ok(rendered)
}
