//! The last line of every rendered file: a digest of all that it was drawn from, and one of the drawing itself.
//!
//! With it a check without the renderer tells whether a source, a colour, the renderer or a picture was changed by itself.
//! That the renderer draws the same each time is not for a stamp to say; `--check --redraw` does.

use sha2::{Digest, Sha256};

use super::Source;
use super::look::Look;
use crate::error::Error;
use crate::repository::Repository;

const OPENING: &str = "<!-- drawn by `cargo xtask diagrams`; from ";
const BETWEEN: &str = ", as ";
const CLOSING: &str = " -->\n";

/// The packages of which a change may change the drawing.
const DRAWS: [&str; 5] = ["dejavu", "dugong", "merman", "merman-core", "merman-render"];

/// Our own part in the drawing. A change that draws the same makes every stamp stale, and no change goes unnoticed.
const OWN: [&str; 2] = [include_str!("colours.rs"), include_str!("draw.rs")];

/// What every picture is drawn with.
pub(super) struct Inputs {
    common: Sha256,
}

impl Inputs {
    /// Those of the checkout: the locked versions of what draws, and how we use it.
    ///
    /// # Errors
    /// When Cargo.lock can't be read.
    pub(super) fn of(repository: &Repository) -> Result<Self, Error> {
        Ok(Self::new(&repository.read("Cargo.lock")?))
    }

    fn new(lock: &str) -> Self {
        let mut common = Sha256::new();
        for package in lock.split("[[package]]") {
            let named = |name: &str| package.contains(&format!("\nname = \"{name}\"\n"));
            if DRAWS.iter().any(|name| named(name)) {
                // Not its dependencies: how they are written depends on what else is locked.
                let itself = |line: &&str| ["name", "version", "checksum"].iter().any(|key| line.starts_with(key));
                package.lines().filter(itself).for_each(|line| add(&mut common, line));
            }
        }
        OWN.iter().for_each(|text| add(&mut common, text));
        Self { common }
    }

    /// The digest of all that one picture is drawn from.
    pub(super) fn digest(&self, source: &Source, look: Look) -> String {
        let mut digest = self.common.clone();
        add(&mut digest, look.name());
        add(&mut digest, &source.name);
        add(&mut digest, &source.text);
        hexadecimal(digest)
    }
}

/// Each text with its length before it, so that none can run into the next.
fn add(digest: &mut Sha256, text: &str) {
    digest.update(text.len().to_le_bytes());
    digest.update(text);
}

fn hexadecimal(digest: Sha256) -> String {
    // Half of it suffices against accidents, which is all that this is against.
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn digest_of(svg: &str) -> String {
    hexadecimal(Sha256::new_with_prefix(svg))
}

/// The drawing with its stamp.
#[cfg(any(feature = "diagrams", test))]
pub(super) fn stamped(svg: &str, inputs: &str) -> String {
    let svg = format!("{}\n", svg.trim_end());
    let drawn = digest_of(&svg);
    format!("{svg}{OPENING}{inputs}{BETWEEN}{drawn}{CLOSING}")
}

/// Whether a file is a drawing of just these inputs, and nobody changed it since.
pub(super) fn holds(file: &str, inputs: &str) -> bool {
    let Some((svg, stamp)) = file.rfind(OPENING).map(|at| file.split_at(at)) else { return false };
    stamp == format!("{OPENING}{inputs}{BETWEEN}{}{CLOSING}", digest_of(svg))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"[[package]]
name = "merman"
version = "0.9.3"
dependencies = [
 "other",
]

[[package]]
name = "other"
version = "1.0.0"
"#;

    fn digest(lock: &str, text: &str, look: Look) -> String {
        let source = Source { name: "one".to_owned(), text: text.to_owned() };
        Inputs::new(lock).digest(&source, look)
    }

    #[test]
    fn a_stamp_holds_for_what_was_drawn_and_nothing_else() {
        let inputs = digest(LOCK, "flowchart LR", Look::Light);
        let file = stamped("<svg>text</svg>", &inputs);
        assert!(holds(&file, &inputs));
        assert!(!holds(&file.replace("text", "tent"), &inputs), "the picture was edited");
        assert!(!holds("<svg>text</svg>\n", &inputs), "there is no stamp");
        assert!(!holds(&format!("{file}\n"), &inputs), "something follows");
        for other in [digest(LOCK, "flowchart TB", Look::Light), digest(LOCK, "flowchart LR", Look::Dark)] {
            assert!(!holds(&file, &other));
        }
    }

    #[test]
    fn another_renderer_makes_every_stamp_stale_and_another_package_none() {
        let inputs = digest(LOCK, "flowchart LR", Look::Light);
        assert_ne!(digest(&LOCK.replace("0.9.3", "0.9.4"), "flowchart LR", Look::Light), inputs);
        assert_eq!(digest(&LOCK.replace("1.0.0", "1.0.1"), "flowchart LR", Look::Light), inputs);
        assert_eq!(digest(&LOCK.replace(r#""other","#, r#""other 1.0.0","#), "flowchart LR", Look::Light), inputs);
    }
}
