//! `helix orphans`: what the project of a platform's token holds of platforms that are gone. It deletes nothing.

use std::fmt::Write as _;

use helix_clients::charts::ChartOptions;
use helix_engine::sweep::{Found, SweepMode, Sweeper};
use helix_plan::observed::host;
use helix_plan::step::RECORD;

use crate::Outcome;
use crate::arguments::OrphansArguments;
use crate::error::CliError;
use crate::live::Management;
use crate::output;

pub(crate) async fn run(arguments: &OrphansArguments) -> Result<Outcome, CliError> {
    let management = Management::connect(&arguments.cluster).await?;
    let platform = management.get(management.namespace(), &arguments.name).await?;
    let seams = management.seams(&platform, ChartOptions::default()).await?;
    let census = management.census().await?;
    let now = seams.clock.now();
    let swept = Sweeper::default().sweep(&seams.project, seams.store.as_ref(), &census, SweepMode::Report, now).await?;
    output::print(&text(&swept.found))?;
    Ok(if swept.found.is_empty() { Outcome::Done } else { Outcome::Changes })
}

fn text(found: &[Found]) -> String {
    if found.is_empty() {
        return "Nothing in the project is left of a platform that is gone.\n".to_owned();
    }
    let mut text = String::new();
    for found in found {
        let orphan = &found.orphan;
        let whose = match &found.proved {
            Some(identity) => format!("was made from this management cluster, in namespace {}", identity.namespace),
            None => "may be another Helix' with another management cluster".to_owned(),
        };
        let _ = writeln!(text, "platform {} (UID {}) {whose}", orphan.platform, orphan.uid);
        for (kind, id, name) in &orphan.resources {
            let _ = writeln!(text, "  {} {name} (#{id})", kind.words());
        }
        for (zone, name) in &orphan.names {
            let _ = writeln!(text, "  {RECORD} {}", host(zone, name));
        }
    }
    text.push_str("\nWhat is nobody's, delete at the provider; `helix-operator --sweep=delete` deletes what was made from here.\n");
    text
}
