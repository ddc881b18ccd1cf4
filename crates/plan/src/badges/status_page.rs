//! `STATUS.md`: phases with their evidence, where every figure comes from, the badges, and what went wrong.
//!
//! Everything in it was observed; ages are those at the time of writing, which it names.

use std::fmt::Write as _;

use helix_crds::PhaseState;
use jiff::Timestamp;

use super::incidents::Incident;
use super::platform::Phase;
use super::rows::{ROWS, Source};
use super::{Judged, words};

/// Incidents that are shown; `incidents.jsonl` has all.
const SHOWN: usize = 50;

/// What the page tells of.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// The platform's namespace and name, where one was looked at.
    pub platform: Option<(&'a str, &'a str)>,
    /// What readers have to know first, such as that it is about a sandbox.
    pub note: Option<&'a str>,
    /// Its phases; none where they could not be observed.
    pub phases: &'a [Phase],
    /// Every badge.
    pub badges: &'a [Judged],
    /// Newest first; or why events could not be read.
    pub incidents: Result<&'a [Incident], &'a str>,
    /// Where the badges' files are, seen from the page, as in `metrics`.
    pub directory: &'a str,
    /// When all of it was observed.
    pub now: Timestamp,
}

/// The page as Markdown.
#[must_use]
pub fn page(page: &Page<'_>) -> String {
    let of = page.platform.map_or("Status".to_owned(), |(namespace, name)| format!("Status of {namespace}/{name}"));
    let mut text = format!("# {}\n\n", plain(&of));
    if let Some(note) = page.note {
        let _ = writeln!(text, "> {}\n", plain(note));
    }
    let _ =
        writeln!(text, "Observed at {:.0} and written by `helix badges`; ages are those of that moment.\n", page.now);
    badges(&mut text, page);
    phases(&mut text, page);
    flowchart(&mut text);
    figures(&mut text, page);
    incidents(&mut text, page);
    text
}

fn badges(text: &mut String, page: &Page<'_>) {
    let link = |judged: &Judged| {
        let badge = &judged.badge;
        format!("[**{}** {}]({}/{}.json)", badge.label, plain(&badge.message), page.directory, judged.row.slug)
    };
    let row: Vec<String> = page.badges.iter().map(link).collect();
    let _ = writeln!(text, "{}\n", row.join(" ·\n"));
}

fn phases(text: &mut String, page: &Page<'_>) {
    text.push_str("## Phases\n\n");
    if page.phases.is_empty() {
        text.push_str("They could not be observed.\n\n");
        return;
    }
    text.push_str("| phase | state | since | evidence | age |\n|---|---|---|---|---|\n");
    for phase in page.phases {
        let since = phase.since.filter(|_| phase.state != PhaseState::NotRequested);
        let since = since.map_or(String::new(), |since| format!("{since:.0}"));
        let evidence: Vec<String> = phase.evidence.iter().map(|evidence| plain(&evidence.what)).collect();
        let told = phase.message.iter().filter(|_| phase.state != PhaseState::Ready).map(|message| plain(message));
        let told: Vec<String> = told.chain(evidence).collect();
        let oldest = phase.evidence.iter().map(|evidence| evidence.at).min();
        let age = oldest.map_or(String::new(), |at| words(page.now.duration_since(at)));
        let _ = writeln!(text, "| `{}` | {} | {since} | {} | {age} |", phase.name, phase.state, told.join("<br>"));
    }
    text.push('\n');
}

/// Where figures come from, and what is made of them.
fn flowchart(text: &mut String) {
    text.push_str("## Where the figures come from\n\n```mermaid\nflowchart LR\n");
    text.push_str("    accTitle: From sources to badges\n");
    text.push_str(
        "    accDescr: Each source is asked once; its readings are judged into badges, history and this page\n",
    );
    for (index, source) in Source::ALL.into_iter().enumerate() {
        let slugs: Vec<&str> = ROWS.iter().filter(|row| row.source == source).map(|row| row.label).collect();
        let _ =
            writeln!(text, "    s{index}[\"{}\"] --> b{index}[\"{}\"] --> judge", source.words(), slugs.join("<br>"));
    }
    text.push_str(
        "    judge{\"helix badges\"} --> json[\"metrics/*.json\"] --> shields([\"Shields, the status site\"])\n",
    );
    text.push_str("    judge --> history[\"metrics/history.jsonl\"] --> charts([\"charts of the status site\"])\n");
    text.push_str("    judge --> status[\"STATUS.md\"]\n```\n\n");
}

fn figures(text: &mut String, page: &Page<'_>) {
    text.push_str("## Figures\n\n| badge | shows | is | from | observed |\n|---|---|---|---|---|\n");
    for judged in page.badges {
        let row = judged.row;
        let age = judged.at.map(|at| format!("{} ago", words(page.now.duration_since(at))));
        let observed = match (&judged.why, age) {
            (Some(why), _) => plain(why),
            (None, age) => age.unwrap_or_default(),
        };
        let (shows, from) = (plain(&judged.badge.message), row.source.words());
        let _ = writeln!(text, "| {} | {shows} | {} | {from} | {observed} |", row.label, row.measure);
    }
    text.push('\n');
}

fn incidents(text: &mut String, page: &Page<'_>) {
    text.push_str("## Incidents of the last 30 days\n\n");
    let incidents = match page.incidents {
        Ok([]) => return text.push_str("No warning was told.\n"),
        Ok(incidents) => incidents,
        Err(why) => {
            let _ = writeln!(text, "Events could not be read: {}.", plain(why));
            return;
        }
    };
    text.push_str("| last | about | reason | what happened | times |\n|---|---|---|---|---|\n");
    for incident in incidents.iter().take(SHOWN) {
        let (about, reason, message) = (plain(&incident.about), plain(&incident.reason), plain(&incident.message));
        let _ = writeln!(text, "| {:.0} | {about} | {reason} | {message} | {} |", incident.last, incident.count);
    }
    if let Some(more) = incidents.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "\nAnd {more} more in `{}/incidents.jsonl`.", page.directory);
    }
}

/// A text from outside that can end neither its cell nor its line, and is no markup.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => plain.push(' '),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '|' | '[' | ']' | '`' | '*' | '_' | '\\' | '!' => {
                plain.push('\\');
                plain.push(character);
            }
            other => plain.push(other),
        }
    }
    plain
}
