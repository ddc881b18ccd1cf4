//! What `helix badges` writes: badges in Shields' endpoint format, read strictly enough to be drawn, and what they are of.
//!
//! What it means is not judged here: colour and message were decided by who observed.

use jiff::Timestamp;
use serde::Deserialize;

/// The file beside the badges that says what they are of; it is no badge.
pub(super) const ABOUT: &str = "about.json";

/// What all badges are of.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct About {
    /// When they were written.
    pub(super) at: Timestamp,
    /// The platform, as in `helix-system/prod`.
    pub(super) platform: Option<String>,
    /// What a reader has to know besides, as that it is a sandbox.
    pub(super) note: Option<String>,
}

/// A badge.
#[derive(Clone, Debug)]
pub(super) struct Badge {
    /// Its name in paths: the file's, without the ending.
    pub(super) slug: String,
    /// What it says.
    pub(super) content: Content,
    /// The file as it is.
    pub(super) json: String,
}

/// The fields that are drawn; Shields knows more.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    schema_version: u32,
    /// What is measured.
    pub(super) label: String,
    /// The value.
    pub(super) message: String,
    /// A name that Shields knows, or a hexadecimal colour.
    pub(super) color: Option<String>,
    /// Whether nothing, or nothing fresh, was observed.
    #[serde(default)]
    pub(super) is_error: bool,
}

impl Badge {
    /// Reads a file of this name.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(super) fn read(slug: &str, json: String) -> Result<Self, String> {
        let content: Content = serde_json::from_str(&json)
            .map_err(|error| format!("no badge in Shields' endpoint format: {error}; run `helix badges` again"))?;
        if content.schema_version != 1 {
            return Err(format!("schemaVersion is {}, and only 1 is known", content.schema_version));
        }
        if content.label.is_empty() || content.message.is_empty() {
            return Err("label and message must say something".to_owned());
        }
        Ok(Self { slug: slug.to_owned(), content, json })
    }

    /// Label and message in one line, for those who do not see the picture.
    pub(super) fn spoken(&self) -> String {
        format!("{}: {}", self.content.label, self.content.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_are_read_and_others_refused() {
        let json = r#"{"schemaVersion":1,"label":"uptime","message":"unknown","color":"lightgrey","isError":true,"cacheSeconds":300}"#;
        let badge = Badge::read("uptime", json.to_owned()).unwrap();
        assert!(badge.content.is_error);
        assert_eq!(badge.spoken(), "uptime: unknown");
        for (json, part) in [
            ("{", "endpoint format"),
            (r#"{"schemaVersion":2,"label":"a","message":"b"}"#, "schemaVersion"),
            (r#"{"schemaVersion":1,"label":"","message":"b"}"#, "say something"),
        ] {
            let problem = Badge::read("uptime", json.to_owned()).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
