//! Diagrams: a page with all of them, and one for each on which it can be enlarged. Enlarging is a choice of the style
//! sheet, so it needs no script; the picture itself can be opened alone, too.

use maud::{Markup, html};

use super::Files;
use super::inputs::Inputs;
use super::links::relative;
use super::page::{Page, Section};

/// Which ground a picture is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Light,
    Dark,
}

impl Theme {
    /// How files of this theme end.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Light => ".light.svg",
            Self::Dark => ".dark.svg",
        }
    }
}

/// A rendered diagram.
#[derive(Clone, Debug)]
pub(super) struct Diagram {
    /// The name of its files.
    pub(super) name: String,
    title: String,
    description: Option<String>,
    /// In pixels.
    size: (u32, u32),
    light: String,
    dark: Option<String>,
    /// In Mermaid.
    source: Option<String>,
}

impl Diagram {
    /// Reads a rendered picture.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(super) fn read(
        name: &str,
        light: String,
        dark: Option<String>,
        source: Option<String>,
    ) -> Result<Self, String> {
        let about = About::of(&light)?;
        if let Some(dark) = &dark {
            About::of(dark).map_err(|problem| format!("its dark twin: {problem}"))?;
        }
        let title = about.title.unwrap_or_else(|| name.replace(['-', '_'], " "));
        let Some(size) = about.size else { return Err("it has no viewBox, so nobody knows its size".to_owned()) };
        Ok(Self { name: name.to_owned(), title, description: about.description, size, light, dark, source })
    }

    /// Its page.
    pub(super) fn page(&self) -> String {
        format!("diagrams/{}.html", self.name)
    }

    /// Whether this is what it was drawn from.
    pub(super) fn is_drawn_from(&self, source: &str) -> bool {
        self.source.as_deref().is_some_and(|own| own.trim() == source.trim())
    }

    /// The picture as a page shows it, in the reader's theme.
    pub(super) fn picture(&self, from: &str) -> Markup {
        let light = relative(from, &self.file(Theme::Light));
        let paper = self.dark.is_none().then_some("paper");
        html! {
            picture {
                @if self.dark.is_some() {
                    source srcset=(relative(from, &self.file(Theme::Dark))) media="(prefers-color-scheme: dark)";
                }
                img src=(light) alt=(self.alternative()) width=(self.size.0) height=(self.size.1) class=[paper] loading="lazy";
            }
        }
    }

    fn alternative(&self) -> String {
        match &self.description {
            Some(description) => format!("{}: {description}", self.title),
            None => format!("Diagram: {}", self.title),
        }
    }

    fn file(&self, theme: Theme) -> String {
        format!("diagrams/{}{}", self.name, theme.ending())
    }
}

/// What an SVG document says of itself.
struct About {
    title: Option<String>,
    description: Option<String>,
    size: Option<(u32, u32)>,
}

impl About {
    /// Also sees that opening the picture alone runs nothing and asks nobody.
    fn of(svg: &str) -> Result<Self, String> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(svg, options)
            .map_err(|error| format!("no SVG document: {error}; render it again with `cargo xtask diagrams`"))?;
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let name = node.tag_name().name();
            let imports = name == "style" && node.text().is_some_and(|text| text.contains("@import"));
            if name == "script" || imports || node.attributes().any(|attribute| attribute.name().starts_with("on")) {
                return Err(format!("its <{name}> would run or fetch something; pictures must do neither"));
            }
        }
        let root = document.root_element();
        let text = |name: &str| {
            let child = root.children().find(|child| child.tag_name().name() == name)?;
            child.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Ok(Self { title: text("title"), description: text("desc"), size: size(root.attribute("viewBox")) })
    }
}

fn size(view_box: Option<&str>) -> Option<(u32, u32)> {
    let mut numbers = view_box?.split([' ', ',']).filter(|part| !part.is_empty()).skip(2);
    let mut next = || {
        let number = numbers.next()?.parse::<f64>().ok()?.ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within these bounds it is exact")]
        (1.0..=100_000.0).contains(&number).then_some(number as u32)
    };
    Some((next()?, next()?))
}

/// All files of diagrams.
pub(super) fn write(inputs: &Inputs, files: &mut Files) {
    files.insert(Section::Diagrams.page().to_owned(), index(inputs).into());
    for (number, diagram) in inputs.diagrams.iter().enumerate() {
        let previous = number.checked_sub(1).and_then(|number| inputs.diagrams.get(number));
        let next = inputs.diagrams.get(number + 1);
        files.insert(diagram.page(), page(diagram, previous, next).into());
        files.insert(diagram.file(Theme::Light), diagram.light.clone().into());
        if let Some(dark) = &diagram.dark {
            files.insert(diagram.file(Theme::Dark), dark.clone().into());
        }
    }
}

fn index(inputs: &Inputs) -> String {
    let path = Section::Diagrams.page();
    let content = html! {
        h1 { "Diagrams" }
        @if inputs.diagrams.is_empty() {
            p.notice { "No diagram is rendered yet. " code { "cargo xtask diagrams" } " renders them." }
        } @else {
            p.lead { "How Helix is built, and what it builds." }
            ul.gallery { @for diagram in &inputs.diagrams {
                li { a href=(relative(path, &diagram.page())) {
                    div.thumbnail { (diagram.picture(path)) }
                    span { (diagram.title) }
                } }
            } }
        }
    };
    let description = "Diagrams of Helix and of the platforms that it builds.";
    Page { path, title: "Diagrams", description, section: Section::Diagrams, content }.render()
}

fn page(diagram: &Diagram, previous: Option<&Diagram>, next: Option<&Diagram>) -> String {
    let path = diagram.page();
    let content = html! {
        h1 { (diagram.title) }
        @if let Some(description) = &diagram.description { p.lead { (description) } }
        div.viewer {
            fieldset {
                legend.unseen { "Size of the picture" }
                @for (id, name) in [("fit", "Fit"), ("actual", "Actual"), ("double", "Double")] {
                    input type="radio" name="size" id=(id) checked[id == "fit"];
                    label for=(id) { (name) }
                }
            }
            p.alone {
                "Alone: "
                a href=(relative(&path, &diagram.file(Theme::Light))) { "light" }
                @if diagram.dark.is_some() {
                    ", " a href=(relative(&path, &diagram.file(Theme::Dark))) { "dark" }
                }
            }
            div.canvas tabindex="0" role="region" aria-label="Picture, can be scrolled" { (diagram.picture(&path)) }
        }
        @if let Some(source) = &diagram.source {
            details.source {
                summary { "Source in Mermaid" }
                pre tabindex="0" { code { (source) } }
            }
        }
        (neighbours(&path, previous, next))
    };
    let description = format!("Diagram: {}", diagram.title);
    let page =
        Page { path: &path, title: &diagram.title, description: &description, section: Section::Diagrams, content };
    page.render()
}

fn neighbours(path: &str, previous: Option<&Diagram>, next: Option<&Diagram>) -> Markup {
    if previous.is_none() && next.is_none() {
        return html! {};
    }
    html! {
        nav.neighbours aria-label="Other diagrams" {
            @if let Some(diagram) = previous {
                a href=(relative(path, &diagram.page())) { span { "Previous" } (diagram.title) }
            }
            @if let Some(diagram) = next {
                a.next href=(relative(path, &diagram.page())) { span { "Next" } (diagram.title) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320.4 200"><title>A turn</title></svg>"#;

    #[test]
    fn picture_says_its_title_and_size() {
        let diagram =
            Diagram::read("turn", SVG.to_owned(), Some(SVG.to_owned()), Some("graph LR\n".to_owned())).unwrap();
        assert_eq!((diagram.title.as_str(), diagram.size), ("A turn", (321, 200)));
        assert!(diagram.is_drawn_from("graph LR"));
        let picture = diagram.picture("docs/a.html").into_string();
        assert!(picture.contains(r#"srcset="../diagrams/turn.dark.svg""#), "{picture}");
    }

    #[test]
    fn picture_that_runs_or_fetches_is_refused() {
        for evil in ["<script/>", "<g onload='x()'/>", "<style>@import url(https://example.com/a.css);</style>"] {
            let svg = SVG.replace("<title>", &format!("{evil}<title>"));
            let problem = Diagram::read("turn", svg, None, None).unwrap_err();
            assert!(problem.contains("run or fetch"), "{problem}");
        }
        assert!(Diagram::read("turn", "<svg".to_owned(), None, None).is_err());
    }
}
