//! Schematics of Talos' image factory: an image with these system extensions, by a name that follows from them.
//!
//! The factory names a schematic by the SHA-256 of its customization as it writes it, so what a schematic of extensions
//! alone is called can be known without asking, and what some schematics lack can be known from their name. One with
//! kernel arguments or an overlay has a name that tells nothing; its machines tell what they hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What the factory is told to get an image with these official extensions, as it writes it itself.
#[must_use]
pub fn customization(extensions: &BTreeSet<&str>) -> String {
    if extensions.is_empty() {
        return "customization: {}\n".to_owned();
    }
    let mut text = "customization:\n    systemExtensions:\n        officialExtensions:\n".to_owned();
    for extension in extensions {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "            - {extension}");
    }
    text
}

/// The id of the schematic with these official extensions and nothing else.
#[must_use]
pub fn id(extensions: &BTreeSet<&str>) -> String {
    let hash = Sha256::digest(customization(extensions));
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Which of these extensions the schematic is known to lack: all of one without any, else those that the subset which it
/// names leaves out; nothing is known of other schematics.
#[must_use]
pub fn known_to_lack<'a>(schematic: &str, needed: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    /// More are never needed at once; each doubles what is tried.
    const MOST: usize = 8;
    let needed_list: Vec<&str> = needed.iter().copied().collect();
    let subsets = if needed_list.len() <= MOST { 1_usize << needed_list.len() } else { 1 };
    for choice in 0..subsets - 1 {
        let is_in = |index: &usize| choice & (1 << index) != 0;
        let (held, lacked): (Vec<_>, Vec<_>) = needed_list.iter().enumerate().partition(|(index, _)| is_in(index));
        let held: BTreeSet<&str> = held.into_iter().map(|(_, name)| *name).collect();
        if id(&held) == schematic {
            return lacked.into_iter().map(|(_, name)| *name).collect();
        }
    }
    BTreeSet::new()
}

/// The name under which a machine tells of an extension: without its publisher.
#[must_use]
pub fn name_on_machines(extension: &str) -> &str {
    extension.rsplit('/').next().unwrap_or(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGHORN: [&str; 2] = ["siderolabs/iscsi-tools", "siderolabs/util-linux-tools"];

    #[test]
    fn schematics_are_named_as_the_factory_names_them() {
        let plain = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";
        assert_eq!(id(&BTreeSet::new()), plain);
        let for_longhorn = "613e1592b2da41ae5e265e8789429f22e121aab91cb4deb6bc3c0b6262961245";
        assert_eq!(id(&BTreeSet::from(LONGHORN)), for_longhorn);
    }

    #[test]
    fn what_a_schematic_lacks_is_known_where_its_name_tells() {
        let needed = BTreeSet::from(LONGHORN);
        assert_eq!(known_to_lack(&id(&BTreeSet::new()), &needed), needed);
        let half = id(&BTreeSet::from([LONGHORN[0]]));
        assert_eq!(known_to_lack(&half, &needed), BTreeSet::from([LONGHORN[1]]));
        assert_eq!(known_to_lack(&id(&needed), &needed), BTreeSet::new());
        assert_eq!(known_to_lack(&"0".repeat(64), &needed), BTreeSet::new());
        assert_eq!(known_to_lack(&id(&BTreeSet::new()), &BTreeSet::new()), BTreeSet::new());
    }
}
