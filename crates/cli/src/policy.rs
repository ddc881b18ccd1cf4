//! `helix policy`: who may talk to whom in a platform's cluster, and why; and the policies that make it so. All of it
//! comes from the platform's file: no cluster is asked what is in force there.

mod check;

use std::path::Path;

use helix_crds::PhaseName;
use helix_plan::components;
use helix_plan::policy::render::policies;
use helix_plan::policy::{Flow, Matrix, Ports};
use helix_plan::validated::Layers;
use serde::Serialize;

use crate::Outcome;
use crate::arguments::{CheckArguments, MatrixArguments, PoliciesArguments};
use crate::error::CliError;
use crate::file::File;
use crate::{output, render};

/// `helix policy matrix`.
pub(crate) fn matrix(arguments: &MatrixArguments) -> Result<Outcome, CliError> {
    let layers = layers(&arguments.file)?;
    let document = MatrixDocument::new(&layers, &components::matrix(&layers));
    output::print(&output::formed(&document, arguments.output, MatrixDocument::table)?)?;
    Ok(Outcome::Done)
}

/// `helix policy check`.
pub(crate) fn check(arguments: &CheckArguments) -> Result<Outcome, CliError> {
    let layers = layers(&arguments.file)?;
    let answer = check::Answer::new(&layers, &arguments.from, &arguments.to, arguments.port)?;
    output::print(&output::formed(&answer, arguments.output, check::Answer::text)?)?;
    Ok(if answer.is_allowed() { Outcome::Done } else { Outcome::Denied })
}

/// `helix policy render`.
pub(crate) fn render(arguments: &PoliciesArguments) -> Result<Outcome, CliError> {
    let files = files(&layers(&arguments.file)?)?;
    let documents: Vec<String> = files.into_iter().map(|(_, text)| text).collect();
    output::print(&documents.join("---\n"))?;
    Ok(Outcome::Done)
}

/// Every policy as a file, by name.
pub(crate) fn files(layers: &Layers) -> Result<Vec<render::File>, CliError> {
    let policies = policies(&components::matrix(layers), &components::namespaces(layers));
    let file = |policy: &helix_plan::policy::cilium::Policy| {
        let place = policy.metadata.namespace.as_deref().unwrap_or("cluster");
        Ok((format!("{place}-{}.yaml", policy.metadata.name), output::yaml(policy)?))
    };
    policies.iter().map(file).collect()
}

fn layers(path: &Path) -> Result<Layers, CliError> {
    let file = File::read(path)?;
    let layers = file.judge(Layers::new(&file.platform))?;
    if layers.until < PhaseName::SecurityWeave {
        output::remark(&format!(
            "Until spec.untilPhase is SecurityWeave or later no policy is in force, and all may talk to all; it is {}",
            layers.until.as_str()
        ));
    }
    Ok(layers)
}

/// All flows, as they are written.
#[derive(Serialize)]
struct MatrixDocument {
    platform: String,
    flows: Vec<FlowDocument>,
}

/// A flow, as it is written.
#[derive(Serialize)]
struct FlowDocument {
    from: String,
    to: String,
    /// `any` for every port.
    ports: Vec<String>,
    because: String,
}

impl FlowDocument {
    fn new(flow: &Flow) -> Self {
        let ports = match &flow.ports {
            Ports::Any => vec!["any".to_owned()],
            Ports::Only(ports) => ports.iter().map(ToString::to_string).collect(),
        };
        Self { from: flow.from.to_string(), to: flow.to.to_string(), ports, because: flow.because.clone() }
    }
}

impl MatrixDocument {
    fn new(layers: &Layers, matrix: &Matrix) -> Self {
        Self { platform: layers.identity.display_name(), flows: matrix.flows().map(FlowDocument::new).collect() }
    }

    fn table(&self) -> String {
        const HEAD: [&str; 4] = ["FROM", "TO", "PORTS", "BECAUSE"];
        let row =
            |flow: &FlowDocument| [flow.from.clone(), flow.to.clone(), flow.ports.join(" "), flow.because.clone()];
        let rows: Vec<[String; 4]> =
            std::iter::once(HEAD.map(str::to_owned)).chain(self.flows.iter().map(row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let [from, to, ports] = [0, 1, 2].map(width);
        let line = |[a, b, c, d]: &[String; 4]| format!("{a:<from$}  {b:<to$}  {c:<ports$}  {d}\n");
        let lines: String = rows.iter().map(line).collect();
        format!("Flows of {}; what is not here is denied\n\n{lines}", self.platform)
    }
}
