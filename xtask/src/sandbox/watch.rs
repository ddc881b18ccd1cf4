//! What happens to a platform and its machines, as events, from `kubectl get --watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use helix_crds::{HelixMachine, HelixPlatform};
use serde::Deserialize;

use crate::error::Error;
use crate::process;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::processes;

/// Something that the sandbox waits for.
pub(crate) enum Event {
    /// Ctrl-C, or the like.
    Interrupted,
    /// The platform is like this now; none when it is gone.
    Platform(Option<Box<HelixPlatform>>),
    /// A machine is like this now.
    Machine(Box<HelixMachine>),
    /// A machine of this name is gone.
    MachineGone(String),
    /// The watch of this process id has ended: the API server ends each after a while.
    WatchEnded(u32),
    /// A watch said something that this program does not understand.
    Unreadable(String),
}

/// A line of `kubectl get --watch --output-watch-events`.
#[derive(Deserialize)]
struct Change<Object> {
    #[serde(rename = "type")]
    kind: String,
    object: Object,
}

impl<Object> Change<Object> {
    fn is_end(&self) -> bool {
        self.kind == "DELETED"
    }
}

/// The watches of a platform and of the machines in its namespace. They end when this is dropped.
pub(crate) struct Watch {
    children: Vec<Child>,
}

impl Watch {
    /// Starts watching. What is there already comes as the first events.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub(crate) fn start(
        kubectl: &Kubectl<'_>,
        directory: &Directory,
        (namespace, name): (&str, &str),
        events: &Sender<Event>,
    ) -> Result<Self, Error> {
        let mut watch = Self { children: Vec::new() };
        let namespace = format!("--namespace={namespace}");
        // Selected rather than named: kubectl refuses to watch what has a name and is not there.
        let named = format!("--field-selector=metadata.name={name}");
        watch.follow(kubectl, directory, &["helixplatforms", &named, &namespace], events, platform)?;
        watch.follow(kubectl, directory, &["helixmachines", &namespace], events, machine)?;
        Ok(watch)
    }

    /// Whether the process of this id is one of its own, and not of an earlier watch.
    pub(crate) fn has(&self, id: u32) -> bool {
        self.children.iter().any(|child| child.id() == id)
    }

    fn follow(
        &mut self,
        kubectl: &Kubectl<'_>,
        directory: &Directory,
        what: &[&str],
        events: &Sender<Event>,
        read: fn(&str) -> serde_json::Result<Event>,
    ) -> Result<(), Error> {
        let mut command = kubectl.command();
        command.arg("get").args(what);
        command.args(["--watch", "--output-watch-events", "--output=json"]);
        // That a watch is cut off is told by its end.
        processes::mark(&mut command, directory).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = process::start(&mut command)?;
        let (id, output) = (child.id(), child.stdout.take());
        self.children.push(child);
        let events = events.clone();
        thread::spawn(move || {
            let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines());
            for line in lines.map_while(Result::ok) {
                let event = read(&line).unwrap_or_else(|error| Event::Unreadable(error.to_string()));
                if events.send(event).is_err() {
                    return;
                }
            }
            // Nobody listens any more when this fails.
            let _ = events.send(Event::WatchEnded(id));
        });
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself; either way it is gone afterwards.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn platform(line: &str) -> serde_json::Result<Event> {
    let change: Change<Box<HelixPlatform>> = serde_json::from_str(line)?;
    Ok(Event::Platform((!change.is_end()).then_some(change.object)))
}

fn machine(line: &str) -> serde_json::Result<Event> {
    let change: Change<Box<HelixMachine>> = serde_json::from_str(line)?;
    Ok(if change.is_end() {
        Event::MachineGone(change.object.metadata.name.unwrap_or_default())
    } else {
        Event::Machine(change.object)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_machine_is_like_or_that_it_is_gone() {
        let line = |kind: &str| {
            let machine = r#"{"apiVersion":"helix.dev/v1alpha1","kind":"HelixMachine","metadata":{"name":"dev-cp-0"},
                "spec":{"platform":"dev","pool":"cp","slot":0},"status":{"ready":true}}"#;
            format!(r#"{{"type":"{kind}","object":{machine}}}"#)
        };
        let Event::Machine(seen) = machine(&line("MODIFIED")).unwrap() else { panic!("a machine") };
        assert!(seen.status.unwrap().ready);
        assert!(matches!(machine(&line("DELETED")).unwrap(), Event::MachineGone(name) if name == "dev-cp-0"));
        assert!(machine("no JSON").is_err());
    }
}
