//! The frame of every page: head, navigation, footer. Pages have no scripts, and forbid them.

use maud::{DOCTYPE, Markup, html};

use super::links::relative;

/// Who made a page: also by what an earlier site is known before it is replaced.
pub(super) const GENERATOR: &str = "cargo xtask site";

/// Nothing but styles and pictures, and only the site's own.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";

/// The parts of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Status,
    Diagrams,
    Documents,
}

impl Section {
    const ALL: [Self; 3] = [Self::Status, Self::Diagrams, Self::Documents];

    fn name(self) -> &'static str {
        match self {
            Self::Status => "Status",
            Self::Diagrams => "Diagrams",
            Self::Documents => "Documents",
        }
    }

    /// Its first page.
    pub(super) fn page(self) -> &'static str {
        match self {
            Self::Status => "index.html",
            Self::Diagrams => "diagrams/index.html",
            Self::Documents => "documents.html",
        }
    }
}

/// A page.
pub(super) struct Page<'a> {
    /// Its path on the site.
    pub(super) path: &'a str,
    /// What it is called, without the site's name.
    pub(super) title: &'a str,
    /// One sentence for those who find it by a search.
    pub(super) description: &'a str,
    /// The part that it belongs to.
    pub(super) section: Section,
    /// What is in it, with its `h1`.
    pub(super) content: Markup,
}

impl Page<'_> {
    /// The whole document.
    pub(super) fn render(&self) -> String {
        let link = |to: &str| relative(self.path, to);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    meta name="generator" content=(GENERATOR);
                    meta name="description" content=(self.description);
                    title { (self.title) " · Helix" }
                    link rel="icon" type="image/svg+xml" href=(link("icon.svg"));
                    link rel="stylesheet" href=(link("style.css"));
                }
                body {
                    a.skip href="#content" { "Skip to content" }
                    header.site {
                        div.bar {
                            a.mark href=(link(Section::Status.page())) {
                                img src=(link("icon.svg")) alt="" width="24" height="24";
                                "Helix"
                            }
                            nav aria-label="Site" { ul { @for section in Section::ALL {
                                li { (self.entry(section)) }
                            } } }
                        }
                    }
                    main id="content" tabindex="-1" { (self.content) }
                    footer.site { div.bar { p {
                        "Static pages, built from the repository by " code { (GENERATOR) } ". "
                        "No scripts, no trackers, nothing from other hosts."
                    } } }
                }
            }
        }
        .into_string()
    }

    fn entry(&self, section: Section) -> Markup {
        let current = match section {
            section if section.page() == self.path => Some("page"),
            section if section == self.section => Some("true"),
            _ => None,
        };
        html! { a href=(relative(self.path, section.page())) aria-current=[current] { (section.name()) } }
    }
}
