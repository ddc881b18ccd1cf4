//! What machines boot from, as the specification names it.

use super::Rejections;

pub(super) fn schematic(schematic: &str, rejections: &mut Rejections) {
    const DIGITS: usize = 64;
    if schematic.len() != DIGITS || !schematic.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        rejections.add(
            "spec.provider.hetzner.image.schematic",
            format!("`{schematic}` is no schematic id"),
            "write the 64 hex digits that the image factory returned",
        );
    }
}

/// Reads a selector of labels and their values, as in `team=a,tested`; Hetzner's other operators are not needed here.
pub(super) fn snapshot_labels(selector: Option<&str>, rejections: &mut Rejections) -> Vec<(String, Option<String>)> {
    let mut labels = Vec::new();
    for part in selector.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = match part.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_start_matches('=').to_owned())),
            None => (part, None),
        };
        if key.contains([' ', '!', '(', ')']) || value.as_ref().is_some_and(|value| value.contains([' ', '(', ')'])) {
            rejections.add(
                "spec.provider.hetzner.image.snapshotSelector",
                format!("`{part}` is neither a label nor a label with its value"),
                "write labels that the snapshot must have, as in team=a,tested",
            );
        }
        labels.push((key.to_owned(), value));
    }
    labels
}
