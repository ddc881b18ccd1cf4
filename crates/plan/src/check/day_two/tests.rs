//! Bad plans, made by hand and seen refused; beside each the good one that differs in the point alone.

use helix_crds::{ApprovalItem, ApprovalMode, Disruption, HelixPlatform};
use jiff::Timestamp;

use crate::approval::Destruction;
use crate::catalogue::dated_table;
use crate::check::{Subject, check};
use crate::components::Component;
use crate::data_gate::{DataFacts, VolumeCopies};
use crate::disruption::{Cause, Mark};
use crate::forecast::{assumed, forecast};
use crate::names::MachineName;
use crate::observed::{CloudFacts, ComponentFacts, Fact, Installed, Missing, ObjectId, Observed, Readiness, Surplus};
use crate::phases::Concern;
use crate::plan::{Plan, PlanItem, plan};
use crate::step::{ResourceKind, Step};
use crate::validated::ValidatedPlatform;

/// The sandbox's platform at rest, with an empty plan to fill.
struct Scene {
    platform: ValidatedPlatform,
    world: Observed,
    plan: Plan,
}

impl Scene {
    fn new(approval: ApprovalMode) -> Self {
        let text = include_str!("../../../../../manifests/examples/sandbox.yaml");
        let mut wanted: HelixPlatform = serde_saphyr::from_str(text).unwrap();
        wanted.metadata.uid = Some("uid".into());
        let now = Timestamp::UNIX_EPOCH;
        let platform = ValidatedPlatform::new(&wanted, &dated_table(), now).unwrap();
        let images = assumed::images(&platform);
        let nothing = Observed::nothing(CloudFacts { images, ..CloudFacts::default() }, now);
        let world = forecast(&platform, nothing, now).world;
        let plan = plan(&platform, &world, now);
        assert_eq!(plan.items, [], "it is at rest");
        Self { platform: ValidatedPlatform { approval, ..platform }, world, plan }
    }

    fn machine(&self, pool: &str, slot: u32) -> MachineName {
        self.platform.identity.machine(pool, slot)
    }

    fn server(&self, name: &MachineName) -> u64 {
        let servers = &self.world.cloud.value().unwrap().servers;
        servers.iter().find(|server| server.name == name.to_string()).unwrap().id
    }

    fn delete(&self, machine: &MachineName) -> Step {
        Step::DeleteResource { kind: ResourceKind::Server, id: self.server(machine), name: machine.to_string() }
    }

    fn upgrade(machine: &MachineName) -> Step {
        Step::UpgradeTalos { machine: machine.clone(), version: "v1.13.8".into(), image: String::new() }
    }

    /// The plan asks for the machine's end.
    fn asks_to_destroy(&mut self, machine: &MachineName) {
        let digest = self.server(machine).to_string();
        let item = ApprovalItem { object: format!("machine {machine}"), digest, disruption: Disruption::Destroy };
        self.plan.destruction = Destruction::new([item]);
    }

    fn forget_member(&mut self, machine: &MachineName) {
        self.world.etcd.value_mut().unwrap().members.retain(|member| member.hostname != machine.to_string());
    }

    fn on_node(&mut self, machine: &MachineName, change: impl FnOnce(&mut crate::observed::NodeFacts)) {
        let nodes = &mut self.world.kubernetes.value_mut().unwrap().nodes;
        change(nodes.iter_mut().find(|node| node.name == machine.to_string()).unwrap());
    }

    /// The names of the rows that these steps break.
    fn breaks(&self, steps: Vec<Step>) -> Vec<&'static str> {
        let items = steps.into_iter().map(|step| PlanItem { concern: Concern::Rollout, step }).collect();
        let plan = Plan { items, ..self.plan.clone() };
        let (identity, observed) = (&self.platform.identity, &self.world);
        let subject = Subject { identity, platform: Some(&self.platform), farewell: None, observed, plan: &plan };
        check(&subject).into_iter().map(|violation| violation.check).collect()
    }
}

#[test]
fn two_control_planes_are_not_disturbed_by_one_plan() {
    let scene = Scene::new(ApprovalMode::Automatic);
    let (first, second) = (scene.machine("cp", 0), scene.machine("cp", 1));
    assert!(scene.breaks(vec![Scene::upgrade(&first)]).is_empty());
    let both = vec![Scene::upgrade(&first), Scene::upgrade(&second)];
    assert_eq!(scene.breaks(both), ["one-control-plane-at-a-time"]);
}

#[test]
fn a_reboot_leaves_a_majority() {
    let mut scene = Scene::new(ApprovalMode::Automatic);
    let (first, second) = (scene.machine("cp", 0), scene.machine("cp", 1));
    scene.world.talos.remove(&second);
    assert_eq!(scene.breaks(vec![Scene::upgrade(&first)]), ["quorum-outlasts-a-reboot"]);
    assert!(scene.breaks(vec![Scene::upgrade(&second)]).is_empty(), "who is away is missed by nobody");
}

#[test]
fn a_control_plane_leaves_etcd_before_its_server_goes() {
    let mut scene = Scene::new(ApprovalMode::Automatic);
    let machine = scene.machine("cp", 2);
    scene.asks_to_destroy(&machine);
    assert_eq!(scene.breaks(vec![scene.delete(&machine)]), ["member-goes-before-server"]);
    scene.forget_member(&machine);
    assert!(scene.breaks(vec![scene.delete(&machine)]).is_empty());
}

#[test]
fn nothing_goes_to_which_nobody_agreed() {
    let mut scene = Scene::new(ApprovalMode::ManualForDestructive);
    let machine = scene.machine("general", 1);
    let refused = ["destroyed-only-as-approved"];
    assert_eq!(scene.breaks(vec![scene.delete(&machine)]), refused);
    scene.asks_to_destroy(&machine);
    assert_eq!(scene.breaks(vec![scene.delete(&machine)]), refused, "asked is not approved");
    scene.platform.approval = ApprovalMode::Automatic;
    assert!(scene.breaks(vec![scene.delete(&machine)]).is_empty());
    let other = scene.machine("general", 0);
    assert_eq!(scene.breaks(vec![scene.delete(&other)]), refused, "what is approved is another one");
    let network = scene.world.cloud.value().unwrap().networks[0].id;
    let network = Step::DeleteResource { kind: ResourceKind::Network, id: network, name: "sandbox".into() };
    assert_eq!(scene.breaks(vec![network]), refused);
    let group = scene.world.cloud.value().unwrap().placement_groups[0].clone();
    let kind = ResourceKind::PlacementGroup;
    let full = Step::DeleteResource { kind, id: group.id, name: group.name };
    assert_eq!(scene.breaks(vec![full]), refused, "machines are in it");
}

#[test]
fn what_is_lost_or_asked_for_or_has_left_etcd_goes_without_an_approval() {
    let mut scene = Scene::new(ApprovalMode::ManualForDestructive);
    let (worker, control_plane) = (scene.machine("general", 1), scene.machine("cp", 2));
    scene.world.intents.replace.insert(scene.server(&worker));
    assert!(scene.breaks(vec![scene.delete(&worker)]).is_empty());
    scene.world.intents.replace.clear();
    let since = Some(Timestamp::UNIX_EPOCH);
    scene.on_node(&worker, |node| node.readiness = Readiness::Silent { since });
    assert!(scene.breaks(vec![scene.delete(&worker)]).is_empty());
    scene.platform.remediation.enabled = false;
    assert_eq!(scene.breaks(vec![scene.delete(&worker)]), ["destroyed-only-as-approved"]);
    scene.forget_member(&control_plane);
    assert_eq!(scene.breaks(vec![scene.delete(&control_plane)]), ["destroyed-only-as-approved"]);
    let mark = Mark::new(Cause::Leave, false, Timestamp::UNIX_EPOCH);
    scene.on_node(&control_plane, |node| node.mark = Some(mark));
    assert!(scene.breaks(vec![scene.delete(&control_plane)]).is_empty());
}

#[test]
fn where_everything_is_approved_nothing_else_is_changed() {
    let mut scene = Scene::new(ApprovalMode::Manual);
    let machine = scene.machine("general", 0);
    let upgrade = || vec![Scene::upgrade(&machine)];
    assert_eq!(scene.breaks(upgrade()), ["changed-only-as-approved"]);
    let object = Scene::upgrade(&machine).target().to_string();
    scene.plan.destruction =
        Destruction::new([ApprovalItem { object, digest: String::new(), disruption: Disruption::Reboot }]);
    assert_eq!(scene.breaks(upgrade()), ["changed-only-as-approved"], "asked is not approved");
    scene.platform.approved = scene.plan.destruction.as_if_approved();
    assert!(scene.breaks(upgrade()).is_empty());
}

#[test]
fn a_held_machine_is_left_alone() {
    let mut scene = Scene::new(ApprovalMode::Automatic);
    let machine = scene.machine("general", 0);
    scene.world.intents.hold.insert(machine.clone());
    scene.asks_to_destroy(&machine);
    let uncordon = Step::UnmarkNode { machine: machine.clone(), stays_cordoned: false };
    for step in [Scene::upgrade(&machine), scene.delete(&machine), uncordon] {
        assert_eq!(scene.breaks(vec![step]), ["held-machines-are-left-alone"]);
    }
    assert!(scene.breaks(vec![Scene::upgrade(&scene.machine("general", 1))]).is_empty());
}

#[test]
fn the_last_healthy_copy_is_not_taken() {
    let mut scene = Scene::new(ApprovalMode::Automatic);
    let (first, second) = (scene.machine("general", 0), scene.machine("general", 1));
    for machine in [&first, &second] {
        scene.on_node(machine, |node| node.readiness = Readiness::Ready);
    }
    let on = |places: &[&MachineName]| places.iter().map(ToString::to_string).collect();
    let volume =
        |wanted, healthy_on| VolumeCopies { name: "pvc-1".into(), wanted, robustness: String::new(), healthy_on };
    let hold = |scene: &mut Scene, volume| {
        let facts = scene.world.kubernetes.value_mut().unwrap();
        facts.data = Some(DataFacts { volumes: vec![volume], databases: Vec::new() });
    };
    let refused = ["last-copy-stays"];
    let both = || vec![Scene::upgrade(&first), Scene::upgrade(&second)];
    hold(&mut scene, volume(2, on(&[&first, &second])));
    assert!(scene.breaks(vec![Scene::upgrade(&first)]).is_empty(), "another copy is healthy");
    assert_eq!(scene.breaks(both()), refused, "each spares the copy that the other takes");
    hold(&mut scene, volume(2, on(&[&first])));
    let evict = Step::EvictPods { machine: first.clone(), pods: Vec::new() };
    assert_eq!(scene.breaks(vec![evict]), refused);
    assert_eq!(scene.breaks(vec![Scene::upgrade(&first)]), refused);
    assert!(scene.breaks(vec![Scene::upgrade(&second)]).is_empty(), "it holds none");
    hold(&mut scene, volume(1, on(&[&first])));
    assert!(scene.breaks(vec![Scene::upgrade(&first)]).is_empty(), "a single copy comes back with its machine");
    scene.asks_to_destroy(&first);
    assert_eq!(scene.breaks(vec![scene.delete(&first)]), refused, "and goes with it");
    let since = Some(Timestamp::UNIX_EPOCH);
    scene.on_node(&first, |node| node.readiness = Readiness::Silent { since });
    assert!(scene.breaks(vec![scene.delete(&first)]).is_empty(), "nothing of a lost machine can be spared");
}

#[test]
fn what_stands_for_data_is_not_pruned() {
    let mut scene = Scene::new(ApprovalMode::Automatic);
    let object = |api_version: &str, kind: &str, name: &str| ObjectId {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: (!kind.starts_with("Custom")).then(|| "databases".into()),
        name: name.into(),
    };
    let surplus = |id| Surplus { id, uid: "1".into(), keep: None };
    let mut breaks = |ids: &[ObjectId]| {
        let installed = Installed { surplus: ids.iter().cloned().map(surplus).collect(), ..Installed::default() };
        let now = Timestamp::UNIX_EPOCH;
        let facts = ComponentFacts {
            rendered: Fact::Missing(Missing::NotThereYet),
            installed: Fact::Known { value: installed, at: now },
        };
        let component = Component::Databases;
        scene.world.components.insert(component, facts);
        let objects = ids.iter().map(|id| (id.clone(), "1".to_owned())).collect();
        scene.breaks(vec![Step::PruneObjects { component, objects }])
    };
    let definition = |name| object("apiextensions.k8s.io/v1", "CustomResourceDefinition", name);
    assert!(breaks(&[object("v1", "ConfigMap", "settings"), definition("things.example.com")]).is_empty());
    for data in [
        object("v1", "PersistentVolumeClaim", "data"),
        object("postgresql.cnpg.io/v1", "Cluster", "main"),
        object("redis.redis.opstreelabs.in/v1beta2", "RedisReplication", "cache"),
        object("longhorn.io/v1beta2", "Volume", "pvc-1"),
        definition("clusters.postgresql.cnpg.io"),
    ] {
        assert_eq!(
            breaks(&[object("v1", "ConfigMap", "settings"), data.clone()]),
            ["what-holds-data-is-kept"],
            "{data}"
        );
    }
}
