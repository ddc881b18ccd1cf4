//! A plan for people: aligned columns, and what has to be known beside them. No colours, so that it reads the same in a
//! terminal, a log and a file.

use std::fmt::Write as _;

use super::document::{ApprovalDocument, Cost, Document, StageDocument, StepDocument, Totals};

/// Number of columns.
const COLUMNS: usize = 7;

const HEAD: [&str; COLUMNS] = ["STAGE", "STEP", "TARGET", "DISRUPTION", "CALLS", "EUR/MONTH", "TAKES"];

/// Which columns are numbers.
const RIGHT: [bool; COLUMNS] = [true, false, false, false, true, true, true];

pub(super) fn render(document: &Document) -> String {
    let mut text = format!("Plan for {}, {}\n\n", document.platform, origin(document.from));
    if document.stages.is_empty() {
        let _ = writeln!(text, "{}", unchanged(document));
        waits(&mut text, &document.waits_for);
    } else {
        steps(&mut text, &document.stages, &document.waits_for);
    }
    text.push('\n');
    sums(&mut text, document.stages.len(), &document.totals, &document.cost);
    let _ = writeln!(text, "Prices        {}", document.cost.prices);
    if let Some(approval) = &document.approval {
        asked(&mut text, approval);
    }
    phases(&mut text, document);
    if !document.notes.is_empty() {
        text.push_str("\nNotes\n");
    }
    for note in &document.notes {
        let _ = writeln!(text, "  - {note}");
    }
    text
}

fn sums(text: &mut String, stages: usize, totals: &Totals, cost: &Cost) {
    let Totals { steps, hetzner_calls, disruption, seconds } = totals;
    let _ = writeln!(
        text,
        "Steps         {steps} in {stages} stages, worst disruption {disruption}, {hetzner_calls} Hetzner calls"
    );
    let _ = writeln!(text, "Takes         about {}", duration(*seconds));
    let _ = writeln!(text, "Monthly cost  {} ({}), net", cost.monthly, cost.delta);
}

/// What waits for an approval, how to give it, and what is done then.
fn asked(text: &mut String, approval: &ApprovalDocument) {
    text.push_str("\nWaits for an approval\n");
    let width = approval.items.iter().map(|item| item.object.chars().count()).max().unwrap_or_default();
    for item in &approval.items {
        let _ = writeln!(text, "  {:<width$}  {}", item.object, item.disruption);
    }
    let _ = writeln!(text, "\nIt is given by\n  {}\n\nand then follows\n", approval.command);
    steps(text, &approval.stages, &approval.waits_for);
    text.push('\n');
    sums(text, approval.stages.len(), &approval.totals, &approval.cost);
}

/// What is to be said where nothing is to be done: that all is well, or what keeps it from being changed.
fn unchanged(document: &Document) -> String {
    if document.approval.is_some() {
        return "No changes without an approval.".to_owned();
    }
    let stuck = document.phases.iter().find(|phase| phase.state == "Blocked" || phase.state == "Unknown");
    match stuck {
        Some(phase) => format!("No changes, but it is not as specified either: {} is {}.", phase.name, phase.state),
        None => "No changes.".to_owned(),
    }
}

fn origin(from: &str) -> &'static str {
    if from == "live" { "from what exists" } else { "from nothing" }
}

fn steps(text: &mut String, stages: &[StageDocument], waits_for: &[String]) {
    let rows: Vec<[String; COLUMNS]> =
        stages.iter().flat_map(|stage| stage.steps.iter().map(|step| row(stage, step))).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(text, &HEAD.map(str::to_owned), &widths);
    let mut rows = rows.into_iter();
    for stage in stages {
        waits(text, &stage.waits_for);
        rows.by_ref().take(stage.steps.len()).for_each(|row| line(text, &row, &widths));
    }
    waits(text, waits_for);
}

fn row(stage: &StageDocument, step: &StepDocument) -> [String; COLUMNS] {
    [
        stage.stage.to_string(),
        step.step.to_owned(),
        step.placement.as_ref().map_or(step.target.clone(), |placement| format!("{} ({placement})", step.target)),
        step.disruption.to_string(),
        step.hetzner_calls.to_string(),
        step.monthly_eur.clone().unwrap_or_default(),
        step.expected_seconds.map(duration).unwrap_or_default(),
    ]
}

fn line(text: &mut String, cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) {
    let mut line = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(RIGHT) {
        let _ = match right {
            true => write!(line, "{cell:>width$}  "),
            false => write!(line, "{cell:<width$}  "),
        };
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn waits(text: &mut String, waits: &[String]) {
    for wait in waits {
        let _ = writeln!(text, "       … {wait}");
    }
}

fn phases(text: &mut String, document: &Document) {
    if document.phases.is_empty() {
        return;
    }
    text.push_str("\nWhere it comes to rest\n");
    let width = document.phases.iter().map(|phase| phase.name.as_str().len()).max().unwrap_or_default();
    for phase in &document.phases {
        let name = phase.name.as_str();
        let message = phase.message.as_ref().map_or(String::new(), |message| format!(": {message}"));
        let _ = writeln!(text, "  {name:<width$}  {}{message}", phase.state);
    }
}

/// Seconds as people say them.
fn duration(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
