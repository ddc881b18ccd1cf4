//! Paths of the site and of the repository, and how one leads to another.
//!
//! Documents keep the folders that they have in the repository, so relative links between them stay short and the site
//! works under any prefix, which GitHub Pages needs.

use std::collections::BTreeSet;

use super::inputs::Inputs;

/// Schemes that a link of a document may have; anything else (`javascript:`) is no link.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];

/// Where a link of a document leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Somewhere that can be followed to.
    Link(String),
    /// To a file of the repository that is neither on the site nor read elsewhere, or to nothing at all.
    Nowhere,
}

/// The page of a document, by its path in the repository.
pub(super) fn page_of(document: &str) -> String {
    format!("{}.html", document.strip_suffix(".md").unwrap_or(document))
}

/// How one page of the site names a file of it.
pub(super) fn relative(from: &str, to: &str) -> String {
    let folders = |path: &str| path.matches('/').count();
    let shared = from.split('/').zip(to.split('/')).take(folders(from).min(folders(to)));
    let shared = shared.take_while(|(a, b)| a == b).count();
    let up = "../".repeat(folders(from) - shared);
    let down = to.split('/').skip(shared).collect::<Vec<_>>().join("/");
    format!("{up}{down}")
}

/// The path in the repository that a file at `from` means by a relative link; none outside of the repository.
pub(super) fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = if link.starts_with('/') { Vec::new() } else { from.split('/').collect() };
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Links of one document.
pub(super) struct Links<'a> {
    /// What there is on the site and in the repository.
    pub(super) inputs: &'a Inputs,
    /// The document's path in the repository.
    pub(super) document: &'a str,
    /// Where files of the repository are read.
    pub(super) source_url: Option<&'a str>,
}

impl Links<'_> {
    /// Where a link leads on the site.
    pub(super) fn target(&self, link: &str) -> Target {
        if SCHEMES.iter().any(|scheme| link.starts_with(scheme)) || link.starts_with('#') {
            return Target::Link(link.to_owned());
        }
        let (path, anchor) = link.split_once('#').map_or((link, String::new()), |(path, id)| (path, format!("#{id}")));
        let Some(path) = resolve(self.document, path).filter(|_| !path.contains(':')) else { return Target::Nowhere };
        match self.on_site(&path) {
            Some(file) => Target::Link(format!("{}{anchor}", relative(&page_of(self.document), &file))),
            None => self.in_repository(&path, &anchor),
        }
    }

    /// The file of the site that shows a file of the repository.
    fn on_site(&self, path: &str) -> Option<String> {
        if self.inputs.documents.contains_key(path) {
            return Some(page_of(path));
        }
        let index = if path.is_empty() { "README.md".to_owned() } else { format!("{path}/README.md") };
        if self.inputs.documents.contains_key(&index) {
            return Some(page_of(&index));
        }
        if self.inputs.pictures.contains_key(path) {
            return Some(path.to_owned());
        }
        let diagrams = path.strip_prefix("diagrams/").map(|rest| rest.strip_prefix("rendered/").unwrap_or(rest));
        match diagrams {
            Some("") => Some("diagrams/index.html".to_owned()),
            Some(file) => {
                let name = file.split('.').next().unwrap_or_default();
                self.inputs.diagram(name).map(|diagram| diagram.page())
            }
            None if path == "diagrams" => Some("diagrams/index.html".to_owned()),
            None => None,
        }
    }

    fn in_repository(&self, path: &str, anchor: &str) -> Target {
        match self.source_url {
            Some(url) if self.inputs.root.join(path).exists() => {
                Target::Link(format!("{}/{path}{anchor}", url.trim_end_matches('/')))
            }
            Some(_) | None => Target::Nowhere,
        }
    }
}

/// Names for headings, as GitHub makes them, so that links which work there work here.
#[derive(Default)]
pub(super) struct Anchors {
    taken: BTreeSet<String>,
}

impl Anchors {
    /// The name of a heading with this text.
    pub(super) fn of(&mut self, text: &str) -> String {
        let kept = text.trim().chars().filter_map(|character| match character {
            ' ' | '-' => Some('-'),
            '_' => Some('_'),
            character if character.is_alphanumeric() => Some(character),
            _ => None,
        });
        let name: String = kept.flat_map(char::to_lowercase).collect();
        let mut unique = name.clone();
        for number in 1.. {
            if self.taken.insert(unique.clone()) {
                break;
            }
            unique = format!("{name}-{number}");
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_name_each_other_relatively() {
        for (from, to, named) in [
            ("index.html", "docs/a.html", "docs/a.html"),
            ("docs/a.html", "index.html", "../index.html"),
            ("docs/a.html", "docs/b.html", "b.html"),
            ("docs/x/a.html", "docs/y/a.html", "../y/a.html"),
            ("docs/x/a.html", "docs/x/a.html", "a.html"),
            ("docs/docs.html", "docs/docs/x.html", "docs/x.html"),
        ] {
            assert_eq!(relative(from, to), named, "{from} {to}");
        }
    }

    #[test]
    fn links_are_resolved_within_the_repository() {
        assert_eq!(resolve("docs/a.md", "../README.md").as_deref(), Some("README.md"));
        assert_eq!(resolve("docs/a.md", "./b/").as_deref(), Some("docs/b"));
        assert_eq!(resolve("docs/a.md", "/README.md").as_deref(), Some("README.md"));
        assert_eq!(resolve("a.md", "../../etc/passwd"), None);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let mut anchors = Anchors::default();
        assert_eq!(anchors.of("What is built, and what is not yet"), "what-is-built-and-what-is-not-yet");
        assert_eq!(anchors.of("`helix plan` & co."), "helix-plan--co");
        assert_eq!(anchors.of("Again"), "again");
        assert_eq!(anchors.of("Again"), "again-1");
    }

    #[test]
    fn links_that_are_no_links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("README.md"), "# R").unwrap();
        std::fs::write(root.path().join("LICENSE"), "free").unwrap();
        let inputs = Inputs::read(root.path()).unwrap();
        let links = |source_url| Links { inputs: &inputs, document: "docs/a.md", source_url };
        let plain = links(None);
        assert_eq!(plain.target("../README.md#r"), Target::Link("../README.html#r".to_owned()));
        for nowhere in ["javascript:alert(1)", "data:text/html,x", "../LICENSE", "gone.md", "../../../x"] {
            assert_eq!(plain.target(nowhere), Target::Nowhere, "{nowhere}");
        }
        let sourced = links(Some("https://example.com/blob/main/"));
        assert_eq!(sourced.target("../LICENSE"), Target::Link("https://example.com/blob/main/LICENSE".to_owned()));
        assert_eq!(sourced.target("gone.md"), Target::Nowhere);
    }
}
