//! The operator of Redis: StatefulSets, Services and a disruption budget for each instance, replication and set of Sentinels.
//! The first pod is always the master; no Redis runs.

use serde_json::{Value, json};

use super::OperatorError;
use super::objects::{Kind, disruption_budget, number, pod_spec, service, stateful_set, text};
use super::scene::Scene;

const OPERATOR: &str = "redis-operator";
const GROUP: &str = "redis.redis.opstreelabs.in";
const REDIS: Kind = Kind::new(GROUP, "v1beta2", "Redis", "redis");
const REPLICATION: Kind = Kind::new(GROUP, "v1beta2", "RedisReplication", "redisreplications");
const SENTINEL: Kind = Kind::new(GROUP, "v1beta2", "RedisSentinel", "redissentinels");
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const EXPORTER_PORT: u16 = 9121;

#[derive(Default)]
struct Wanted {
    sets: Vec<Value>,
    services: Vec<Value>,
    budgets: Vec<Value>,
}

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    if scene.available(OPERATOR).is_none() {
        return Ok(());
    }
    let mut wanted = Wanted::default();
    for redis in scene.list(&REDIS).await? {
        redis_set(&redis, 1, "standalone", &mut wanted);
    }
    for sentinel in scene.list(&SENTINEL).await? {
        let size = number(&sentinel, "/spec/clusterSize").unwrap_or(3);
        sentinels(&sentinel, &format!("{}-sentinel", text(&sentinel, "/metadata/name")), size, &mut wanted);
    }
    let replications = scene.list(&REPLICATION).await?;
    for replication in &replications {
        let name = text(replication, "/metadata/name");
        redis_set(replication, number(replication, "/spec/clusterSize").unwrap_or(3), "replication", &mut wanted);
        let master = json!({"app": name, "statefulset.kubernetes.io/pod-name": format!("{name}-0")});
        for (suffix, selector) in [("master", master), ("replica", json!({"app": name}))] {
            wanted.services.push(service(replication, &format!("{name}-{suffix}"), &selector, &[REDIS_PORT]));
        }
        if replication["spec"]["pdb"]["enabled"] == true {
            wanted.budgets.push(disruption_budget(replication, name, &json!({"app": name}), None));
        }
        if let Some(size) = number(replication, "/spec/sentinel/size") {
            sentinels(replication, &format!("{name}-s"), size, &mut wanted);
        }
    }
    let sets = scene.keep(OPERATOR, &Kind::STATEFUL_SET, wanted.sets).await?;
    scene.keep(OPERATOR, &Kind::SERVICE, wanted.services).await?;
    scene.keep(OPERATOR, &Kind::DISRUPTION_BUDGET, wanted.budgets).await?;
    for replication in &replications {
        let id =
            |object: &Value| [text(object, "/metadata/namespace"), text(object, "/metadata/name")].map(str::to_owned);
        let set = sets.iter().find(|set| id(set) == id(replication));
        let ready = set.and_then(|set| number(set, "/status/readyReplicas")).unwrap_or_default();
        if ready > 0 {
            let name = text(replication, "/metadata/name");
            let host = format!("{name}-master.{}.svc.cluster.local", text(replication, "/metadata/namespace"));
            let told = json!({
                "masterNode": format!("{name}-0"),
                "connectionInfo": {"host": host, "port": REDIS_PORT, "masterName": "myMaster"},
            });
            scene.tell(&REPLICATION, replication, told).await?;
        }
    }
    Ok(())
}

fn redis_set(owner: &Value, size: u32, setup: &str, wanted: &mut Wanted) {
    let name = text(owner, "/metadata/name");
    let labels = json!({"app": name, "redis_setup_type": setup, "role": setup});
    let mut pod = pod_spec("redis", &[REDIS_PORT, EXPORTER_PORT]);
    pod["affinity"] = owner["spec"]["affinity"].clone();
    let claim = owner.pointer("/spec/storage/volumeClaimTemplate/spec").unwrap_or(&Value::Null);
    wanted.sets.push(stateful_set(owner, name, size, &labels, &pod, (name, claim)));
    wanted.services.push(service(owner, name, &json!({"app": name}), &[REDIS_PORT]));
    let mut headless = service(owner, &format!("{name}-headless"), &json!({"app": name}), &[REDIS_PORT]);
    headless["spec"]["clusterIP"] = json!("None");
    wanted.services.push(headless);
}

fn sentinels(owner: &Value, name: &str, size: u32, wanted: &mut Wanted) {
    let labels = json!({"app": name, "redis_setup_type": "sentinel", "role": "sentinel"});
    let pod = pod_spec("sentinel", &[SENTINEL_PORT]);
    wanted.sets.push(stateful_set(owner, name, size, &labels, &pod, (name, &Value::Null)));
    wanted.services.push(service(owner, name, &json!({"app": name}), &[SENTINEL_PORT]));
}
