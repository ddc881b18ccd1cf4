//! `helix badges`: asks everybody at once how a platform is, and writes badges, their history and the status page.
//!
//! Who does not answer makes only the own badges unknown. Files are put in place whole; what a badge says is decided by
//! [`helix_plan::badges`].

mod files;
mod reports;
mod sources;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use helix_plan::badges::{self, Judged, Page, ROWS, Reading};
use jiff::Timestamp;

use crate::Outcome;
use crate::arguments::BadgesArguments;
use crate::error::CliError;
use crate::output;
use sources::{Asked, Found};

pub(crate) async fn run(arguments: &BadgesArguments) -> Result<Outcome, CliError> {
    let asked = Asked::of(arguments)?;
    files::make(&arguments.output)?;
    let Found { namespace, readings, phases, warnings } = Box::pin(sources::look(&asked)).await;
    let now = Timestamp::now();
    let badges = judged(&readings, now);
    let incidents = files::incidents(&arguments.output, warnings.as_ref().ok().cloned().unwrap_or_default(), now)?;
    files::badges(&arguments.output, &badges, now)?;
    let platform = arguments.name.as_deref().map(|name| (namespace.as_str(), name));
    files::about(&arguments.output, platform, arguments.note.as_deref(), now)?;
    if let Some(path) = &arguments.status {
        let page = Page {
            platform,
            note: arguments.note.as_deref(),
            phases: &phases,
            badges: &badges,
            incidents: warnings.as_ref().map(|_| incidents.as_slice()).map_err(String::as_str),
            directory: &files::seen_from(path, &arguments.output),
            now,
        };
        output::put(path, &badges::page(&page), output::Readers::Anybody)?;
    }
    for warning in amiss(&badges) {
        output::remark(&format!("helix: {warning}"));
    }
    output::print(&table(&badges))?;
    let is_amiss = badges.iter().any(|judged| judged.is_amiss);
    Ok(if is_amiss { Outcome::Unobserved } else { Outcome::Done })
}

fn judged(readings: &BTreeMap<&'static str, Reading>, now: Timestamp) -> Vec<Judged> {
    let nobody = Reading::failed("no source tells of it; this is a fault in Helix, please report it");
    ROWS.iter().map(|row| badges::judge(row, readings.get(row.slug).unwrap_or(&nobody), now)).collect()
}

/// What somebody has to be told, once for all badges of which it is true.
fn amiss(badges: &[Judged]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for judged in badges.iter().filter(|judged| judged.is_amiss) {
        let why = judged.why.as_deref().unwrap_or_default();
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, slugs)) => slugs.push(judged.row.slug),
            None => reasons.push((why, vec![judged.row.slug])),
        }
    }
    reasons.into_iter().map(|(why, slugs)| format!("{}: {why}", slugs.join(", "))).collect()
}

fn table(badges: &[Judged]) -> String {
    let mut text = String::new();
    for judged in badges {
        // What is amiss is told on standard error.
        let why = judged.why.as_deref().filter(|_| !judged.is_amiss).map_or(String::new(), |why| format!("  ({why})"));
        let _ = writeln!(text, "{:<22}{}{why}", judged.row.slug, judged.badge.message);
    }
    text
}
