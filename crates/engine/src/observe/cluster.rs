//! Asking etcd and the Kubernetes API: whoever of the control planes can tell.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use helix_plan::data_gate::DataFacts;
use helix_plan::names::MachineName;
use helix_plan::observed::{EtcdFacts, Fact, KubernetesFacts, Missing, NodeFacts, PodFacts, TalosFacts};
use jiff::Timestamp;

use super::{Access, race};
use crate::seams::{Clock, Talos, Workload, WorkloadError, WorkloadRoute};

/// How long an API server may take to list its nodes, at the front as behind it.
const LIST: Duration = Duration::from_secs(5);

/// The membership of etcd, as the first control plane tells that runs it.
pub(super) async fn etcd(
    (api, clock): (&dyn Talos, &dyn Clock),
    access: &Access,
    talos: &BTreeMap<MachineName, Fact<TalosFacts>>,
    now: Timestamp,
) -> Fact<EtcdFacts> {
    let serves = |machine: &MachineName| talos.get(machine).and_then(Fact::value).is_some_and(|t| t.serves("etcd"));
    let serving = access.control_planes.iter().filter(|control_plane| serves(&control_plane.machine));
    let questions = serving.filter_map(|control_plane| access.to_control_plane(control_plane.public)).map(|route| {
        async move {
            let members = api.etcd_members(&route).await;
            members.map_err(|error| Missing::Unreachable { who: "etcd".to_owned(), why: error.to_string() })
        }
        .boxed()
    });
    match race::first_good(clock, questions.collect::<Vec<_>>()).await {
        Some(Ok(members)) => Fact::known(EtcdFacts { members }, now),
        Some(Err(missing)) => Fact::Missing(missing),
        None => Fact::Missing(Missing::NotThereYet),
    }
}

/// What the cluster tells of itself, through the front if it answers, else through a control plane; and the endpoint that has
/// answered. `leaving` says that the platform is being deleted.
pub(super) async fn kubernetes(
    (workload, clock): (&dyn Workload, &dyn Clock),
    access: &Access,
    leaving: bool,
    now: Timestamp,
) -> (Fact<KubernetesFacts>, Option<String>) {
    let questions: Vec<_> = access
        .to_cluster()
        .into_iter()
        .map(|(route, is_front)| list(workload, clock, route, is_front, leaving).boxed())
        .collect();
    let mut questions = questions.into_iter();
    let answer = match access.endpoints.front.as_ref().and_then(|_| questions.next()) {
        Some(front) => Some(race::preferring(clock, front, questions).await),
        None => race::first_good(clock, questions).await,
    };
    match answer {
        Some(Ok((facts, endpoint))) => (Fact::known(facts, now), Some(endpoint)),
        Some(Err(error)) => {
            let missing = Missing::Unreachable { who: "the Kubernetes API".to_owned(), why: error.to_string() };
            (Fact::Missing(missing), None)
        }
        None => (Fact::Missing(Missing::NotThereYet), None),
    }
}

/// What one endpoint tells, and which.
async fn list(
    workload: &dyn Workload,
    clock: &dyn Clock,
    route: WorkloadRoute,
    through_endpoint: bool,
    leaving: bool,
) -> Result<(KubernetesFacts, String), WorkloadError> {
    let listed = race::within(clock, LIST, all(workload, &route, leaving).boxed()).await;
    let endpoint = route.endpoint;
    match listed {
        Some(answer) => answer.map(|facts| (KubernetesFacts { through_endpoint, ..facts }, endpoint)),
        None => Err(WorkloadError::Unreachable { endpoint, why: format!("no answer within {} s", LIST.as_secs()) }),
    }
}

/// The nodes, the pods of those that are being drained, and the Services that load balancers are made for; in a teardown
/// the claims instead of the pods, because nothing is drained any more.
async fn all(workload: &dyn Workload, route: &WorkloadRoute, leaving: bool) -> Result<KubernetesFacts, WorkloadError> {
    let nodes = workload.nodes(route).await?;
    let services = workload.services(route).await?;
    let data = match leaving {
        true => None,
        false => data(workload, route, &nodes).await,
    };
    let (pods, claims) = match leaving {
        true => (BTreeMap::new(), workload.claims(route).await?),
        false => (pods(workload, route, &nodes).await, Vec::new()),
    };
    Ok(KubernetesFacts { nodes, pods, services, claims, data, ..KubernetesFacts::default() })
}

/// Where copies of data are, while a node is being drained. That it cannot be told is no all-clear.
async fn data(workload: &dyn Workload, route: &WorkloadRoute, nodes: &[NodeFacts]) -> Option<DataFacts> {
    nodes.iter().find(|node| node.mark.is_some())?;
    let told = workload.data(route).await;
    told.inspect_err(|error| tracing::warn!(reason = error.reason(), %error, "copies of data are not known")).ok()
}

/// The pods of nodes that are being drained. A node that could not be asked about is left out, and so not taken for empty.
async fn pods(workload: &dyn Workload, route: &WorkloadRoute, nodes: &[NodeFacts]) -> BTreeMap<String, Vec<PodFacts>> {
    let mut pods = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.mark.is_some()) {
        let Ok(machine) = MachineName::parse(&node.name) else { continue };
        match workload.pods_on(route, &machine).await {
            Ok(found) => {
                pods.insert(node.name.clone(), found);
            }
            Err(error) => tracing::warn!(node = node.name, reason = error.reason(), %error, "its pods are not known"),
        }
    }
    pods
}
