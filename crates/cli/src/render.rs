//! `helix render`: every machine configuration, resource and network policy of a platform as files, as they would be made
//! from nothing. For review, for diffs between versions, and for whoever wants to know what is sent where.
//!
//! There is no bundle and no server to render from, so a throw-away bundle is made, and ids and addresses are made up.

mod directory;
mod gitops;
mod redaction;
mod resources;

use std::fs;
use std::path::Path;

use helix_crds::{HelixPlatform, PhaseName};
use helix_engine::secrets::{PkiMaker, SecretMaker as _};
use helix_plan::forecast::{Forecast, assumed};
use helix_plan::render::machine_config::{MachineConfigInputs, render_machine_config};
use helix_plan::report::State;
use helix_plan::secrets::SecretBundle;
use helix_plan::step::Step;
use helix_plan::validated::Layers;

use crate::Outcome;
use crate::arguments::RenderArguments;
use crate::error::CliError;
use crate::output::{self, Readers};
use crate::policy;
use crate::sight;

pub(crate) async fn run(arguments: &RenderArguments) -> Result<Outcome, CliError> {
    if let Some(directory) = &arguments.gitops {
        gitops::run(arguments, directory).await?;
    }
    match &arguments.out {
        Some(out) => machines_and_resources(arguments, out).await,
        None => Ok(Outcome::Done),
    }
}

async fn machines_and_resources(arguments: &RenderArguments, out: &Path) -> Result<Outcome, CliError> {
    let sight = sight::from_nothing(&arguments.file)?;
    let forecast = sight.forecast();
    let bundle = PkiMaker.make_bundle(sight.now).await?;
    let machines = machines(&forecast, &bundle, arguments.show_secrets)?;
    let resources = resources::files(&forecast)?;
    let readers = if arguments.show_secrets { Readers::Owner } else { Readers::Anybody };
    write(&out.join("machines"), &machines, readers)?;
    write(&out.join("resources"), &resources, Readers::Anybody)?;
    let policies = policies(&sight.platform)?;
    write(&out.join("policies"), &policies, Readers::Anybody)?;
    let secrets = match arguments.show_secrets {
        true => "; the secrets in them are real, and good for nothing: no cluster was made with them",
        false => ", with every secret replaced by <redacted>",
    };
    output::print(&format!(
        "{} machine configurations{secrets}\n{} resources at Hetzner\n{} network policies\nin {}\n\nRendered as from nothing: the secret \
         bundle was made for this and is thrown away, {} stands for the endpoint, and ids are made up.\n",
        machines.len(),
        resources.len(),
        policies.len(),
        out.display(),
        assumed::ENDPOINT
    ))?;
    if let (true, Some(message)) = (machines.is_empty(), blocked(&forecast)) {
        output::remark(&format!("No machine would be configured: {message}"));
    }
    Ok(Outcome::Done)
}

/// The network policies; none where a phase above the machines is not to be had as it is written, which is said.
fn policies(platform: &HelixPlatform) -> Result<Vec<File>, CliError> {
    match Layers::new(platform) {
        Ok(layers) if layers.until >= PhaseName::SecurityWeave => policy::files(&layers),
        Ok(_) => Ok(Vec::new()),
        Err(rejections) => {
            output::remark(&format!("No network policy is written: {rejections}"));
            Ok(Vec::new())
        }
    }
}

/// A file to be written: its name and its text.
pub(crate) type File = (String, String);

fn machines(forecast: &Forecast, bundle: &SecretBundle, show_secrets: bool) -> Result<Vec<File>, CliError> {
    let inputs = forecast.items().filter_map(|item| {
        let Step::ConfigureMachine { inputs, .. } = &item.step else { return None };
        Some(inputs.as_ref())
    });
    inputs.map(|inputs| machine(inputs, bundle, show_secrets)).collect()
}

fn machine(inputs: &MachineConfigInputs, bundle: &SecretBundle, show_secrets: bool) -> Result<File, CliError> {
    let machine = inputs.machine.to_string();
    let failed = |source| CliError::Render { machine: machine.clone(), source };
    let config = render_machine_config(inputs, bundle).map_err(failed)?;
    let text = match show_secrets {
        true => config.expose().to_owned(),
        false => redaction::redact(config.expose(), bundle)
            .ok_or_else(|| CliError::Unredacted { machine: machine.clone() })?,
    };
    Ok((format!("{machine}.yaml"), text))
}

fn write(folder: &Path, files: &[File], readers: Readers) -> Result<(), CliError> {
    fs::create_dir_all(folder).map_err(|source| CliError::Write { path: folder.to_owned(), source })?;
    files.iter().try_for_each(|(name, text)| output::put(&folder.join(name), text, readers))
}

fn blocked(forecast: &Forecast) -> Option<String> {
    forecast.report.concerns.iter().find_map(|concern| match &concern.state {
        State::Blocked(block) => Some(block.to_string()),
        State::Done(_) | State::Progressing | State::WaitingOn(_) | State::Unknown(_) => None,
    })
}
