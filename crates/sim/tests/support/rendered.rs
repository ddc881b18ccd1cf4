//! The full example's components and their charts, rendered by the real Helm.

use std::path::{Path, PathBuf};
use std::process::Command;

use helix_crds::HelixPlatform;
use helix_plan::components::{Wanted, WantedChart, wanted};
use helix_plan::validated::Layers;
use serde_json::Value;

/// What the full example asks for.
pub(crate) fn layers() -> Layers {
    let text = include_str!("../../../../manifests/examples/full.yaml");
    let platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
    Layers::new(&platform).unwrap_or_else(|rejections| panic!("{rejections}"))
}

/// Each component with a chart, and the chart.
pub(crate) fn with_charts(layers: &Layers) -> Vec<(Wanted, WantedChart)> {
    wanted(layers).into_iter().filter_map(|found| Some((found.clone(), found.chart?))).collect()
}

/// Unpacks an archive; the chart's directory.
pub(crate) fn unpack(archive: &[u8], into: &Path, name: &str) -> PathBuf {
    tar::Archive::new(flate2::read::GzDecoder::new(archive)).unpack(into).unwrap();
    into.join(name)
}

/// The real Helm.
pub(crate) fn helm() -> PathBuf {
    let named = std::env::var_os("HELIX_HELM");
    named
        .map(PathBuf::from)
        .expect("HELIX_HELM is not set; run this test with `cargo xtask test`, which builds what it names")
}

/// What Helm prints for a component's chart in a directory.
pub(crate) fn render(helm: &Path, chart: &Path, found: &Wanted, dir: &Path) -> String {
    let values = dir.join("wanted.json");
    std::fs::write(&values, found.values.to_string()).unwrap();
    let namespace = found.component.entry().home.namespace();
    let output = Command::new(helm)
        .args(["template", found.component.name(), "--namespace", namespace, "--include-crds", "--values"])
        .args([values.as_path(), chart])
        .env_clear()
        .env("HOME", dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", found.component, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The objects in what Helm prints.
pub(crate) fn objects(rendered: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(rendered).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}
