//! The system extensions of the image that a machine runs, as its `ExtensionStatuses` tell.

use std::collections::BTreeSet;

use helix_engine::seams::TalosError;
use prost::Message as _;

use super::failure::Failure;
use super::wire::cosi::ListRequest;
use super::wire::cosi::state_client::StateClient;
use super::wire::extensions::Layer;
use super::{LOOK, Machine};

/// Talos lists the schematic of the image factory as if it were an extension.
const SCHEMATIC: &str = "schematic";

impl Machine {
    /// Names as Talos gives them, as in `iscsi-tools`.
    pub(super) async fn extensions(&self) -> Result<BTreeSet<String>, TalosError> {
        let request =
            ListRequest { namespace: "runtime".to_owned(), r#type: "ExtensionStatuses.runtime.talos.dev".to_owned() };
        let outcome =
            self.send(LOOK, request, |line, request| async { StateClient::new(line).list(request).await }).await;
        let mut told = self.judge(outcome)?;
        let mut names = BTreeSet::new();
        while let Some(answer) = self.judge(told.message().await.map_err(Failure::Status))? {
            let Some(spec) = answer.resource.and_then(|resource| resource.spec) else { continue };
            let layer = Layer::decode(spec.proto_spec.as_slice());
            let layer = layer.map_err(|_| self.incomplete("no readable extension"))?;
            names.extend(layer.metadata.map(|metadata| metadata.name).filter(|name| name != SCHEMATIC));
        }
        Ok(names)
    }
}
