//! `cosi.resource.State`, for reading: get, list and watch of the types in [`super::resources`]. Writing is not served,
//! as Talos refuses it over the network.

use std::collections::BTreeMap;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::caller::Caller;
use super::events::{following, once};
use super::machine_service::Service;
use super::resources::{Kind, list};
use super::route::target;
use super::wire::cosi::resource::state_server::State;
use super::wire::cosi::resource::{
    Event, EventType, GetRequest, GetResponse, ListRequest, ListResponse, Resource, WatchRequest, WatchResponse,
};
use crate::world::ServerId;

/// The type that is asked for, if it exists and the caller may see it.
fn kind(caller: &Caller, namespace: &str, name: &str) -> Result<Kind, Status> {
    let kind = Kind::named(namespace, name).filter(|kind| caller.is_admin() || !kind.is_sensitive());
    kind.ok_or_else(|| Status::permission_denied("not authorized"))
}

impl Service {
    fn resources(&self, server: ServerId, kind: Kind) -> Vec<Resource> {
        self.machines.look(|guests, now| list(guests, server, kind, now))
    }
}

fn id(resource: &Resource) -> &str {
    resource.metadata.as_ref().map(|metadata| metadata.id.as_str()).unwrap_or_default()
}

#[tonic::async_trait]
impl State for Service {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let (caller, server) = target(&self.machines, self.server, &request, "State")?;
        let request = request.into_inner();
        let kind = kind(&caller, &request.namespace, &request.r#type)?;
        let resource = self.resources(server, kind).into_iter().find(|resource| id(resource) == request.id);
        match resource {
            Some(resource) => Ok(Response::new(GetResponse { resource: Some(resource) })),
            None => Err(Status::not_found(format!("resource {}({}) doesn't exist", kind.name(), request.id))),
        }
    }

    type ListStream = ReceiverStream<Result<ListResponse, Status>>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let (caller, server) = target(&self.machines, self.server, &request, "State")?;
        let request = request.into_inner();
        let kind = kind(&caller, &request.namespace, &request.r#type)?;
        let listed = self.resources(server, kind).into_iter().map(|it| ListResponse { resource: Some(it) });
        Ok(Response::new(once(listed.collect())))
    }

    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (caller, server) = target(&self.machines, self.server, &request, "State")?;
        let request = request.into_inner();
        let kind = kind(&caller, &request.namespace, &request.r#type)?;
        let mut watch = Watch::new(&request);
        let first = vec![WatchResponse::default()];
        let stream = following(self.machines.clone(), first, move |machines| {
            watch.next(machines.look(|guests, now| list(guests, server, kind, now)))
        });
        Ok(Response::new(stream))
    }
}

/// What one watcher has been told.
struct Watch {
    id: Option<String>,
    bootstrap: bool,
    resumes: bool,
    known: Option<BTreeMap<String, Resource>>,
}

impl Watch {
    fn new(request: &WatchRequest) -> Self {
        let options = request.options.clone().unwrap_or_default();
        Self {
            id: request.id.clone(),
            bootstrap: options.bootstrap_contents,
            resumes: options.start_from_bookmark.is_some(),
            known: None,
        }
    }

    /// The events that lead from what was told to `now`.
    fn next(&mut self, now: Vec<Resource>) -> Vec<WatchResponse> {
        let now: BTreeMap<String, Resource> = now
            .into_iter()
            .filter(|resource| self.id.as_ref().is_none_or(|wanted| wanted == id(resource)))
            .map(|resource| (id(&resource).to_owned(), resource))
            .collect();
        let events = match self.known.take() {
            None => self.first(&now),
            Some(known) => changes(&known, &now),
        };
        self.known = Some(now);
        events.into_iter().map(|event| WatchResponse { event: vec![event] }).collect()
    }

    /// One that resumes after a cut is told everything as changed, so that nothing is lost in between. A watch of one
    /// resource begins with its state; one of a type does so where it asks for that.
    fn first(&self, now: &BTreeMap<String, Resource>) -> Vec<Event> {
        if self.resumes {
            return now.values().map(|resource| event(EventType::Updated, resource.clone(), None)).collect();
        }
        let mut events = Vec::new();
        if self.bootstrap || self.id.is_some() {
            events.extend(now.values().map(|resource| event(EventType::Created, resource.clone(), None)));
        }
        if self.id.is_some() && now.is_empty() {
            events.push(event(EventType::Destroyed, Resource::default(), None));
        }
        if self.bootstrap {
            events.push(event(EventType::Bootstrapped, Resource::default(), None));
        }
        events
    }
}

fn changes(known: &BTreeMap<String, Resource>, now: &BTreeMap<String, Resource>) -> Vec<Event> {
    let mut events = Vec::new();
    for (id, resource) in now {
        match known.get(id) {
            None => events.push(event(EventType::Created, resource.clone(), None)),
            Some(old) if old != resource => events.push(event(EventType::Updated, resource.clone(), Some(old.clone()))),
            Some(_) => {}
        }
    }
    let gone = known.iter().filter(|(id, _)| !now.contains_key(*id));
    events.extend(gone.map(|(_, resource)| event(EventType::Destroyed, resource.clone(), None)));
    events
}

/// An event with a bookmark to resume from: which resource version it told last.
fn event(kind: EventType, resource: Resource, old: Option<Resource>) -> Event {
    let bookmark = resource.metadata.as_ref().map(|metadata| metadata.version.clone().into_bytes());
    Event { event_type: kind.into(), resource: Some(resource), old, error: None, bookmark }
}
