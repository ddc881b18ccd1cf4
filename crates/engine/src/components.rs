//! What a component is to be, put together: the request for its chart, and all its manifests with their digests.

use std::sync::Arc;

use helix_plan::components::{Wanted, digest, images, is_exposed, manifests};
use helix_plan::observed::{ObjectId, Rendered};
use helix_plan::validated::Versions;
use serde_json::{Value, json};

use crate::seams::{ChartRequest, Manifest, Rendering};

/// A component's manifests, and what is told of them.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) rendered: Rendered,
    pub(crate) manifests: Vec<Arc<Manifest>>,
}

/// The request for the chart of a component; `None` where Helix writes all of it itself.
#[must_use]
pub fn request(wanted: &Wanted, versions: &Versions) -> Option<ChartRequest> {
    let entry = wanted.component.entry();
    Some(ChartRequest {
        chart: wanted.chart.clone()?,
        release: entry.name.to_owned(),
        namespace: entry.home.namespace().to_owned(),
        values: wanted.values.clone(),
        open_values: entry.open_values,
        kubernetes: format!("v{}", versions.kubernetes),
    })
}

/// What tells whether Helix' own part is still the same.
pub(crate) fn own_digest(wanted: &Wanted) -> String {
    digest(&json!([wanted.resources, wanted.policies]))
}

/// Puts a component together.
pub(crate) fn compose(wanted: &Wanted, rendering: Option<&Rendering>) -> Composed {
    let chart: &[Value] = rendering.map(|rendering| rendering.manifests.as_slice()).unwrap_or_default();
    let all = manifests(wanted, chart);
    let images = images(&all);
    let named = all.into_iter().filter_map(|object| {
        let id = ObjectId::of(&object)?;
        Some(Arc::new(Manifest { id, digest: digest(&object), object }))
    });
    let manifests: Vec<Arc<Manifest>> = named.collect();
    let digests: Vec<&str> = manifests.iter().map(|manifest| manifest.digest.as_str()).collect();
    let chart_digest = rendering.map(|rendering| rendering.chart_digest.clone());
    let key = digest(&json!([chart_digest, digests]));
    let ids = |which: fn(&Manifest) -> bool| {
        manifests.iter().filter(|manifest| which(manifest)).map(|manifest| manifest.id.clone()).collect()
    };
    let rendered = Rendered {
        key,
        chart_digest,
        unknown_values: rendering.map(|rendering| rendering.unknown_values.clone()).unwrap_or_default(),
        forbidden: ids(|manifest| manifest.id.kind == "Secret"),
        exposed: ids(|manifest| is_exposed(&manifest.object)),
        objects: manifests.iter().map(|manifest| (manifest.id.clone(), manifest.digest.clone())).collect(),
        images,
    };
    Composed { rendered, manifests }
}
