//! What the cloud controller manager's stand-in does for Services of type LoadBalancer: a load balancer at Hetzner for each,
//! under the finalizer that keeps a Service until its load balancer is gone, and its public address in the Service's status.
//! Ports and annotations are left out.

use std::net::Ipv4Addr;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Setting;
use super::add_ons::machines_of;
use super::api::{Api, ApiError, Body};
use crate::world::ServerId;

/// Kubernetes' own name for it.
const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// One look at all Services of the cluster, through the API server of one of its control planes.
pub(super) async fn balance(setting: &Setting, server: ServerId, api: &Api) -> Result<(), ApiError> {
    let services = api.call(Method::GET, "/api/v1/services", Body::Empty).await?;
    for service in services.get("items").and_then(Value::as_array).into_iter().flatten() {
        let finalizers = service.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
        let ours = finalizers.iter().any(|it| it == FINALIZER);
        let leaving = service.pointer("/metadata/deletionTimestamp").is_some();
        let wanted = service.pointer("/spec/type").is_some_and(|it| it == "LoadBalancer") && !leaving;
        let uid = service.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let machines = machines_of(setting, server);
        if wanted && !ours {
            let with: Vec<Value> = finalizers.into_iter().chain([json!(FINALIZER)]).collect();
            put_finalizers(api, service, &with).await?;
        } else if wanted {
            let address = setting.machines.with_world(|world, now| {
                world.step_to_balancer(&machines, uid, now).then(|| world.address_of_service(&machines, uid)).flatten()
            });
            tell_address(api, service, address).await?;
        } else if ours && setting.machines.with_world(|world, now| world.step_from_balancer(&machines, uid, now)) {
            let without: Vec<Value> = finalizers.into_iter().filter(|it| it != FINALIZER).collect();
            put_finalizers(api, service, &without).await?;
        }
    }
    Ok(())
}

/// Tells where a Service is reached from outside, once that is known.
async fn tell_address(api: &Api, service: &Value, address: Option<Ipv4Addr>) -> Result<(), ApiError> {
    let ingress = address.map(|address| json!([{"ip": address, "ipMode": "VIP"}]));
    let Some(ingress) = ingress.filter(|it| service.pointer("/status/loadBalancer/ingress") != Some(it)) else {
        return Ok(());
    };
    let at = |pointer: &str| service.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let path = format!("/api/v1/namespaces/{}/services/{}/status", at("/metadata/namespace"), at("/metadata/name"));
    let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}});
    match api.call(Method::PATCH, &path, Body::Merge(&patch)).await {
        Err(error) if !error.is(StatusCode::NOT_FOUND) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Replaces a Service's finalizers, unless somebody else has changed it meanwhile: then it is done at the next look.
async fn put_finalizers(api: &Api, service: &Value, finalizers: &[Value]) -> Result<(), ApiError> {
    let at = |pointer: &str| service.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let path = format!("/api/v1/namespaces/{}/services/{}", at("/metadata/namespace"), at("/metadata/name"));
    let version = service.pointer("/metadata/resourceVersion");
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    match api.call(Method::PATCH, &path, Body::Merge(&patch)).await {
        Err(error) if !error.is(StatusCode::CONFLICT) && !error.is(StatusCode::NOT_FOUND) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}
