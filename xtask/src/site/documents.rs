//! Documents as pages, and the page that lists them. A page's path is the document's own, with another ending.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Files;
use super::inputs::{Inputs, ROOT_DOCUMENTS};
use super::links::{Links, page_of, relative};
use super::markdown::{self, Heading, Rendered};
use super::page::{Page, Section};

/// With fewer sections than this a document is seen at a glance and lists none.
const FEWEST_LISTED: usize = 3;

/// Titles of folders whose own names are too short.
const FOLDERS: [(&str, &str); 5] = [
    ("", "Start here"),
    ("docs", "Guides"),
    ("docs/architecture", "Architecture"),
    ("docs/architecture/decisions", "Decisions"),
    ("docs/runbooks", "Runbooks"),
];

/// All pages of documents, with what they show.
pub(super) fn write(inputs: &Inputs, source_url: Option<&str>, files: &mut Files) {
    let rendered: BTreeMap<&str, Rendered> = inputs
        .documents
        .iter()
        .map(|(document, text)| {
            let links = Links { inputs, document, source_url };
            (document.as_str(), markdown::render(text, &links))
        })
        .collect();
    for (document, rendered) in &rendered {
        files.insert(page_of(document), page(document, rendered).into());
    }
    for (path, picture) in &inputs.pictures {
        files.insert(path.clone(), picture.clone());
    }
    files.insert(Section::Documents.page().to_owned(), index(&rendered).into());
}

fn title<'a>(document: &'a str, rendered: &'a Rendered) -> &'a str {
    rendered.title().unwrap_or(document)
}

fn page(document: &str, rendered: &Rendered) -> String {
    let path = page_of(document);
    let sections: Vec<&Heading> = rendered.headings.iter().filter(|heading| heading.level == 2).collect();
    let contents = sections.len() >= FEWEST_LISTED;
    let content = html! {
        div.document.contents[contents] {
            @if contents { (list_of(&sections)) }
            article {
                p.crumbs {
                    a href=(relative(&path, Section::Documents.page())) { "Documents" }
                    " / " (document)
                }
                (rendered.html)
            }
        }
    };
    let section = if document == "STATUS.md" { Section::Status } else { Section::Documents };
    let title = title(document, rendered);
    Page { path: &path, title, description: &rendered.summary, section, content }.render()
}

fn list_of(sections: &[&Heading]) -> Markup {
    html! {
        nav.sections aria-label="Sections" {
            p { "On this page" }
            ul { @for section in sections { li { a href={"#" (section.id)} { (section.text) } } } }
        }
    }
}

fn index(rendered: &BTreeMap<&str, Rendered>) -> String {
    let path = Section::Documents.page();
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for document in rendered.keys() {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(document);
    }
    if let Some(first) = folders.get_mut("") {
        first.sort_by_key(|document| ROOT_DOCUMENTS.iter().position(|known| known == document));
    }
    let content = html! {
        h1 { "Documents" }
        @if folders.is_empty() { p.notice { "There are no documents in this checkout." } }
        @for (folder, documents) in &folders {
            section.folder {
                h2 { (name_of(folder)) }
                ul { @for document in documents {
                    @if let Some(rendered) = rendered.get(document) {
                        li { a href=(relative(path, &page_of(document))) { (title(document, rendered)) } }
                    }
                } }
            }
        }
    };
    let description = "All documents of Helix: guides, architecture, decisions and runbooks.";
    Page { path, title: "Documents", description, section: Section::Documents, content }.render()
}

fn name_of(folder: &str) -> String {
    let known = FOLDERS.iter().find(|(known, _)| *known == folder);
    known.map_or_else(|| folder.to_owned(), |(_, name)| (*name).to_owned())
}
