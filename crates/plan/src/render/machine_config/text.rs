//! From documents to the text that Talos reads, with the user's patches merged in on the way.

use serde::Serialize;
use serde_json::Value;

use super::patch::PatchError;
use super::{MachineConfigInputs, MachineRole, RenderError};
use crate::secrets::Secret;

/// Merges patches into documents, by the rules of one Talos.
type Patcher = fn(MachineRole, &mut Vec<Value>, &[Value]) -> Result<(), PatchError>;

/// The text of a configuration: the documents with the patches of `inputs` in them.
pub(super) fn assemble(
    inputs: &MachineConfigInputs,
    documents: &[impl Serialize],
    patch: Patcher,
) -> Result<Secret, RenderError> {
    let unwritable = || RenderError::Unwritable { machine: inputs.machine.clone() };
    if inputs.patches.is_empty() {
        return write(documents).ok_or_else(unwritable);
    }
    let mut values = Vec::with_capacity(documents.len());
    for document in documents {
        values.push(serde_json::to_value(document).map_err(|_| unwritable())?);
    }
    patch(inputs.role, &mut values, &inputs.patches)?;
    write(&values).ok_or_else(unwritable)
}

/// All documents as one YAML text.
fn write(documents: &[impl Serialize]) -> Option<Secret> {
    let mut text = String::with_capacity(16 * 1024);
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_fmt_writer_with_options(&mut text, document, options).ok()?;
    }
    Some(Secret::new(text))
}
