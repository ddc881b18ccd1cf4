//! How far the platform is, phase by phase and machine by machine: lines that move on a terminal, a plain log elsewhere.
//!
//! It shows what the status says and judges nothing itself.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use helix_crds::{HelixMachine, HelixPlatform, PhaseName, PhaseState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::sandbox::watch::Event;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// What a line is about is this wide.
const NAME_WIDTH: usize = 24;

/// What was seen last.
#[derive(Default)]
pub(crate) struct View {
    platform: Option<Box<HelixPlatform>>,
    machines: BTreeMap<String, Box<HelixMachine>>,
}

/// As far as a platform comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All that was asked for is there.
    Ready,
    /// The cluster is there, and what comes next is not built yet, as this says.
    NotImplemented(String),
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Waits,
    Works,
    Done,
    Stuck,
}

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Waits => "·",
            Self::Works => ">",
            Self::Done => "✓",
            Self::Stuck => "!",
        }
    }
}

/// A line of the display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    name: String,
    mark: Mark,
    text: String,
}

impl View {
    /// Takes in what has happened.
    pub(crate) fn see(&mut self, event: Event) {
        match event {
            Event::Platform(platform) => self.platform = platform,
            Event::Machine(machine) => {
                self.machines.insert(machine.metadata.name.clone().unwrap_or_default(), machine);
            }
            Event::MachineGone(name) => {
                self.machines.remove(&name);
            }
            Event::Interrupted | Event::WatchEnded(_) | Event::Unreadable(_) => {}
        }
    }

    /// Whether the platform has come as far as it can, by what the operator says of the present spec.
    pub(crate) fn end(&self) -> Option<End> {
        let platform = self.platform.as_ref()?;
        let status = platform.status.as_ref()?;
        if status.observed_generation != platform.metadata.generation {
            return None;
        }
        let phase = status.phase.as_deref()?;
        if phase == "Ready" {
            return Some(End::Ready);
        }
        let has_cluster = status
            .phases
            .iter()
            .any(|phase| phase.name == PhaseName::ImmutableSubstrate && phase.state == PhaseState::Ready);
        let condition = status.conditions.iter().find(|condition| condition.type_ == phase)?;
        let not_implemented = condition.reason == "NotImplemented";
        (has_cluster && not_implemented).then(|| End::NotImplemented(condition.message.clone()))
    }

    /// What the platform waits for, in the operator's words.
    pub(crate) fn waiting_for(&self) -> Option<&str> {
        self.platform.as_ref()?.status.as_ref()?.waiting_for.as_deref()
    }

    fn rows(&self) -> Vec<Row> {
        let status = self.platform.as_ref().and_then(|platform| platform.status.as_ref());
        let phases = status.into_iter().flat_map(|status| &status.phases);
        let phases = phases.filter(|phase| phase.state != PhaseState::NotRequested).map(|phase| {
            let message = phase.message.as_deref().filter(|message| !message.is_empty());
            Row {
                name: phase.name.to_string(),
                mark: mark(phase.state),
                text: message.map_or_else(|| phase.state.to_string(), |message| format!("{}: {message}", phase.state)),
            }
        });
        let ours = self.machines.values().filter(|machine| self.is_ours(machine));
        phases.chain(ours.map(|machine| machine_row(machine))).collect()
    }

    fn is_ours(&self, machine: &HelixMachine) -> bool {
        let platform = self.platform.as_ref();
        platform.is_some_and(|platform| platform.metadata.name.as_deref() == Some(&machine.spec.platform))
    }
}

fn mark(state: PhaseState) -> Mark {
    match state {
        PhaseState::Pending | PhaseState::NotRequested => Mark::Waits,
        PhaseState::Progressing => Mark::Works,
        PhaseState::Ready => Mark::Done,
        PhaseState::Blocked | PhaseState::Unknown => Mark::Stuck,
    }
}

fn machine_row(machine: &HelixMachine) -> Row {
    let status = machine.status.clone().unwrap_or_default();
    let place = [status.server_type, status.location].into_iter().flatten().collect::<Vec<_>>().join(" in ");
    let state = status.state.unwrap_or_else(|| if status.ready { "ready" } else { "not ready" }.to_owned());
    let text = if place.is_empty() { state } else { format!("{state} ({place})") };
    Row {
        name: format!("  {}", machine.metadata.name.as_deref().unwrap_or_default()),
        mark: if status.ready { Mark::Done } else { Mark::Works },
        text,
    }
}

/// Shows rows as they change.
pub(crate) enum Display {
    /// Lines that stay where they are and change.
    Moving {
        /// Draws all lines.
        all: MultiProgress,
        /// By name.
        lines: BTreeMap<String, ProgressBar>,
    },
    /// A line per change.
    Log {
        /// What was printed last, by name.
        shown: BTreeMap<String, Row>,
        /// From when the seconds count.
        since: Instant,
    },
}

impl Display {
    /// What suits where the standard error output goes.
    pub(crate) fn new(since: Instant) -> Self {
        if io::stderr().is_terminal() {
            Self::Moving { all: MultiProgress::new(), lines: BTreeMap::new() }
        } else {
            Self::Log { shown: BTreeMap::new(), since }
        }
    }

    /// Shows what has changed.
    pub(crate) fn show(&mut self, view: &View) {
        let rows = view.rows();
        match self {
            Self::Moving { all, lines } => {
                lines.retain(|name, line| {
                    let stays = rows.iter().any(|row| row.name == *name);
                    if !stays {
                        all.remove(line);
                    }
                    stays
                });
                for (place, row) in rows.iter().enumerate() {
                    let line =
                        lines.entry(row.name.clone()).or_insert_with(|| all.insert(place, ProgressBar::new_spinner()));
                    if row.mark == Mark::Works {
                        line.enable_steady_tick(TURN);
                    } else {
                        line.disable_steady_tick();
                    }
                    line.set_style(style(row.mark));
                    line.set_prefix(padded(&row.name));
                    line.set_message(row.text.clone());
                }
            }
            Self::Log { shown, since } => print_changes(&mut io::stderr(), shown, &rows, since.elapsed()),
        }
    }

    /// Leaves the lines as they are, for what is printed next to come below them.
    pub(crate) fn rest(&self) {
        if let Self::Moving { lines, .. } = self {
            lines.values().for_each(ProgressBar::abandon);
        }
    }
}

fn print_changes(to: &mut impl Write, shown: &mut BTreeMap<String, Row>, rows: &[Row], time: Duration) {
    shown.retain(|name, row| {
        let stays = rows.iter().any(|row| row.name == *name);
        if !stays {
            // A progress that nobody can read is no reason to stop.
            let _ = writeln!(to, "{:7.1} s  {} {}gone", time.as_secs_f64(), Mark::Waits.sign(), padded(&row.name));
        }
        stays
    });
    for row in rows.iter().filter(|row| shown.get(&row.name) != Some(row)).cloned().collect::<Vec<_>>() {
        let line = format!("{} {}{}", row.mark.sign(), padded(&row.name), row.text);
        let _ = writeln!(to, "{:7.1} s  {line}", time.as_secs_f64());
        shown.insert(row.name.clone(), row);
    }
}

fn padded(name: &str) -> String {
    format!("{name:<NAME_WIDTH$}")
}

fn style(mark: Mark) -> ProgressStyle {
    let style = ProgressStyle::default_spinner();
    let template = match mark {
        Mark::Works => "{spinner:.cyan} {prefix}{wide_msg}".to_owned(),
        Mark::Waits => format!("{} {{prefix:.dim}}{{wide_msg:.dim}}", mark.sign()),
        Mark::Done => format!("{} {{prefix:.green}}{{wide_msg}}", mark.sign()),
        Mark::Stuck => format!("{} {{prefix:.yellow}}{{wide_msg:.yellow}}", mark.sign()),
    };
    // The templates are right, and the style without them would do.
    style.clone().template(&template).unwrap_or(style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn platform(phase: &str, observed: i64) -> Event {
        let platform = json!({
            "apiVersion": "helix.dev/v1alpha1", "kind": "HelixPlatform",
            "metadata": {"name": "dev", "namespace": "a", "generation": 2},
            "spec": {
                "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["127.0.0.0/8"]}},
                "controlPlane": {"placements": [{"serverType": "cax11", "location": "fsn1"}]},
            },
            "status": {"phase": phase, "observedGeneration": observed, "phases": [
                {"name": "HardenedCore", "state": "Ready"},
                {"name": "ImmutableSubstrate", "state": "Progressing", "message": "waiting for dev-cp-0"},
                {"name": "SecurityWeave", "state": "NotRequested"},
            ]},
        });
        Event::Platform(Some(serde_json::from_value(platform).unwrap()))
    }

    fn machine(platform: &str, ready: bool) -> Event {
        let machine = json!({
            "apiVersion": "helix.dev/v1alpha1", "kind": "HelixMachine", "metadata": {"name": format!("{platform}-cp-0")},
            "spec": {"platform": platform, "pool": "cp", "slot": 0},
            "status": {"ready": ready, "serverType": "cax11", "location": "fsn1"},
        });
        Event::Machine(serde_json::from_value(machine).unwrap())
    }

    fn seen(events: impl IntoIterator<Item = Event>) -> View {
        let mut view = View::default();
        events.into_iter().for_each(|event| view.see(event));
        view
    }

    #[test]
    fn the_end_is_what_the_operator_says_of_the_present_spec() {
        assert_eq!(seen([]).end(), None);
        assert_eq!(seen([platform("ImmutableSubstrate", 2)]).end(), None);
        assert_eq!(seen([platform("Ready", 1)]).end(), None);
        assert_eq!(seen([platform("Ready", 2)]).end(), Some(End::Ready));
    }

    #[test]
    fn a_phase_that_is_not_built_is_an_end_once_there_is_a_cluster() {
        let Event::Platform(Some(mut platform)) = platform("SecurityWeave", 2) else { panic!("a platform") };
        let status = platform.status.as_mut().unwrap();
        let condition = json!({
            "type": "SecurityWeave", "status": "False", "reason": "NotImplemented", "message": "not yet",
            "lastTransitionTime": "2026-11-21T09:30:00Z",
        });
        status.conditions = vec![serde_json::from_value(condition).unwrap()];
        let mut ready = platform.clone();
        ready.status.as_mut().unwrap().phases[1].state = PhaseState::Ready;
        assert_eq!(seen([Event::Platform(Some(platform))]).end(), None);
        let end = seen([Event::Platform(Some(ready))]).end();
        assert_eq!(end, Some(End::NotImplemented("not yet".to_owned())));
    }

    #[test]
    fn a_log_has_a_line_per_change_and_none_of_other_platforms() {
        let mut shown = BTreeMap::new();
        let mut print = |view: &View| {
            let mut text = Vec::new();
            print_changes(&mut text, &mut shown, &view.rows(), Duration::from_millis(1500));
            String::from_utf8(text).unwrap()
        };
        let mut view = seen([platform("ImmutableSubstrate", 2), machine("dev", false), machine("other", true)]);
        assert_eq!(
            print(&view),
            "    1.5 s  ✓ HardenedCore            Ready\n\
             \x20   1.5 s  > ImmutableSubstrate      Progressing: waiting for dev-cp-0\n\
             \x20   1.5 s  >   dev-cp-0              not ready (cax11 in fsn1)\n"
        );
        assert_eq!(print(&view), "");
        view.see(machine("dev", true));
        assert_eq!(print(&view), "    1.5 s  ✓   dev-cp-0              ready (cax11 in fsn1)\n");
        view.see(Event::MachineGone("dev-cp-0".to_owned()));
        assert_eq!(print(&view), "    1.5 s  ·   dev-cp-0              gone\n");
    }
}
