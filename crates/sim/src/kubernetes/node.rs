//! The objects that a kubelet writes: its node with what the configuration asks for and no more, the node's status and
//! its lease.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::world::catalogue::{Architecture, ServerType};
use crate::world::machine::config::{MachineConfig, Role};
use crate::world::machine::{Guest, OWNED_ANNOTATIONS, OWNED_LABELS, taints_at_birth};

/// What a kubelet knows of its node.
#[derive(Clone, Debug)]
pub(super) struct NodeFacts {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) internal_ip: Ipv4Addr,
    pub(super) external_ip: Option<Ipv4Addr>,
    pub(super) ready: bool,
    pub(super) boot_id: String,
    architecture: &'static str,
    resources: Value,
    talos_version: String,
    pub(super) kubelet_version: String,
    provider_id: Option<String>,
    external_cloud_provider: bool,
    labels: Value,
    annotations: Value,
    taints: Vec<Value>,
}

fn resources(cores: u32, memory_gb: u32, disk_gb: u32) -> Value {
    json!({
        "cpu": cores.to_string(), "memory": format!("{memory_gb}Gi"), "ephemeral-storage": format!("{disk_gb}Gi"),
        "pods": "110",
    })
}

impl NodeFacts {
    pub(super) fn of(guest: &Guest, server_type: Option<&ServerType>) -> Option<Self> {
        let machine = guest.config().and_then(MachineConfig::machine)?;
        let cluster = guest.config().and_then(MachineConfig::cluster)?;
        let mut labels = machine.node_labels.clone();
        if machine.role == Role::ControlPlane {
            labels.insert("node-role.kubernetes.io/control-plane".to_owned(), String::new());
        }
        let taint = |key: &str, value: &str, effect: &str| json!({"key": key, "value": value, "effect": effect});
        Some(Self {
            name: guest.hostname().to_owned(),
            role: machine.role,
            internal_ip: guest.host().private_ipv4.unwrap_or(guest.host().address),
            external_ip: guest.host().public_ipv4,
            ready: guest.node_ready(),
            boot_id: guest.boot_id().to_owned(),
            architecture: server_type.map_or("amd64", |it| match it.architecture {
                Architecture::X86 => "amd64",
                Architecture::Arm => "arm64",
            }),
            resources: server_type
                .map_or_else(|| resources(2, 4, 40), |it| resources(it.cores, it.memory_gb, it.disk_gb)),
            talos_version: guest.version().to_owned(),
            kubelet_version: guest.kubelet_version().unwrap_or("v0.0.0").to_owned(),
            provider_id: machine.provider_id().map(str::to_owned),
            external_cloud_provider: cluster.external_cloud_provider(),
            labels: json!(labels),
            annotations: json!(machine.node_annotations),
            taints: taints_at_birth(guest).iter().map(|it| taint(&it.key, &it.value, &it.effect)).collect(),
        })
    }

    /// The node as it is registered.
    pub(super) fn registration(&self) -> Value {
        let mut spec = json!({"taints": self.taints});
        if let Some(provider_id) = &self.provider_id {
            spec["providerID"] = json!(provider_id);
        }
        let mut metadata = json!({
            "name": self.name,
            "labels": {
                "kubernetes.io/hostname": self.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": self.architecture,
            },
        });
        if self.external_cloud_provider {
            metadata["annotations"] = json!({"alpha.kubernetes.io/provided-node-ip": self.internal_ip});
        }
        json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": self.status(None)})
    }

    /// What Talos writes onto the node once it is registered: the configuration's labels and annotations.
    pub(super) fn decoration(&self) -> Value {
        json!({"metadata": {"labels": self.labels, "annotations": self.annotations}})
    }

    /// The patch that puts them in place of those that Talos noted on the node as its own.
    pub(super) fn replacement(&self, node: &Value) -> Value {
        let owned = |note: &str| -> Vec<String> {
            let noted = node.pointer("/metadata/annotations").and_then(|it| it.get(note)).and_then(Value::as_str);
            noted.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let replace = |wanted: &Value, note: &str| {
            let mut values: Map<String, Value> = owned(note).into_iter().map(|key| (key, Value::Null)).collect();
            values.extend(wanted.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
            values
        };
        let keys = |wanted: &Value| {
            let keys: Vec<&String> = wanted.as_object().into_iter().flatten().map(|(key, _)| key).collect();
            json!(json!(keys).to_string())
        };
        let mut annotations = replace(&self.annotations, OWNED_ANNOTATIONS);
        annotations.insert(OWNED_LABELS.to_owned(), keys(&self.labels));
        annotations.insert(OWNED_ANNOTATIONS.to_owned(), keys(&self.annotations));
        json!({"metadata": {"labels": replace(&self.labels, OWNED_LABELS), "annotations": annotations}})
    }

    /// The node's status; `since` is when it last changed between ready and not.
    pub(super) fn status(&self, since: Option<Timestamp>) -> Value {
        let now = Timestamp::now();
        let stamp = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let condition = |kind: &str, status: bool, reason: &str, message: &str| {
            json!({
                "type": kind, "status": if status { "True" } else { "False" }, "reason": reason, "message": message,
                "lastHeartbeatTime": stamp(now), "lastTransitionTime": stamp(since.unwrap_or(now)),
            })
        };
        let ready = if self.ready {
            condition("Ready", true, "KubeletReady", "kubelet is posting ready status")
        } else {
            let message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                           message:Network plugin returns error: cni plugin not initialized";
            condition("Ready", false, "KubeletNotReady", message)
        };
        let mut addresses = vec![
            json!({"type": "InternalIP", "address": self.internal_ip}),
            json!({"type": "Hostname", "address": self.name}),
        ];
        // With an external cloud provider only that one knows the public address.
        if let Some(address) = self.external_ip.filter(|_| !self.external_cloud_provider) {
            addresses.push(json!({"type": "ExternalIP", "address": address}));
        }
        json!({
            "addresses": addresses,
            "capacity": self.resources,
            "allocatable": self.resources,
            "conditions": [
                condition("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                ready,
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": self.architecture,
                "bootID": self.boot_id,
                "containerRuntimeVersion": "containerd://2.2.0",
                "kernelVersion": "6.18.0-talos",
                "kubeProxyVersion": "",
                "kubeletVersion": self.kubelet_version,
                "machineID": self.name,
                "operatingSystem": "linux",
                "osImage": format!("Talos ({})", self.talos_version),
                "systemUUID": self.name,
            },
        })
    }

    /// The lease whose renewal says that the node lives.
    pub(super) fn lease(&self) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": self.lease_spec(),
        })
    }

    /// The part of the lease that a renewal changes.
    pub(super) fn lease_spec(&self) -> Value {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        json!({"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": now})
    }
}
