//! One flow: allowed by what, or denied, with what would allow it.

use std::fmt::Write as _;

use helix_crds::AllowedFlow;
use helix_plan::components;
use helix_plan::policy::{Party, Port, Verdict, remedy};
use helix_plan::validated::Layers;
use serde::Serialize;

use super::FlowDocument;
use crate::error::CliError;

/// The field in which the platform's owner allows flows.
const FIELD: &str = "spec.securityWeave.defaultDeny.allow";

/// The answer, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    from: String,
    to: String,
    port: String,
    allowed: bool,
    /// The flows that allow it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by: Vec<FlowDocument>,
    /// What stands in the way, where a flow would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    but: Option<String>,
    /// Flows that come near to it, where none allows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    near: Vec<FlowDocument>,
    /// What to add to the platform's `spec.securityWeave.defaultDeny.allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<AllowedFlow>,
    /// Why nothing can be added there.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_field: Option<String>,
}

impl Answer {
    pub(super) fn new(layers: &Layers, from: &Party, to: &Party, port: Port) -> Result<Self, CliError> {
        let matrix = components::matrix(layers);
        let verdict = matrix.allows(from, to, port);
        let by = match verdict {
            Verdict::Allowed(flows) => flows,
            Verdict::Denied => Vec::new(),
            Verdict::NotJudged => return Err(CliError::NotJudged { from: from.clone(), to: to.clone() }),
        };
        let unasked = |name: &String| !by.is_empty() && !matrix.may_look_up(from, name);
        let but = match to {
            Party::Name(name) if unasked(name) => Some(format!("{from} may not ask the cluster's DNS for {name}")),
            _ => None,
        };
        let mut answer = Self {
            from: from.to_string(),
            to: to.to_string(),
            port: port.to_string(),
            allowed: !by.is_empty() && but.is_none(),
            by: by.into_iter().map(FlowDocument::new).collect(),
            but,
            near: Vec::new(),
            add: None,
            no_field: None,
        };
        if answer.by.is_empty() {
            answer.near = matrix.near(from, to, port).map(FlowDocument::new).collect();
            match remedy(from, to, port, &[layers.network.pods, layers.network.services]) {
                Ok(flow) => answer.add = Some(flow),
                Err(none) => answer.no_field = Some(none.to_string()),
            }
        }
        Ok(answer)
    }

    pub(super) fn is_allowed(&self) -> bool {
        self.allowed
    }

    pub(super) fn text(&self) -> String {
        let Self { from, to, port, .. } = self;
        let mut text = match self.allowed {
            true => format!("allowed: {from} may call {to} on {port}\n"),
            false => format!("denied: {from} may not call {to} on {port}\n"),
        };
        for flow in &self.by {
            let _ = writeln!(text, "  because {}\n    by {}", flow.because, line(flow));
        }
        if let Some(but) = &self.but {
            let _ = writeln!(text, "  but {but}");
        }
        if !self.near.is_empty() {
            text.push_str("No flow allows it; these come near\n");
        }
        for flow in &self.near {
            let _ = writeln!(text, "  {}\n    because {}", line(flow), flow.because);
        }
        // Of a flow JSON is the YAML that fits on a line.
        if let Some(flow) = self.add.as_ref().and_then(|flow| serde_json::to_string(flow).ok()) {
            let _ = writeln!(text, "If it is wanted, add to {FIELD}\n  - {flow}");
        }
        if let Some(reason) = &self.no_field {
            let _ = writeln!(text, "{reason}");
        }
        text
    }
}

fn line(flow: &FlowDocument) -> String {
    format!("{} -> {} on {}", flow.from, flow.to, flow.ports.join(" "))
}
