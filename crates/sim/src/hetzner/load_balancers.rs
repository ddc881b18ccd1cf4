//! `/load_balancers`. What requests look like is in `requests.rs`.

mod requests;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use serde_json::{Value, json};

use self::requests::{
    AddService, Attach, ChangeAlgorithm, Create, DeleteService, Detach, DisablePublic, EnablePublic, RemoveTarget,
    TargetOnWire, UpdateService,
};
use super::body::{Id, Json, Params};
use super::images::Protect;
use super::list::ListQuery;
use super::reply::{Answer, Reply, time};
use super::ssh_keys::Rename;
use super::{Caller, actions, catalogue};
use crate::world::catalogue::INCLUDED_TRAFFIC_BYTES;
use crate::world::load_balancers::{
    CreateLoadBalancer, Health, LoadBalancer, LoadBalancerChange, Service, Target, TargetKind,
};
use crate::world::{ApiError, LoadBalancerId, Project, ProjectId, ResourceRef, ServerId, World};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/load_balancers", get(list).post(create))
        .route("/load_balancers/{id}", get(one).put(update).delete(delete))
        .route("/load_balancers/{id}/actions/add_service", change::<AddService>())
        .route("/load_balancers/{id}/actions/update_service", post(update_service))
        .route("/load_balancers/{id}/actions/delete_service", change::<DeleteService>())
        .route("/load_balancers/{id}/actions/add_target", change::<TargetOnWire>())
        .route("/load_balancers/{id}/actions/remove_target", change::<RemoveTarget>())
        .route("/load_balancers/{id}/actions/attach_to_network", change::<Attach>())
        .route("/load_balancers/{id}/actions/detach_from_network", change::<Detach>())
        .route("/load_balancers/{id}/actions/enable_public_interface", change::<EnablePublic>())
        .route("/load_balancers/{id}/actions/disable_public_interface", change::<DisablePublic>())
        .route("/load_balancers/{id}/actions/change_algorithm", change::<ChangeAlgorithm>())
        .route("/load_balancers/{id}/actions/change_protection", post(protect))
}

async fn list(caller: Caller, params: Params) -> Answer {
    let query = ListQuery::read(params, &[])?;
    caller.with(|world, project, _| {
        let all = world.project(project);
        query.answer("load_balancers", all.load_balancers.values(), |it| &it.meta, |it| view(all, it))
    })
}

async fn create(caller: Caller, Json(request): Json<Create>) -> Answer {
    let order = CreateLoadBalancer::try_from(request)?;
    caller.with(|world, project, now| {
        let (id, action) = world.create_load_balancer(project, order, now)?;
        let mut body = wrapped(world, project, id)?;
        body["action"] = actions::view_of(world, project, action);
        Ok(Reply::Created(body))
    })
}

async fn one(caller: Caller, Id(id): Id<LoadBalancerId>) -> Answer {
    caller.with(|world, project, _| Ok(Reply::Ok(wrapped(world, project, id)?)))
}

async fn update(caller: Caller, Id(id): Id<LoadBalancerId>, Json(request): Json<Rename>) -> Answer {
    caller.with(|world, project, now| {
        world.update_load_balancer(project, id, request.into(), now)?;
        Ok(Reply::Ok(wrapped(world, project, id)?))
    })
}

/// Answers 201 with an action since 2026-10-05 (behaviour 22).
async fn delete(caller: Caller, Id(id): Id<LoadBalancerId>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.delete_load_balancer(project, id, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn update_service(caller: Caller, Id(id): Id<LoadBalancerId>, Json(request): Json<UpdateService>) -> Answer {
    caller.with(|world, project, now| {
        let services = &world.load_balancer(project, id)?.services;
        let before = services.get(&request.listen_port);
        let before = before.ok_or_else(|| ApiError::invalid("listen_port", "no service listens on that port"))?;
        let change = LoadBalancerChange::UpdateService(request.merged_into(before.clone())?);
        let action = world.change_load_balancer(project, id, change, now)?;
        Ok(actions::started(world, project, action))
    })
}

async fn protect(caller: Caller, Id(id): Id<LoadBalancerId>, Json(request): Json<Protect>) -> Answer {
    caller.with(|world, project, now| {
        let action = world.change_protection(project, ResourceRef::LoadBalancer(id), request.delete, None, now)?;
        Ok(actions::started(world, project, action))
    })
}

fn change<T>() -> MethodRouter
where
    T: serde::de::DeserializeOwned + TryInto<LoadBalancerChange, Error = ApiError> + Send + 'static,
{
    post(async |caller: Caller, Id(id): Id<LoadBalancerId>, Json(request): Json<T>| -> Answer {
        let change = request.try_into()?;
        caller.with(|world, project, now| {
            let action = world.change_load_balancer(project, id, change, now)?;
            Ok(actions::started(world, project, action))
        })
    })
}

fn wrapped(world: &World, project: ProjectId, id: LoadBalancerId) -> Result<Value, ApiError> {
    Ok(json!({"load_balancer": view(world.project(project), world.load_balancer(project, id)?)}))
}

fn view(all: &Project, balancer: &LoadBalancer) -> Value {
    let private_net: Vec<Value> =
        balancer.private_net.iter().map(|(network, ip)| json!({"network": network, "ip": ip})).collect();
    json!({
        "id": balancer.id,
        "name": balancer.meta.name,
        "public_net": {
            "enabled": balancer.public,
            "ipv4": {"ip": balancer.address, "dns_ptr": ""},
            "ipv6": {"ip": format!("2001:db8:ffff::{:x}", balancer.id.0 & 0xffff), "dns_ptr": ""},
        },
        "private_net": private_net,
        "location": catalogue::location_view(balancer.location),
        "load_balancer_type": catalogue::load_balancer_type_view(balancer.kind),
        "protection": {"delete": balancer.meta.delete_protected},
        "labels": balancer.meta.labels,
        "created": time(balancer.meta.created),
        "services": balancer.services.values().map(service_view).collect::<Vec<_>>(),
        "targets": balancer.targets.iter().map(|target| target_view(all, balancer, target)).collect::<Vec<_>>(),
        "algorithm": {"type": balancer.algorithm.as_str()},
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": INCLUDED_TRAFFIC_BYTES,
    })
}

fn service_view(service: &Service) -> Value {
    let check = &service.health_check;
    let mut health_check = json!({
        "protocol": if check.http.is_some() { "http" } else { "tcp" },
        "port": check.port,
        "interval": check.interval_seconds,
        "timeout": check.timeout_seconds,
        "retries": check.retries,
    });
    if let Some(http) = &check.http {
        health_check["http"] = json!({
            "domain": http.domain.as_deref().unwrap_or_default(),
            "path": http.path,
            "response": http.response.as_deref().unwrap_or_default(),
            "status_codes": http.status_codes,
            "tls": http.tls,
        });
    }
    json!({
        "protocol": "tcp",
        "listen_port": service.listen_port,
        "destination_port": service.destination_port,
        "proxyprotocol": service.proxy_protocol,
        "health_check": health_check,
    })
}

fn target_view(all: &Project, balancer: &LoadBalancer, target: &Target) -> Value {
    let server = |id: ServerId| {
        let ip = all.servers.get(&id).and_then(|server| match balancer.private_net {
            Some((network, _)) if target.use_private_ip() => server.private_ip(network),
            Some(_) | None => server.ipv4.map(|_| server.address),
        });
        json!({
            "type": "server",
            "server": {"id": id, "ip": ip.map(|ip| ip.to_string()).unwrap_or_default()},
            "health_status": health_view(balancer, id),
            "use_private_ip": target.use_private_ip(),
        })
    };
    match &target.kind {
        TargetKind::Server { server: id, .. } => server(*id),
        TargetKind::LabelSelector { selector, use_private_ip } => json!({
            "type": "label_selector",
            "label_selector": {"selector": selector},
            "targets": target.selected.iter().map(|id| server(*id)).collect::<Vec<_>>(),
            "use_private_ip": use_private_ip,
        }),
        TargetKind::Ip { ip } => json!({"type": "ip", "ip": {"ip": ip}, "health_status": []}),
    }
}

/// Since 2026-10 with a detail and the status code that the check got.
fn health_view(balancer: &LoadBalancer, server: ServerId) -> Vec<Value> {
    balancer
        .services
        .keys()
        .map(|port| {
            let Health { healthy, http_status, .. } = balancer.health(server, *port);
            let (status, detail) = match healthy {
                None => ("unknown", "no check has finished yet"),
                Some(true) => ("healthy", "the check passes"),
                Some(false) => ("unhealthy", "the check fails"),
            };
            json!({"listen_port": port, "status": status, "detail": detail, "http_status_code": http_status})
        })
        .collect()
}
