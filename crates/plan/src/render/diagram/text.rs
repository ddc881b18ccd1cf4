//! Mermaid's flowchart language: nodes, groups and edges by handles, and labels that say what was written, whatever was.
//!
//! Guarantee: no text of a user's is ever syntax. Names of nodes are counted, never given; of a label only letters, digits
//! and a few signs that mean nothing to Mermaid, Markdown or HTML stand for themselves, everything else is written by its
//! number; and the title and description, in which Mermaid knows no such numbers, lose it.

use std::fmt::Write as _;

use super::seen::Mark;

/// Signs that mean nothing in a quoted label, be it read as Markdown or as HTML.
const PLAIN: &str = " -./,:()+=?!'@|";

/// Longest line of a label, in characters: what is longer is cut, for a picture is no log.
const LONGEST_LINE: usize = 90;

/// The text of a node, group or edge: lines, of which each is whatever somebody wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Label(Vec<String>);

impl Label {
    /// One line.
    pub(super) fn of(line: impl AsRef<str>) -> Self {
        Self(vec![line.as_ref().to_owned()])
    }

    /// The same, and a line below it; an empty one is left out.
    pub(super) fn and(mut self, line: impl AsRef<str>) -> Self {
        self.0.extend(Some(line.as_ref().to_owned()).filter(|line| !line.is_empty()));
        self
    }

    fn quoted(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(|line| escaped(line)).collect();
        format!("\"{}\"", lines.join("<br/>"))
    }
}

/// A line of a label, with everything written by its number that could be more than a sign.
fn escaped(line: &str) -> String {
    let mut out = String::new();
    for (index, sign) in line.chars().enumerate() {
        if index == LONGEST_LINE {
            out.push('…');
            break;
        }
        match sign {
            _ if sign.is_alphanumeric() || PLAIN.contains(sign) => out.push(sign),
            _ if sign.is_control() || sign.is_whitespace() || is_direction(sign) => out.push(' '),
            _ => {
                let _ = write!(out, "#{};", u32::from(sign));
            }
        }
    }
    out
}

/// Marks that turn the direction of a text: in a label they could make it read as another.
fn is_direction(sign: char) -> bool {
    matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A line for titles and descriptions, which know no numbers for signs.
fn bare(line: &str) -> String {
    let kept = |sign: char| sign.is_alphanumeric() || " -./,:()".contains(sign);
    line.chars().map(|sign| if kept(sign) { sign } else { ' ' }).collect()
}

/// A node or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(usize);

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// How a node is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Something of the platform.
    Thing,
    /// Somebody, or something outside.
    Outside,
    /// Something that lets pass or not.
    Guard,
    /// What keeps data.
    Store,
}

/// Which way a chart or a group is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From top to bottom.
    Down,
    /// From left to right; what has no order among itself is stacked.
    Right,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Down => "TB",
            Self::Right => "LR",
        }
    }
}

/// A flowchart that is being written.
#[derive(Debug, Default)]
pub(super) struct Chart {
    lines: String,
    depth: usize,
    next: usize,
    marked: bool,
}

impl Chart {
    /// An empty chart of that name and meaning.
    pub(super) fn new(way: Way, title: &str, description: &str) -> Self {
        let (way, title, description) = (way.as_str(), bare(title), bare(description));
        let lines = format!("flowchart {way}\n  accTitle: {title}\n  accDescr: {description}\n");
        Self { lines, depth: 1, ..Self::default() }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.lines, "{:indent$}{text}", "", indent = 2 * self.depth);
    }

    fn handle(&mut self) -> Handle {
        self.next += 1;
        Handle(self.next)
    }

    /// A node, coloured where something was seen of it.
    pub(super) fn node(&mut self, shape: Shape, label: &Label, mark: Option<Mark>) -> Handle {
        let handle = self.handle();
        let text = label.quoted();
        let drawn = match shape {
            Shape::Thing => format!("[{text}]"),
            Shape::Outside => format!("([{text}])"),
            Shape::Guard => format!("{{{{{text}}}}}"),
            Shape::Store => format!("[({text})]"),
        };
        let class = mark.map_or(String::new(), |mark| format!(":::{}", mark.class()));
        self.marked |= mark.is_some();
        self.line(&format!("{handle}{drawn}{class}"));
        handle
    }

    /// A group of whatever `content` draws. Its title is one line: of a second one Mermaid draws over the first nodes.
    pub(super) fn group(&mut self, title: impl AsRef<str>, content: impl FnOnce(&mut Self)) -> Handle {
        let handle = self.handle();
        self.line(&format!("subgraph {handle} [{}]", Label::of(title).quoted()));
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.line("end");
        handle
    }

    /// Draws what is in a group that way.
    pub(super) fn direction(&mut self, way: Way) {
        self.line(&format!("direction {}", way.as_str()));
    }

    /// A way from one to another.
    pub(super) fn edge(&mut self, from: Handle, to: Handle, label: &Label) {
        let text = if label.0.is_empty() { String::new() } else { format!("|{}|", label.quoted()) };
        self.line(&format!("{from} -->{text} {to}"));
    }

    /// Draws the second below the first, with nothing between them.
    pub(super) fn below(&mut self, above: Handle, below: Handle) {
        self.line(&format!("{above} ~~~ {below}"));
    }

    /// A way that nothing may take.
    pub(super) fn denied(&mut self, from: Handle, to: Handle, label: &Label) {
        self.line(&format!("{from} -. {} .-x {to}", label.quoted()));
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        if self.marked {
            for mark in Mark::ALL {
                self.line(&format!("classDef {} {}", mark.class(), mark.style()));
            }
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_is_syntax() {
        let hostile = "a\"] --> b\n%%{init: {'x': 1}}%%<script>&`*_#quot;end;\u{202e}\\{}[]";
        let text = escaped(hostile);
        let ends = |sign: char| "\"<>&`%{}[]\\*_\n\u{202e}".contains(sign);
        assert!(!text.contains(ends), "{text}");
        assert!(text.starts_with("a#34;#93; --#62; b #37;#37;#123;init"), "{text}");
        assert!(text.contains("#35;quot#59;end#59;"), "{text}");
    }

    #[test]
    fn titles_lose_what_they_cannot_say() {
        let chart = Chart::new(Way::Down, "Platform a\nflowchart; %%{x}", "#quot;{");
        assert_eq!(
            chart.finish(),
            "flowchart TB\n  accTitle: Platform a flowchart     x \n  accDescr:  quot  \n".to_owned()
        );
    }

    #[test]
    fn long_lines_are_cut() {
        let text = escaped(&"é".repeat(LONGEST_LINE + 1));
        assert_eq!(text.chars().count(), LONGEST_LINE + 1);
        assert!(text.ends_with('…'));
    }
}
