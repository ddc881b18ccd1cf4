//! What steps make true of machines that run, and of their nodes.

use helix_crds::labels;
use jiff::SignedDuration;

use crate::forecast::{Configured, World, durations};
use crate::names::MachineName;
use crate::observed::{ControlPlaneVersions, Fact, Missing, NodeFacts};
use crate::render::machine_config::{ConfigDigest, MachineConfigInputs, split_labels};
use crate::step::{NodePatch, Step};

impl World<'_> {
    /// What changes a node of the cluster, or what runs there.
    pub(super) fn at_node(&mut self, step: &Step) {
        match step {
            Step::PatchNode { machine, patch } => self.patch_node(machine, patch),
            Step::DeleteNode { machine } => self.delete_node(machine),
            Step::MarkNode { machine, mark } => self.patch_node(machine, &NodePatch::mark(mark)),
            Step::UnmarkNode { machine, stays_cordoned } => {
                self.patch_node(machine, &NodePatch::unmark(*stays_cordoned));
            }
            Step::EvictPods { machine, .. } => self.pods_leave(machine),
            _ => {}
        }
    }

    /// What changes a machine that runs, and may reboot it.
    pub(super) fn change_machine(&mut self, step: &Step) {
        match step {
            Step::UpgradeTalos { machine, version, .. } => {
                self.installed.insert(machine.clone(), version.clone());
                self.reboot(machine, durations::UPGRADED);
            }
            Step::ReconfigureMachine { inputs, digest, reboot } => {
                self.reconfigure(inputs, digest);
                if *reboot {
                    self.reboot(&inputs.machine, durations::REBOOTED);
                }
            }
            _ => {}
        }
    }

    fn change_node(&mut self, machine: &MachineName, change: impl FnMut(&mut NodeFacts)) {
        let Some(kubernetes) = self.observed.kubernetes.value_mut() else { return };
        kubernetes.nodes.iter_mut().filter(|node| node.name == machine.to_string()).for_each(change);
    }

    fn patch_node(&mut self, machine: &MachineName, patch: &NodePatch) {
        self.change_node(machine, |node| {
            node.labels.retain(|key, _| !patch.remove_labels.contains(key));
            node.labels.extend(patch.labels.clone());
            if let Some(taints) = &patch.taints {
                node.taints.clone_from(taints);
            }
            if let Some(mark) = patch.annotations.get(labels::DISRUPTION) {
                node.mark = mark.as_ref().and_then(|text| text.parse().ok());
            }
            if let Some(note) = patch.annotations.get(labels::OWNED) {
                node.owned = note.as_ref().and_then(|text| text.parse().ok()).unwrap_or_default();
            }
            node.unschedulable = patch.unschedulable.unwrap_or(node.unschedulable);
        });
    }

    fn delete_node(&mut self, machine: &MachineName) {
        if let Some(kubernetes) = self.observed.kubernetes.value_mut() {
            kubernetes.nodes.retain(|node| node.name != machine.to_string());
        }
    }

    /// Pods that are asked to leave are on their way.
    fn pods_leave(&mut self, machine: &MachineName) {
        let Some(kubernetes) = self.observed.kubernetes.value_mut() else { return };
        let pods = kubernetes.pods.get_mut(&machine.to_string());
        pods.into_iter().flatten().for_each(|pod| pod.leaving = true);
    }

    /// The node shows what its machine's configuration says from now on.
    fn reconfigure(&mut self, inputs: &MachineConfigInputs, digest: &ConfigDigest) {
        let configured = Configured::by(inputs, digest);
        self.change_node(&inputs.machine, |node| {
            configured.show(node);
            node.labels.extend(split_labels(&inputs.labels).at_birth);
        });
        self.configured.insert(inputs.machine.clone(), configured);
    }

    /// The machine is away, and comes up again with what it has now.
    fn reboot(&mut self, machine: &MachineName, takes: SignedDuration) {
        self.observed.talos.insert(machine.clone(), Fact::Missing(Missing::NotThereYet));
        self.away.insert(machine.clone(), takes);
    }
}

impl Configured {
    pub(in crate::forecast) fn by(inputs: &MachineConfigInputs, digest: &ConfigDigest) -> Self {
        Self { digest: digest.clone(), kubernetes: inputs.kubernetes.clone() }
    }

    /// What the configuration makes the node say.
    pub(in crate::forecast) fn show(&self, node: &mut NodeFacts) {
        node.config_digest = Some(self.digest.to_string());
        node.kubelet_version = format!("v{}", self.kubernetes.kubelet);
        let is_control_plane = MachineName::parse(&node.name).is_ok_and(|machine| machine.is_control_plane());
        node.control_plane = is_control_plane.then(|| ControlPlaneVersions {
            api_server: self.kubernetes.api_server.clone(),
            controllers: self.kubernetes.controllers.clone(),
        });
    }
}
