//! How far the platform is, phase by phase and machine by machine: lines that move on a terminal, a plain log elsewhere.
//!
//! It shows what the status says and judges nothing itself.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use helix_crds::{HelixMachine, HelixPlatform, PhaseState};
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

    /// Whether all that was asked for is Ready, and the operator says so of the present spec.
    pub(crate) fn is_ready(&self) -> bool {
        let Some(platform) = &self.platform else { return false };
        let Some(status) = &platform.status else { return false };
        status.phase.as_deref() == Some("Ready") && status.observed_generation == platform.metadata.generation
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
                    let line = lines.entry(row.name.clone()).or_insert_with(|| {
                        let line = all.insert(place, ProgressBar::new_spinner());
                        line.enable_steady_tick(TURN);
                        line
                    });
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
    fn ready_is_what_the_operator_says_of_the_present_spec() {
        assert!(!seen([]).is_ready());
        assert!(!seen([platform("ImmutableSubstrate", 2)]).is_ready());
        assert!(!seen([platform("Ready", 1)]).is_ready());
        assert!(seen([platform("Ready", 2)]).is_ready());
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
