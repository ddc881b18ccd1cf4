//! How healthy a component is: by the objects of the cluster first, and where these are well by what its Services answer.

use helix_plan::components::{Component, Probe, Question, lacking_models};
use helix_plan::observed::Health;
use helix_plan::validated::Layers;

use crate::seams::{Answer, Seams, WorkloadError, WorkloadRoute};

/// What each of the component's probes finds, in the order of its entry.
pub(super) async fn of(
    seams: &Seams,
    route: &WorkloadRoute,
    component: Component,
    layers: &Layers,
) -> Result<Vec<Health>, WorkloadError> {
    let entry = component.entry();
    let namespace = entry.home.namespace();
    let mut found: Vec<Health> = Vec::with_capacity(entry.health.len());
    for probe in entry.health {
        let well = found.iter().all(|health| matches!(health, Health::Healthy { .. }));
        found.push(match probe.question() {
            // Whoever does not run yet need not be asked.
            Some(question) if !well => {
                Health::Unhealthy { why: format!("Service {namespace}/{} has not been asked yet", question.service) }
            }
            Some(question) => asked(seams, route, namespace, (probe, &question), layers).await,
            None => looked_up(seams, route, namespace, probe).await?,
        });
    }
    Ok(found)
}

/// A kind that nobody knows yet has nothing healthy.
async fn looked_up(
    seams: &Seams,
    route: &WorkloadRoute,
    namespace: &str,
    probe: &Probe,
) -> Result<Health, WorkloadError> {
    match seams.objects.probe(route, namespace, probe).await {
        Err(error @ WorkloadError::UnknownKind { .. }) => Ok(Health::Unhealthy { why: error.to_string() }),
        answer => answer,
    }
}

/// A Service that does not answer is not well; that the API server is there has just been seen.
async fn asked(
    seams: &Seams,
    route: &WorkloadRoute,
    namespace: &str,
    (probe, question): (&Probe, &Question),
    layers: &Layers,
) -> Health {
    let service = question.service;
    let answer = match seams.objects.ask_service(route, namespace, question).await {
        Ok(answer) => answer,
        Err(error) => {
            return Health::Unhealthy { why: format!("Service {namespace}/{service} does not answer: {error}") };
        }
    };
    match (answer.health(namespace, question), probe) {
        (Health::Healthy { .. }, Probe::Models(_)) => models(layers, &answer),
        (health, _) => health,
    }
}

fn models(layers: &Layers, answer: &Answer) -> Health {
    let wanted = layers.ollama.as_ref().map(|ollama| ollama.models.as_slice()).unwrap_or_default();
    match lacking_models(wanted, &answer.body) {
        Ok(lacking) if lacking.is_empty() => {
            Health::Healthy { evidence: format!("its models are there: {}", wanted.join(", ")) }
        }
        Ok(lacking) => Health::Unhealthy { why: format!("it has not pulled {} yet", lacking.join(", ")) },
        Err(error) => Health::Unhealthy { why: error.to_string() },
    }
}
