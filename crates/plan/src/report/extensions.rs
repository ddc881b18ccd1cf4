//! That machines run an image without system extensions that a component needs, and what to do about it.

use std::collections::BTreeSet;
use std::fmt;

use super::wait::some;
use crate::names::MachineName;
use crate::schematic;

/// Machines whose image lacks extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionsMissing {
    /// The machines.
    pub machines: Vec<MachineName>,
    /// What their images lack, as in `siderolabs/iscsi-tools`.
    pub missing: BTreeSet<&'static str>,
    /// The schematic of the specification.
    pub schematic: String,
    /// All that an image must hold.
    pub needed: BTreeSet<&'static str>,
}

impl fmt::Display for ExtensionsMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machines, missing, schematic, needed } = self;
        let wanted = schematic::id(needed);
        let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
        let machines: Vec<String> = machines.iter().map(ToString::to_string).collect();
        write!(f, "the image of {} lacks the system extensions {}. ", some(&machines), list(missing))?;
        if wanted == *schematic {
            return f.write_str(
                "The schematic of the specification holds them: have these machines made of it by the annotation \
                 helix.dev/replace on their HelixMachines",
            );
        }
        write!(
            f,
            "Schematic {schematic} is not known to hold them: post {{customization: {{systemExtensions: \
             {{officialExtensions: [{}]}}}}}} to factory.talos.dev/schematics, or write {wanted} into \
             spec.provider.hetzner.image.schematic, upload its snapshot, and have the machines replaced by the annotation \
             helix.dev/replace on their HelixMachines",
            list(needed)
        )
    }
}
