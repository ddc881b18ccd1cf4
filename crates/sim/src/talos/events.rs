//! Streams: a machine's events as they happen, each stream beginning with an empty message that says it stands.

use prost_types::Any;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::machines::Machines;
use super::wire::common::{Code, Error};
use super::wire::machine::machine_status_event::machine_status::UnmetCondition;
use super::wire::machine::machine_status_event::{MachineStage, MachineStatus};
use super::wire::machine::sequence_event::Action;
use super::wire::machine::{Event, EventsRequest, MachineStatusEvent, SequenceEvent};
use crate::world::ServerId;
use crate::world::machine::{Entry, Guest, Happening, Stage};

/// How many messages may wait for a slow reader.
const WAITING: usize = 64;

/// A stream of what is there already.
pub(super) fn once<T: Send + 'static>(messages: Vec<T>) -> ReceiverStream<Result<T, Status>> {
    let (sender, receiver) = mpsc::channel(messages.len().max(1));
    for message in messages {
        // There is room for all of them, and the receiver is still here.
        let _ = sender.try_send(Ok(message));
    }
    ReceiverStream::new(receiver)
}

/// A stream that `next` feeds: at once, and again after every change in the world, until nobody reads any more.
pub(super) fn following<T: Send + 'static>(
    machines: Machines,
    first: Vec<T>,
    mut next: impl FnMut(&Machines) -> Vec<T> + Send + 'static,
) -> ReceiverStream<Result<T, Status>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut changes = machines.changes();
        let mut messages = first;
        loop {
            messages.extend(next(&machines));
            for message in messages.drain(..) {
                if sender.send(Ok(message)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = sender.closed() => return,
                change = changes.recv() => if change.is_none() { return },
            }
            while changes.try_recv().is_ok() {}
        }
    });
    ReceiverStream::new(receiver)
}

/// The events of a machine: those of the past that are asked for, then the new ones.
pub(super) fn stream(
    machines: Machines,
    server: ServerId,
    request: EventsRequest,
) -> ReceiverStream<Result<Event, Status>> {
    let mut position = machines.look_at(server, |guest, _| beginning(guest, &request)).unwrap_or_default();
    let actor = request.with_actor_id;
    following(machines, vec![Event::default()], move |machines| {
        let fresh = machines.look_at(server, |guest, now| {
            let entries: Vec<Event> = guest
                .events()
                .since(position)
                .filter(|entry| actor.is_empty() || entry.actor == actor)
                .map(|entry| told(guest, entry, now))
                .collect();
            (entries, guest.events().next())
        });
        let (events, next) = fresh.unwrap_or_default();
        position = next;
        events
    })
}

/// The number of the first entry that is asked for.
fn beginning(guest: &Guest, request: &EventsRequest) -> u64 {
    let next = guest.events().next();
    if let Ok(last) = request.tail_id.parse::<u64>() {
        return last + 1;
    }
    match request.tail_events {
        0 if request.tail_seconds == 0 => next,
        count => u64::try_from(count).ok().filter(|count| *count > 0).map_or(0, |count| next.saturating_sub(count)),
    }
}

fn told(guest: &Guest, entry: &Entry, now: jiff::Timestamp) -> Event {
    let data = match &entry.what {
        Happening::Sequence { name, began, error } => {
            let action = if *began { Action::Start } else { Action::Stop };
            let error = error.as_ref().map(|message| Error { code: Code::Fatal.into(), message: message.clone() });
            any("machine.SequenceEvent", &SequenceEvent { sequence: (*name).to_owned(), action: action.into(), error })
        }
        Happening::Status { stage, ready } => {
            let unmet = if *ready { Vec::new() } else { guest.unmet(now) };
            let unmet_conditions = unmet
                .into_iter()
                .map(|(name, reason)| UnmetCondition { name: name.to_owned(), reason: reason.to_owned() })
                .collect();
            let status = MachineStatus { ready: *ready, unmet_conditions };
            any("machine.MachineStatusEvent", &MachineStatusEvent { stage: stage_number(*stage), status: Some(status) })
        }
    };
    Event { metadata: None, data: Some(data), id: format!("{:020}", entry.number), actor_id: entry.actor.clone() }
}

/// Talos packs its events under its own prefix.
fn any(name: &str, message: &impl prost::Message) -> Any {
    Any { type_url: format!("talos/runtime/{name}"), value: message.encode_to_vec() }
}

/// The number of a stage, the same in events and in COSI.
pub(super) fn stage_number(stage: Stage) -> i32 {
    let stage = match stage {
        Stage::Booting => MachineStage::Booting,
        Stage::Maintenance => MachineStage::Maintenance,
        Stage::Running => MachineStage::Running,
        Stage::Rebooting => MachineStage::Rebooting,
        Stage::ShuttingDown => MachineStage::ShuttingDown,
        Stage::Resetting => MachineStage::Resetting,
        Stage::Upgrading => MachineStage::Upgrading,
    };
    stage.into()
}
