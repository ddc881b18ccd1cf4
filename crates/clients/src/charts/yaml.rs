//! YAML of others: indexes and what charts render to. Duplicate keys and alias bombs are refused; numbers and words are
//! read as Kubernetes' own tools read them.

use serde::de::DeserializeOwned;
use serde_saphyr::{Options, budget, options};

/// Reads one document.
pub(super) fn one<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_saphyr::from_slice_with_options(text, reading()).map_err(|error| error.to_string())
}

/// Reads all documents, but for empty ones.
pub(super) fn all<T: DeserializeOwned>(text: &[u8]) -> Result<Vec<T>, String> {
    serde_saphyr::from_slice_multiple_with_options(text, reading()).map_err(|error| error.to_string())
}

/// Room for what was bounded in bytes before, and no more expansion than usual.
fn reading() -> Options {
    options! {
        budget: budget! { max_events: 40_000_000, max_nodes: 20_000_000, max_documents: 100_000 },
        strict_booleans: true,
        // Modes of files: charts write `0400`, and mean what `chmod` means.
        legacy_octal_numbers: true,
        // A piece of somebody's index says little in a condition.
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_is_read_as_kubernetes_reads_it() {
        let read: Vec<Value> = all(b"---\n# nothing\n---\nmode: 0400\nyes: on\nversion: '1.10'\n").unwrap();
        assert_eq!(read, [json!({"mode": 256, "yes": "on", "version": "1.10"})]);
    }

    #[test]
    fn what_means_two_things_is_refused() {
        assert!(one::<Value>(b"a: 1\na: 2\n").is_err());
        assert!(one::<Value>(b"a: [\n").is_err());
    }
}
