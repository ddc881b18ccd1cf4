//! `helix diagram`: a platform as the text of a Mermaid flowchart, for a README, a review or a renderer of its own.
//!
//! A file is drawn as it is specified, with nothing looked at. What is coloured is what the operator wrote down of a
//! platform and its machines; neither Hetzner nor a machine is asked, and no token is read.

use std::path::Path;

use helix_crds::{HelixMachine, HelixPlatform};
use helix_plan::catalogue::dated_table;
use helix_plan::render::diagram::{Seen, View, diagram};
use helix_plan::validated::ValidatedPlatform;
use jiff::Timestamp;

use crate::Outcome;
use crate::arguments::{ClusterArguments, DiagramArguments, DiagramView};
use crate::error::CliError;
use crate::file::File;
use crate::live::Management;
use crate::output::{self, Readers};

impl From<DiagramView> for View {
    fn from(view: DiagramView) -> Self {
        match view {
            DiagramView::Network => Self::Network,
            DiagramView::Phases => Self::Phases,
            DiagramView::All => Self::All,
        }
    }
}

pub(crate) async fn run(arguments: &DiagramArguments) -> Result<Outcome, CliError> {
    let (platform, seen) = match (&arguments.file, &arguments.name) {
        (Some(path), _) => of_file(path, arguments.live.then_some(&arguments.cluster)).await?,
        (None, name) => of_cluster(name.as_deref().unwrap_or_default(), &arguments.cluster).await?,
    };
    let text = diagram(&platform, arguments.view.into(), seen.as_ref());
    match &arguments.output {
        Some(path) => output::put(path, &text, Readers::Anybody)?,
        None => output::print(&text)?,
    }
    Ok(Outcome::Done)
}

/// A platform as its file has it, and what was seen of the one of its name, where there is a cluster to ask.
async fn of_file(
    path: &Path,
    cluster: Option<&ClusterArguments>,
) -> Result<(ValidatedPlatform, Option<Seen>), CliError> {
    let file = File::read(path)?;
    let validated = file.judge(ValidatedPlatform::new(&file.platform, &dated_table(), Timestamp::now()))?;
    let Some(cluster) = cluster else { return Ok((validated, None)) };
    let management = Management::connect(cluster).await?;
    let metadata = &file.platform.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or(management.namespace());
    let (platform, machines) = found(&management, namespace, &validated.identity.name).await?;
    Ok((validated, Some(Seen::of(platform.status.as_ref(), &machines))))
}

/// A platform of the management cluster, and what was seen of it.
async fn of_cluster(name: &str, cluster: &ClusterArguments) -> Result<(ValidatedPlatform, Option<Seen>), CliError> {
    let management = Management::connect(cluster).await?;
    let namespace = management.namespace().to_owned();
    let (platform, machines) = found(&management, &namespace, name).await?;
    let rejected = |rejections| CliError::Rejected { namespace, name: name.to_owned(), rejections };
    let validated = ValidatedPlatform::new(&platform, &dated_table(), Timestamp::now()).map_err(rejected)?;
    Ok((validated, Some(Seen::of(platform.status.as_ref(), &machines))))
}

async fn found(
    management: &Management,
    namespace: &str,
    name: &str,
) -> Result<(HelixPlatform, Vec<HelixMachine>), CliError> {
    let platform = management.get(namespace, name).await?;
    let machines = management.machines(namespace, name).await?;
    Ok((platform, machines))
}
