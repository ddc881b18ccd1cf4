//! Where somebody reads what to do about a condition's reason: one page for each, named for it. Which reason a condition
//! has is not decided here.

use helix_crds::{REASONS, Tone};

/// Where the pages are, from the root of the repository.
const PAGES: &str = "docs/runbooks";

/// The page for a reason; `None` where nobody has to act.
#[must_use]
pub fn page(reason: &str) -> Option<String> {
    let asks = REASONS.iter().any(|known| known.word == reason && known.tone == Tone::Trouble);
    asks.then(|| format!("{PAGES}/{reason}.md"))
}

/// What ends the message of a condition with this reason; empty where nobody has to act.
#[must_use]
pub fn pointer(reason: &str) -> String {
    page(reason).map_or(String::new(), |page| format!(". See {page}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_has_to_act_on_has_a_pointer() {
        assert_eq!(pointer("QuorumLost"), ". See docs/runbooks/QuorumLost.md");
        assert_eq!((pointer("Ready"), page("Progressing")), (String::new(), None));
    }
}
