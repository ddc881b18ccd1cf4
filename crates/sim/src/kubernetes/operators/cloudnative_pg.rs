//! CloudNativePG: instances of each Cluster with their volumes, Services, the application's Secret and disruption budgets;
//! backups that are done as soon as they are asked for. No PostgreSQL runs, and of a schedule only `immediate` is read.

use std::collections::{BTreeMap, BTreeSet};

use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::{Value, json};

use super::OperatorError;
use super::instances::{Decision, HEALTHY, Known, Seen, decide};
use super::objects::{Kind, disruption_budget, is_ready, metadata_of, number, pod_spec, service, text};
use super::scene::Scene;

const OPERATOR: &str = "cloudnative-pg";
const CLUSTER: Kind = Kind::new("postgresql.cnpg.io", "v1", "Cluster", "clusters");
const BACKUP: Kind = Kind::new("postgresql.cnpg.io", "v1", "Backup", "backups");
const SCHEDULED: Kind = Kind::new("postgresql.cnpg.io", "v1", "ScheduledBackup", "scheduledbackups");
const POSTGRES: u16 = 5432;
const STATUS: u16 = 8000;
const PASSWORD_LENGTH: usize = 64;

/// All objects that the operator wants.
#[derive(Default)]
struct Wanted {
    pods: Vec<Value>,
    claims: Vec<Value>,
    services: Vec<Value>,
    budgets: Vec<Value>,
}

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    if scene.available(OPERATOR).is_none() {
        return Ok(());
    }
    let clusters = scene.list(&CLUSTER).await?;
    let pods = scene.list(&Kind::POD).await?;
    let claims = scene.list(&Kind::CLAIM).await?;
    let closed: BTreeSet<String> = scene
        .list(&Kind::NODE)
        .await?
        .iter()
        .filter(|node| node["spec"]["unschedulable"] == true)
        .map(|node| text(node, "/metadata/name").to_owned())
        .collect();
    let mut wanted = Wanted::default();
    for cluster in &clusters {
        let known = known(scene, cluster, &pods, &claims, &closed);
        let decision = decide(&known);
        want(cluster, &decision, &mut wanted);
        if let Some(lost) = decision.lost.and_then(|lost| pod_of(cluster, &pods, lost)) {
            scene.delete(&Kind::POD, lost).await?;
        }
        secret(scene, cluster).await?;
        scene.tell(&CLUSTER, cluster, status(scene, cluster, &known, &decision)).await?;
    }
    scene.keep(OPERATOR, &Kind::CLAIM, wanted.claims).await?;
    scene.keep(OPERATOR, &Kind::SERVICE, wanted.services).await?;
    scene.keep(OPERATOR, &Kind::DISRUPTION_BUDGET, wanted.budgets).await?;
    // What leaves is made anew under its name when it has left.
    let leaving = |name: &Value| {
        let is_it = |pod: &&Value| {
            pod["metadata"]["name"] == name["metadata"]["name"]
                && pod["metadata"]["namespace"] == name["metadata"]["namespace"]
        };
        pods.iter().find(is_it).is_some_and(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
    };
    wanted.pods.retain(|pod| !leaving(pod));
    scene.keep(OPERATOR, &Kind::POD, wanted.pods).await?;
    backups(scene, &clusters).await
}

fn is_of(cluster: &Value, object: &Value) -> bool {
    object["metadata"]["labels"]["cnpg.io/cluster"] == cluster["metadata"]["name"]
        && object["metadata"]["namespace"] == cluster["metadata"]["namespace"]
}

fn instance(cluster: &Value, number: u32) -> String {
    format!("{}-{number}", text(cluster, "/metadata/name"))
}

fn number_of(cluster: &Value, name: &str) -> Option<u32> {
    name.strip_prefix(text(cluster, "/metadata/name"))?.strip_prefix('-')?.parse().ok()
}

fn pod_of<'a>(cluster: &Value, pods: &'a [Value], number: u32) -> Option<&'a Value> {
    let name = instance(cluster, number);
    pods.iter().filter(|pod| is_of(cluster, pod)).find(|pod| pod["metadata"]["name"] == name.as_str())
}

fn known(scene: &Scene<'_>, cluster: &Value, pods: &[Value], claims: &[Value], closed: &BTreeSet<String>) -> Known {
    let numbered = |object: &Value| number_of(cluster, text(object, "/metadata/name"));
    let seen = |pod: &Value| Seen { ready: is_ready(pod), stays: !closed.contains(text(pod, "/spec/nodeName")) };
    let own = pods.iter().filter(|pod| is_of(cluster, pod));
    let pods: BTreeMap<u32, Seen> = own.filter_map(|pod| Some((numbered(pod)?, seen(pod)))).collect();
    let name = text(cluster, "/metadata/name");
    // Nobody loses what is only being made.
    let whole = cluster.pointer("/status/phase").is_some_and(|phase| phase == HEALTHY);
    Known {
        wanted: number(cluster, "/spec/instances").unwrap_or(1) as usize,
        pods,
        latest: number(cluster, "/status/latestGeneratedNode").unwrap_or_default(),
        volumes: claims.iter().filter(|claim| is_of(cluster, claim)).filter_map(numbered).collect(),
        primary: number_of(cluster, text(cluster, "/status/currentPrimary")),
        fails: whole && scene.setting.machines.with_world(|world, _| world.strike_database(name)),
    }
}

fn want(cluster: &Value, decision: &Decision, wanted: &mut Wanted) {
    let name = text(cluster, "/metadata/name");
    let labels = |number: u32| {
        let role = if number == decision.primary { "primary" } else { "replica" };
        json!({
            "cnpg.io/cluster": name,
            "cnpg.io/instanceName": instance(cluster, number),
            "cnpg.io/instanceRole": role,
            "cnpg.io/podRole": "instance",
            "role": role,
        })
    };
    for number in &decision.instances {
        let instance = instance(cluster, *number);
        let claim = json!({"cnpg.io/cluster": name, "cnpg.io/instanceName": instance, "cnpg.io/pvcRole": "PG_DATA"});
        wanted.claims.push(json!({
            "metadata": metadata_of(cluster, &instance, &claim),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": cluster["spec"]["storage"]["storageClass"],
                "resources": {"requests": {"storage": cluster["spec"]["storage"]["size"]}},
            },
        }));
        let mut spec = pod_spec("postgres", &[POSTGRES, STATUS]);
        spec["affinity"] = affinity(cluster);
        spec["volumes"] = json!([{"name": "pgdata", "persistentVolumeClaim": {"claimName": instance}}]);
        wanted.pods.push(json!({"metadata": metadata_of(cluster, &instance, &labels(*number)), "spec": spec}));
    }
    let all = json!({"cnpg.io/cluster": name, "cnpg.io/podRole": "instance"});
    let of_role = |role: &str| json!({"cnpg.io/cluster": name, "cnpg.io/instanceRole": role});
    for (suffix, selector) in [("rw", of_role("primary")), ("ro", of_role("replica")), ("r", all)] {
        wanted.services.push(service(cluster, &format!("{name}-{suffix}"), &selector, &[POSTGRES]));
    }
    if cluster["spec"]["enablePDB"] != false {
        let primary = format!("{name}-primary");
        wanted.budgets.push(disruption_budget(cluster, &primary, &of_role("primary"), Some(1)));
        wanted.budgets.push(disruption_budget(cluster, name, &of_role("replica"), None));
    }
}

fn affinity(cluster: &Value) -> Value {
    let wanted = &cluster["spec"]["affinity"];
    if wanted["enablePodAntiAffinity"] == false {
        return Value::Null;
    }
    let others = json!({"cnpg.io/cluster": cluster["metadata"]["name"], "cnpg.io/podRole": "instance"});
    let topology = wanted["topologyKey"].as_str().unwrap_or("kubernetes.io/hostname");
    let term = json!({"topologyKey": topology, "labelSelector": {"matchLabels": others}});
    if wanted["podAntiAffinityType"] == "required" {
        json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    } else {
        let preferred = json!([{"weight": 100, "podAffinityTerm": term}]);
        json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}})
    }
}

fn status(scene: &Scene<'_>, cluster: &Value, known: &Known, decision: &Decision) -> Value {
    let name = text(cluster, "/metadata/name");
    let ready = decision.instances.iter().filter(|number| known.pods.get(number).is_some_and(|pod| pod.ready)).count();
    let healthy = decision.phase == HEALTHY;
    let why =
        if healthy { ("ClusterIsReady", "Cluster is Ready") } else { ("ClusterIsNotReady", "Cluster Is Not Ready") };
    json!({
        "phase": decision.phase,
        "instances": decision.instances.len(),
        "readyInstances": ready,
        "instanceNames": decision.instances.iter().map(|number| instance(cluster, *number)).collect::<Vec<_>>(),
        "latestGeneratedNode": decision.latest,
        "currentPrimary": instance(cluster, decision.primary),
        "targetPrimary": instance(cluster, decision.primary),
        "writeService": format!("{name}-rw"),
        "readService": format!("{name}-r"),
        "pvcCount": known.volumes.len(),
        "conditions": scene.condition(cluster, "Ready", healthy, why),
    })
}

/// The application's way in, made once.
async fn secret(scene: &Scene<'_>, cluster: &Value) -> Result<(), OperatorError> {
    let (cluster_name, namespace) = (text(cluster, "/metadata/name"), text(cluster, "/metadata/namespace"));
    let name = format!("{cluster_name}-app");
    if scene.get(&Kind::SECRET, namespace, &name).await?.is_some() {
        return Ok(());
    }
    let how = ["initdb", "recovery"].map(|how| &cluster["spec"]["bootstrap"][how]);
    let said = |key: &str| how.iter().find_map(|how| how[key].as_str()).unwrap_or("app");
    let (database, user) = (said("database"), said("owner"));
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH);
    let host = format!("{cluster_name}-rw");
    let address = format!("{host}.{namespace}:{POSTGRES}");
    let secret = json!({
        "metadata": metadata_of(cluster, &name, &json!({"cnpg.io/cluster": cluster_name})),
        "type": "kubernetes.io/basic-auth",
        "stringData": {
            "username": user,
            "user": user,
            "password": password,
            "dbname": database,
            "host": host,
            "port": POSTGRES.to_string(),
            "pgpass": format!("{host}:{POSTGRES}:{database}:{user}:{password}\n"),
            "uri": format!("postgresql://{user}:{password}@{address}/{database}"),
            "jdbc-uri": format!("jdbc:postgresql://{address}/{database}?password={password}&user={user}"),
        },
    });
    Ok(scene.apply(OPERATOR, &Kind::SECRET, secret).await?)
}

async fn backups(scene: &Scene<'_>, clusters: &[Value]) -> Result<(), OperatorError> {
    for scheduled in scene.list(&SCHEDULED).await? {
        if scheduled["spec"]["immediate"] != true || !scheduled["status"]["lastScheduleTime"].is_null() {
            continue;
        }
        let name = format!("{}-{}", text(&scheduled, "/metadata/name"), scene.now.strftime("%Y%m%d%H%M%S"));
        let labels = json!({"cnpg.io/cluster": scheduled["spec"]["cluster"]["name"]});
        let spec = json!({"cluster": scheduled["spec"]["cluster"], "method": "barmanObjectStore"});
        let backup = json!({"metadata": metadata_of(&scheduled, &name, &labels), "spec": spec});
        scene.apply(OPERATOR, &BACKUP, backup).await?;
        let told = json!({"lastCheckTime": scene.now, "lastScheduleTime": scene.now});
        scene.tell(&SCHEDULED, &scheduled, told).await?;
    }
    for backup in scene.list(&BACKUP).await? {
        let of = |cluster: &&Value| {
            cluster["metadata"]["name"] == backup["spec"]["cluster"]["name"]
                && cluster["metadata"]["namespace"] == backup["metadata"]["namespace"]
        };
        let Some(cluster) = clusters.iter().find(of).filter(|cluster| cluster["status"]["phase"] == HEALTHY) else {
            continue;
        };
        if backup["status"]["phase"] == "completed" {
            continue;
        }
        let name = text(cluster, "/metadata/name");
        if scene.setting.machines.with_world(|world, _| world.faults().is_backup_failing(name)) {
            scene.tell(&BACKUP, &backup, json!({"phase": "failed", "error": "the archive cannot be written"})).await?;
            continue;
        }
        let status = json!({
            "phase": "completed",
            "method": "barmanObjectStore",
            "startedAt": scene.now,
            "stoppedAt": scene.now,
            "instanceID": {"podName": cluster["status"]["currentPrimary"]},
        });
        scene.tell(&BACKUP, &backup, status).await?;
        let told = json!({"lastSuccessfulBackup": scene.now, "firstRecoverabilityPoint": scene.now});
        scene.tell(&CLUSTER, cluster, told).await?;
    }
    Ok(())
}
