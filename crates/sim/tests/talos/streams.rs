//! Streams: events, COSI's lists and watches, and what becomes of them when a machine goes down.

use helix_sim::talos::wire::cosi::resource::{EventType, GetRequest, ListRequest, WatchOptions, WatchRequest};
use helix_sim::talos::wire::machine::sequence_event::Action;
use helix_sim::talos::wire::machine::{EventsRequest, ReadRequest, RebootRequest, SequenceEvent};
use helix_sim::talos::wire::talos::resource::definitions::runtime::MachineStatusSpec;
use helix_sim::world::machine::Guest;
use prost::Message as _;
use tonic::Code;

use crate::lab::Lab;

const MACHINE_STATUS: &str = "MachineStatuses.runtime.talos.dev";
const RUNNING: i32 = 4;
const REBOOTING: i32 = 5;

fn watch(options: WatchOptions) -> WatchRequest {
    WatchRequest {
        namespace: "runtime".to_owned(),
        r#type: MACHINE_STATUS.to_owned(),
        id: Some("machine".to_owned()),
        options: Some(options),
        api_version: 1,
    }
}

async fn boot_id(lab: &Lab, server: helix_sim::world::ServerId) -> Vec<u8> {
    lab.eventually("boot_id", || async {
        let request = ReadRequest { path: "/proc/sys/kernel/random/boot_id".to_owned() };
        let mut data = lab.client(server, "os:admin").machine.read(request).await?.into_inner();
        Ok(data.message().await?.map(|data| data.bytes).unwrap_or_default())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_38_a_reboot_tells_its_actor_cuts_the_stream_and_boots_anew() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let before = boot_id(&lab, server).await;
    let mut admin = lab.client(server, "os:operator");
    let mut events = admin.machine.events(EventsRequest::default()).await.unwrap().into_inner();
    assert!(events.message().await.unwrap().unwrap().data.is_none(), "the first message is empty");
    let answer = admin.machine.reboot(RebootRequest::default()).await.unwrap().into_inner();
    let actor = answer.messages[0].actor_id.clone();
    let mut began = false;
    while let Ok(Some(event)) = events.message().await {
        if event.actor_id == actor {
            let data = event.data.unwrap();
            assert_eq!(data.type_url, "talos/runtime/machine.SequenceEvent");
            let sequence = SequenceEvent::decode(data.value.as_slice()).unwrap();
            assert_eq!((sequence.sequence.as_str(), sequence.action()), ("reboot", Action::Start));
            began = true;
        }
    }
    assert!(began, "the stream was cut without a word of the reboot");
    lab.until("the machine again", server, Guest::is_up).await;
    assert_ne!(boot_id(&lab, server).await, before);
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaviour_42_a_watch_begins_empty_and_resumes_without_loss() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.control_plane("cp-1").await;
    let mut reader = lab.client(server, "os:reader");
    let mut stream = reader.state.watch(watch(WatchOptions::default())).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().event.is_empty(), "the first message is empty");
    let first = stream.message().await.unwrap().unwrap().event.remove(0);
    assert_eq!(first.event_type(), EventType::Created);
    let bookmark = first.bookmark;
    assert!(bookmark.is_some());
    lab.machines.ask(|guests, now| guests.reboot(server, now)).unwrap();
    let mut stages = Vec::new();
    while let Ok(Some(message)) = stream.message().await {
        for event in message.event {
            let spec = event.resource.unwrap().spec.unwrap();
            stages.push(MachineStatusSpec::decode(spec.proto_spec.as_slice()).unwrap().stage);
        }
    }
    assert!(stages.contains(&REBOOTING), "{stages:?}");
    lab.until("the machine again", server, Guest::is_up).await;
    let resumed = lab.eventually("a resumed watch", || async {
        let options = WatchOptions { start_from_bookmark: bookmark.clone(), ..WatchOptions::default() };
        let mut stream = lab.client(server, "os:reader").state.watch(watch(options)).await?.into_inner();
        stream.message().await?;
        stream.message().await
    });
    let event = resumed.await.unwrap().event.remove(0);
    assert_eq!(event.event_type(), EventType::Updated, "what changed in between is told");
    lab.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_are_served_by_role() {
    let Some(lab) = Lab::new() else { return };
    let server = lab.machine("worker", "w-1").await;
    lab.control_plane("cp-1").await;
    lab.until("a running worker", server, |guest| {
        guest.status(jiff::Timestamp::MAX).0 == helix_sim::world::machine::Stage::Running
    })
    .await;
    let get = |namespace: &str, kind: &str, id: &str| GetRequest {
        namespace: namespace.to_owned(),
        r#type: kind.to_owned(),
        id: id.to_owned(),
    };
    let status = lab.eventually("the worker's status", || async {
        lab.client(server, "os:reader").state.get(get("runtime", MACHINE_STATUS, "machine")).await
    });
    let spec = status.await.into_inner().resource.unwrap().spec.unwrap();
    assert!(MachineStatusSpec::decode(spec.proto_spec.as_slice()).unwrap().stage <= RUNNING);
    assert!(spec.yaml_spec.contains("unmetConditions:"));
    let mut reader = lab.client(server, "os:reader");
    let config = || get("config", "MachineConfigs.config.talos.dev", "v1alpha1");
    assert_eq!(reader.state.get(config()).await.unwrap_err().code(), Code::PermissionDenied);
    let unknown = reader.state.get(get("x", "Mysteries.x.talos.dev", "y")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::PermissionDenied);
    let absent = reader.state.get(get("runtime", MACHINE_STATUS, "other")).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    let mut admin = lab.client(server, "os:admin");
    let text = admin.state.get(config()).await.unwrap().into_inner().resource.unwrap().spec.unwrap().yaml_spec;
    assert_eq!(text, lab.sample("worker", "w-1"));
    let request = ListRequest { namespace: "cluster".to_owned(), r#type: "Members.cluster.talos.dev".to_owned() };
    let mut members = admin.state.list(request).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(member) = members.message().await.unwrap() {
        names.push(member.resource.unwrap().metadata.unwrap().id);
    }
    assert_eq!(names, ["w-1", "cp-1"]);
    lab.end().await;
}
