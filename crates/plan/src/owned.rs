//! What Helix has set on a node through the Kubernetes API, noted on the node itself (`helix.dev/owned`): only what is noted
//! is ever taken away again. What a machine's configuration sets, Talos notes by itself.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::observed::NodeTaint;

/// Labels by key, and taints by key and effect, that are Helix' on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Keys of labels.
    pub labels: BTreeSet<String>,
    /// Keys and effects of taints.
    pub taints: BTreeSet<(String, String)>,
}

impl Owned {
    /// Whether nothing is Helix'.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.taints.is_empty()
    }

    /// Whether the taint is Helix'.
    #[must_use]
    pub fn has(&self, taint: &NodeTaint) -> bool {
        self.taints.iter().any(|(key, effect)| *key == taint.key && *effect == taint.effect)
    }
}

impl fmt::Display for Owned {
    /// Keys never hold spaces or colons: `labels a b taints c:NoSchedule`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")?;
        self.labels.iter().try_for_each(|key| write!(f, " {key}"))?;
        f.write_str(" taints")?;
        self.taints.iter().try_for_each(|(key, effect)| write!(f, " {key}:{effect}"))
    }
}

/// A text that is no such note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not say what Helix has set on a node")]
pub struct NotANote;

impl FromStr for Owned {
    type Err = NotANote;

    fn from_str(text: &str) -> Result<Self, NotANote> {
        let mut words = text.split(' ');
        if words.next() != Some("labels") {
            return Err(NotANote);
        }
        let labels = words.by_ref().take_while(|word| *word != "taints").map(str::to_owned).collect();
        let taint = |word: &str| word.split_once(':').map(|(key, effect)| (key.to_owned(), effect.to_owned()));
        let taints = words.map(taint).collect::<Option<_>>().ok_or(NotANote)?;
        Ok(Self { labels, taints })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_as_written() {
        let text = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        for owned in [
            Owned::default(),
            Owned { labels: text(&["a.io/b", "c"]), taints: BTreeSet::new() },
            Owned { labels: BTreeSet::new(), taints: [("gpu".to_owned(), "NoSchedule".to_owned())].into() },
        ] {
            assert_eq!(owned.to_string().parse(), Ok(owned));
        }
        assert_eq!("taints".parse::<Owned>(), Err(NotANote));
        assert_eq!("labels a taints b".parse::<Owned>(), Err(NotANote));
    }
}
