//! Links in the documents: every relative one leads to a file that is there, and every anchor to a heading or a mark in it.
//! Nothing is asked of the network: links to other hosts are taken for what they are.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::error::Error;
use crate::repository::Repository;
use crate::tidy::Finding;
use crate::tidy::size::is_test;

/// A document, as far as links go.
#[derive(Debug, Default)]
struct Document {
    /// Where each link leads, with the line that it stands on.
    links: Vec<(usize, String)>,
    /// What a link may name in it.
    anchors: BTreeSet<String>,
}

/// Judges every Markdown file.
///
/// # Errors
/// When the checkout can't be read.
pub(crate) fn findings(repository: &Repository) -> Result<Vec<Finding>, Error> {
    let files: BTreeSet<String> = repository.files()?.into_iter().collect();
    let mut documents = BTreeMap::new();
    // What tests take for a repository of its own has links of its own.
    let ours = |file: &&String| file.ends_with(".md") && !is_test(file);
    for file in files.iter().filter(ours) {
        documents.insert(file.clone(), read(&repository.read(file)?));
    }
    Ok(judged(&files, &documents))
}

fn judged(files: &BTreeSet<String>, documents: &BTreeMap<String, Document>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, document) in documents {
        for (line, link) in &document.links {
            if let Some(message) = broken(file, link, files, documents) {
                findings.push(Finding { file: file.clone(), line: Some(*line), message });
            }
        }
    }
    findings
}

/// Why a link leads nowhere; `None` if it does not, or leads to another host.
fn broken(file: &str, link: &str, files: &BTreeSet<String>, documents: &BTreeMap<String, Document>) -> Option<String> {
    let scheme = link.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric())) {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let Some(target) = target(file, path) else {
        return Some(format!("`{link}` leaves the repository; link to a file in it, or to a page by its URL"));
    };
    let is_directory = target.is_empty()
        || files.range(format!("{target}/")..).next().is_some_and(|it| it.starts_with(&format!("{target}/")));
    if !files.contains(&target) && !is_directory {
        return Some(format!("`{link}` leads to {target}, which is not there"));
    }
    let anchor = anchor.filter(|anchor| !anchor.is_empty())?;
    // Lines of code are named by the host that shows them.
    let document = documents.get(&target)?;
    (!document.anchors.contains(anchor)).then(|| format!("`{link}` leads to #{anchor}, which {target} does not have"))
}

/// The path that a link from a file means, relative to the root of the checkout; `None` where it leads out of it.
fn target(file: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(file.to_owned());
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    if path.starts_with('/') {
        parts.clear();
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn read(text: &str) -> Document {
    let mut document = Document::default();
    let mut heading: Option<String> = None;
    let mut slugs: BTreeMap<String, usize> = BTreeMap::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_TASKLISTS;
    for (event, place) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let line = text[..place.start].matches('\n').count() + 1;
                document.links.push((line, dest_url.into_string()));
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let count = slugs.entry(slug.clone()).or_default();
                document.anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
                *count += 1;
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => document.anchors.extend(ids(&html)),
            _ => {}
        }
    }
    document
}

/// The anchor that GitHub gives a heading.
fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The ids and names of elements in a piece of HTML.
fn ids(html: &str) -> Vec<String> {
    let named = |attribute: &str| -> Vec<String> {
        let values = html.split(attribute).skip(1).filter_map(|rest| rest.split_once('"'));
        values.map(|(value, _)| value.to_owned()).collect()
    };
    [named(" id=\""), named(" name=\"")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pages: &[(&str, &str)], others: &[&str]) -> Vec<String> {
        let names = pages.iter().map(|(name, _)| *name).chain(others.iter().copied());
        let files = names.map(str::to_owned).collect();
        let documents = pages.iter().map(|(name, text)| ((*name).to_owned(), read(text))).collect();
        judged(&files, &documents).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let readme = "[a](docs/a.md) [b](docs/a.md#two-words-1) [c](docs/) [d](/docs/x.png) [e](https://example.com/#x)\n\n\
                      [f](#top) <mailto:a@example.com> `[g](nowhere.md)`\n\n    [h](nowhere.md)\n\n# Top\n";
        let page =
            "# Two words\n## Two `words`!\n<a id=\"spec.x\"></a>\n[up](../README.md) [x](#spec.x) [r]\n\n[r]: x.png\n";
        let told = told(&[("README.md", readme), ("docs/a.md", page)], &["docs/x.png"]);
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn links_that_lead_nowhere_are_told_with_their_line() {
        let page = "# A\n\n[a](b.md)\n![b](../x.png)\n[c](#b)\n[d](../../x)\n[e]\n\n[e]: gone/\n";
        let told = told(&[("docs/a.md", page)], &[]);
        assert_eq!(
            told,
            [
                "docs/a.md:3: `b.md` leads to docs/b.md, which is not there",
                "docs/a.md:4: `../x.png` leads to x.png, which is not there",
                "docs/a.md:5: `#b` leads to #b, which docs/a.md does not have",
                "docs/a.md:6: `../../x` leaves the repository; link to a file in it, or to a page by its URL",
                "docs/a.md:7: `gone/` leads to docs/gone, which is not there",
            ]
        );
    }
}
