//! Documents from Markdown: links lead to pages, Mermaid that is drawn already is shown as its picture, and what a
//! document holds of HTML is text.
//!
//! The only HTML that comes through is what this file writes itself, with exceptions that are none: line breaks are
//! breaks, comments are nothing, a picture in HTML (which GitHub needs for its themes) is a picture like any other, and an
//! empty `<a id="name"></a>` is a place to link to.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html::push_html};

use super::links::{Anchors, Links, Target, page_of, relative, resolve};

/// Code in a sentence that is no longer stays in one line, on a phone, too.
const LONGEST_UNBROKEN: usize = 28;

/// A heading, to be listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    /// 1 is the document's title.
    pub(super) level: usize,
    /// Its name within the page.
    pub(super) id: String,
    /// Its words.
    pub(super) text: String,
}

/// A document as HTML.
pub(super) struct Rendered {
    /// In order.
    pub(super) headings: Vec<Heading>,
    /// The words of its first paragraph.
    pub(super) summary: String,
    /// The text.
    pub(super) html: Markup,
}

impl Rendered {
    /// The words of its first heading.
    pub(super) fn title(&self) -> Option<&str> {
        self.headings.first().map(|heading| heading.text.as_str())
    }
}

/// Renders a document.
pub(super) fn render(text: &str, links: &Links<'_>) -> Rendered {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer {
        links,
        anchors: Anchors::default(),
        headings: Vec::new(),
        events: Vec::new(),
        open: Vec::new(),
        tables: 0,
        in_head: false,
    };
    let mut events = Parser::new_ext(text, options);
    while let Some(event) = events.next() {
        writer.event(event, &mut events);
    }
    let mut html = String::new();
    push_html(&mut html, writer.events.into_iter());
    Rendered { headings: writer.headings, summary: summary(text), html: PreEscaped(html) }
}

/// What is written so far.
struct Writer<'a, 'text> {
    links: &'a Links<'a>,
    anchors: Anchors,
    headings: Vec<Heading>,
    events: Vec<Event<'text>>,
    /// Whether each link that is open is written as one.
    open: Vec<bool>,
    /// Tables so far.
    tables: usize,
    /// Whether this is the head of one.
    in_head: bool,
}

impl<'text> Writer<'_, 'text> {
    fn event(&mut self, event: Event<'text>, rest: &mut impl Iterator<Item = Event<'text>>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => self.heading(level, rest),
            Event::Start(Tag::Link { dest_url, title, link_type, id }) => {
                let target = self.links.target(&dest_url);
                self.open.push(target != Target::Nowhere);
                if let Target::Link(target) = target {
                    self.events.push(Event::Start(Tag::Link { dest_url: target.into(), title, link_type, id }));
                }
            }
            Event::End(TagEnd::Link) => {
                if self.open.pop() == Some(true) {
                    self.events.push(Event::End(TagEnd::Link));
                }
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                let alternative = words(&until(rest, &TagEnd::Image));
                self.push(picture(self.links, &dest_url, &alternative));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let code = words(&until(rest, &TagEnd::CodeBlock));
                self.push(code_block(self.links, &kind, &code));
            }
            Event::Start(Tag::HtmlBlock) => {
                let source = words(&until(rest, &TagEnd::HtmlBlock));
                let shown = self.foreign(source.trim());
                self.push(html! { @if let Some(shown) = shown { p { (shown) } } });
            }
            Event::Html(source) | Event::InlineHtml(source) => {
                if let Some(shown) = self.foreign(&source) {
                    self.push(shown);
                }
            }
            Event::Start(Tag::Table(alignment)) => {
                self.tables += 1;
                let name = format!("Table {}", self.tables);
                // The element is closed with the table.
                let open = html! { div class=(frame(&alignment)) tabindex="0" role="region" aria-label=(name) {} };
                self.push(PreEscaped(open.into_string().trim_end_matches("</div>").to_owned()));
                // Alignments would become styles of the cells, which the page's policy refuses.
                self.events.push(Event::Start(Tag::Table(vec![Alignment::None; alignment.len()])));
            }
            Event::End(TagEnd::Table) => {
                self.events.push(Event::End(TagEnd::Table));
                self.push(PreEscaped("</div>".to_owned()));
            }
            Event::Start(Tag::TableHead) => self.in_head(Event::Start(Tag::TableHead), true),
            Event::End(TagEnd::TableHead) => self.in_head(Event::End(TagEnd::TableHead), false),
            Event::End(TagEnd::TableCell)
                if self.in_head && matches!(self.events.last(), Some(Event::Start(Tag::TableCell))) =>
            {
                // A column without a name is heard as one, not as silence.
                self.push(html! { span.unseen { "(no name)" } });
                self.events.push(Event::End(TagEnd::TableCell));
            }
            // Broken at a hyphen a flag looks like two.
            Event::Code(code) if code.chars().count() <= LONGEST_UNBROKEN => {
                self.push(html! { code.whole { (code.as_ref()) } });
            }
            Event::TaskListMarker(done) => self.events.push(Event::Text(if done { "☑ " } else { "☐ " }.into())),
            other => self.events.push(other),
        }
    }

    fn in_head(&mut self, event: Event<'text>, begins: bool) {
        self.in_head = begins;
        self.events.push(event);
    }

    /// What is written here, and therefore trusted.
    fn push(&mut self, markup: Markup) {
        self.events.push(Event::Html(markup.into_string().into()));
    }

    fn heading(&mut self, level: pulldown_cmark::HeadingLevel, rest: &mut impl Iterator<Item = Event<'text>>) {
        let inner = until(rest, &TagEnd::Heading(level));
        let text = words(&inner);
        let id = self.anchors.of(&text);
        let start = Tag::Heading { level, id: Some(id.clone().into()), classes: Vec::new(), attrs: Vec::new() };
        self.events.push(Event::Start(start));
        let mut inner = inner.into_iter();
        while let Some(event) = inner.next() {
            self.event(event, &mut inner);
        }
        self.events.push(Event::End(TagEnd::Heading(level)));
        self.headings.push(Heading { level: level as usize, id, text });
    }

    /// HTML that a document holds, as it is shown.
    fn foreign(&self, source: &str) -> Option<Markup> {
        let tag = source.to_ascii_lowercase();
        if source.starts_with("<!--") && source.ends_with("-->") {
            return None;
        }
        if ["<br>", "<br/>", "<br />"].contains(&tag.as_str()) {
            return Some(html! { br; });
        }
        if let Some(id) = place(source) {
            return Some(html! { span id=(id) {} });
        }
        if tag == "</a>" {
            return None;
        }
        if let Some(at) = tag.find("<img ") {
            let attribute = |name: &str| attribute(&source[at..], name);
            return Some(picture(self.links, &attribute("src")?, &attribute("alt").unwrap_or_default()));
        }
        Some(html! { (source) })
    }
}

/// The classes of what a table is scrolled in, by which the style sheet aligns its columns.
fn frame(alignment: &[Alignment]) -> String {
    let columns = (1..).zip(alignment).filter(|(_, alignment)| **alignment == Alignment::Right);
    columns.fold("scroll".to_owned(), |classes, (column, _)| format!("{classes} right-{column}"))
}

/// The name in `<a id="name">`.
fn place(tag: &str) -> Option<&str> {
    let name = tag.strip_prefix("<a id=\"")?.strip_suffix("\">")?;
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "._-[]".contains(sign);
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

/// The value of an attribute in double quotes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    value.split_once('"').map(|(value, _)| value.to_owned())
}

/// Everything up to the end of the element that has just begun, without it.
fn until<'text>(rest: &mut impl Iterator<Item = Event<'text>>, end: &TagEnd) -> Vec<Event<'text>> {
    rest.take_while(|event| !matches!(event, Event::End(tag) if tag == end)).collect()
}

/// The words of what is between.
fn words(events: &[Event<'_>]) -> String {
    let mut words = String::new();
    for event in events {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) => words.push_str(text),
            Event::SoftBreak | Event::HardBreak => words.push(' '),
            _ => {}
        }
    }
    words
}

/// The words of the first paragraph.
fn summary(text: &str) -> String {
    let mut events = Parser::new(text).skip_while(|event| !matches!(event, Event::Start(Tag::Paragraph)));
    words(&until(&mut events, &TagEnd::Paragraph))
}

fn code_block(links: &Links<'_>, kind: &CodeBlockKind<'_>, code: &str) -> Markup {
    let language = match kind {
        CodeBlockKind::Fenced(language) if !language.is_empty() => Some(language.as_ref()),
        CodeBlockKind::Fenced(_) | CodeBlockKind::Indented => None,
    };
    if language == Some("mermaid")
        && let Some(diagram) = links.inputs.diagrams.iter().find(|diagram| diagram.is_drawn_from(code))
    {
        return drawn(links, diagram);
    }
    html! {
        // What is wider than the page is scrolled, and what is scrolled must be reached without a mouse.
        pre tabindex="0" { code data-language=[language] { (code) } }
    }
}

fn drawn(links: &Links<'_>, diagram: &super::diagrams::Diagram) -> Markup {
    let page = page_of(links.document);
    html! { a.diagram href=(relative(&page, &diagram.page())) { (diagram.picture(&page)) } }
}

/// A picture of the site's own: a diagram, a badge, or one beside the document. Of others their words are left: the
/// site asks no other host.
fn picture(links: &Links<'_>, source: &str, alternative: &str) -> Markup {
    let page = page_of(links.document);
    if let Some(badge) = badge_of(source).and_then(|slug| links.inputs.badge(slug)) {
        let file = relative(&page, &format!("metrics/{}.svg", badge.slug));
        return html! { img.badge src=(file) alt=(badge.spoken()) height="20"; };
    }
    let path = resolve(links.document, source).filter(|_| !source.contains(':'));
    let name = path.as_deref().and_then(|path| path.strip_prefix("diagrams/rendered/"));
    if let Some(diagram) = name.and_then(|file| links.inputs.diagram(file.split('.').next().unwrap_or_default())) {
        return drawn(links, diagram);
    }
    match path.filter(|path| links.inputs.pictures.contains_key(path)) {
        Some(path) => html! { img src=(relative(&page, &path)) alt=(alternative) loading="lazy"; },
        None => html! { (alternative) },
    }
}

/// The slug in the address of a badge, whether drawn here or by Shields from the JSON.
fn badge_of(source: &str) -> Option<&str> {
    let (_, file) = source.rsplit_once("metrics/").or_else(|| source.rsplit_once("metrics%2F"))?;
    file.strip_suffix(".json").or_else(|| file.strip_suffix(".svg"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::site::inputs::Inputs;

    fn rendered(text: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        for folder in ["metrics", "diagrams/rendered", "docs"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let file = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        file("metrics/uptime.json", r#"{"schemaVersion":1,"label":"uptime","message":"99 %"}"#);
        file("diagrams/turn.mmd", "graph LR\n  a --> b\n");
        file("diagrams/rendered/turn.light.svg", r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>"#);
        file("README.md", "# Helix");
        let inputs = Inputs::read(root.path()).unwrap();
        let links = Links { inputs: &inputs, document: "docs/a.md", source_url: None };
        render(text, &links).html.into_string()
    }

    #[test]
    fn html_of_documents_is_text() {
        let html =
            rendered("<script>alert(1)</script>\n\na <b onclick=\"x\">b</b><br>c <!-- gone -->\n\n<!-- gone -->\n");
        assert!(!html.contains("<script") && !html.contains("<b ") && !html.contains("gone"), "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("<br>"), "{html}");
        let html = rendered("[x](javascript:alert(1)) <javascript:alert(1)>");
        assert!(!html.contains("href"), "{html}");
        let html = rendered("<a id=\"spec.dns\"></a> <a id=\"x\" onclick=\"y\">z</a>\n");
        assert!(html.contains("<span id=\"spec.dns\"></span>") && !html.contains("<a "), "{html}");
    }

    #[test]
    fn drawn_mermaid_is_its_picture_and_other_mermaid_its_source() {
        let html = rendered("```mermaid\ngraph LR\n  a --> b\n```\n\n```mermaid\ngraph TD\n```\n");
        assert!(html.contains(r#"src="../diagrams/turn.light.svg""#), "{html}");
        assert!(html.contains("<pre tabindex=\"0\"><code data-language=\"mermaid\">graph TD\n</code>"), "{html}");
    }

    #[test]
    fn pictures_are_the_sites_own() {
        let shields = "https://img.shields.io/endpoint?url=https%3A%2F%2Fexample.com%2Fmetrics%2Fuptime.json";
        let html = rendered(&format!("![u]({shields}) ![other](https://example.com/x.png)"));
        assert!(html.contains(r#"<img class="badge" src="../metrics/uptime.svg" alt="uptime: 99 %""#), "{html}");
        assert!(html.contains(" other") && !html.contains("example.com"), "{html}");
        let html = rendered("<picture><img src=\"../diagrams/rendered/turn.light.svg\" alt=\"x\"></picture>\n");
        assert!(html.contains(r#"href="../diagrams/turn.html""#), "{html}");
    }

    #[test]
    fn headings_can_be_linked_and_tables_scrolled() {
        let html = rendered("## `helix plan` now\n\n| a | |\n|---|---|\n| [r](../README.md#helix) | b |\n");
        assert!(html.contains(r#"<h2 id="helix-plan-now">"#), "{html}");
        assert!(html.contains("(no name)") && html.contains(r#"aria-label="Table 1"><table>"#), "{html}");
        let right = rendered("| a | b |\n|---|--:|\n| c | 1 |\n");
        assert!(right.contains(r#"class="scroll right-2""#) && !right.contains("style="), "{right}");
        assert!(html.contains(r#"role="region""#) && html.contains(r#"href="../README.html#helix""#), "{html}");
    }
}
