//! The resources at Hetzner as files: what each request would ask for.

use helix_plan::forecast::Forecast;
use helix_plan::observed::Tags;
use helix_plan::step::Step;
use serde::Serialize;

use super::File;
use crate::error::CliError;

/// A resource that has a name and labels and nothing more.
#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    labels: &'a Tags,
}

/// One file for each resource that is made.
pub(super) fn files(forecast: &Forecast) -> Result<Vec<File>, CliError> {
    forecast.items().filter_map(|item| file(&item.step).transpose()).collect()
}

fn file(step: &Step) -> Result<Option<File>, CliError> {
    let text = if let Step::CreateNetwork(new) = step {
        yaml(new)?
    } else if let Step::CreateFirewall(new) = step {
        yaml(new)?
    } else if let Step::CreateLoadBalancer(new) = step {
        yaml(new)?
    } else if let Step::CreateServer(new) = step {
        yaml(new)?
    } else if let Step::CreateSshKey { name, labels } | Step::CreatePlacementGroup { name, labels } = step {
        yaml(&Named { name, labels })?
    } else {
        return Ok(None);
    };
    let target = step.target();
    let kind = target.kind.to_lowercase().replace(' ', "-");
    Ok(Some((format!("{kind}-{}.yaml", target.name), text)))
}

fn yaml(resource: &impl Serialize) -> Result<String, CliError> {
    serde_saphyr::to_string(resource).map_err(|_| CliError::Format { format: "YAML" })
}
