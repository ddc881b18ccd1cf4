//! `helix plan`: everything that would be done, in order. Nothing is; not even charts are rendered, but what was rendered
//! before is known.

mod document;
mod notes;
mod table;

use document::Document;
pub(crate) use document::{approve_command, told};
use helix_clients::mirrors::Mirrors;

use crate::Outcome;
use crate::arguments::PlanArguments;
use crate::charts;
use crate::error::CliError;
use crate::output;
use crate::sight::{self, Sight};

pub(crate) async fn run(arguments: &PlanArguments) -> Result<Outcome, CliError> {
    let sight = see(arguments).await?;
    let document = Document::new(&sight)?;
    output::print(&output::formed(&document, arguments.output, table::render)?)?;
    Ok(if document.has_changes() { Outcome::Changes } else { Outcome::Done })
}

async fn see(arguments: &PlanArguments) -> Result<Sight, CliError> {
    // Nothing is fetched, so nothing from mirrors either.
    let charts = charts::options(&arguments.rendering, Mirrors::default());
    match (&arguments.file, &arguments.name) {
        (Some(path), _) if arguments.live => sight::of_file(path, &arguments.cluster, charts).await,
        (Some(path), _) => sight::from_nothing(path),
        (None, name) => sight::of_cluster(name.as_deref().unwrap_or_default(), &arguments.cluster, charts).await,
    }
}
