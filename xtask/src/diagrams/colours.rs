//! What the looks look like: all that is set in Mermaid's configuration.
//!
//! Colours belong here and nowhere in the sources, so that each diagram works on white and on black.

use serde_json::{Value, json};

use super::look::Look;

/// DejaVu Sans is what is measured with. Where a reader lacks it, Verdana has the same widths, and other fonts without
/// serifs are narrower: text keeps its place in its box.
const FONTS: &str = "DejaVu Sans, Verdana, sans-serif";

/// Pixels after which a line of text is broken: lines are broken in the sources, by hand.
const LINE: u16 = 420;

/// The colours of a look, in CSS' notation. Text has a contrast of at least 12 : 1 on each that it can stand
/// on, arrows and borders of at least 3 : 1.
struct Palette {
    /// Behind everything.
    background: &'static str,
    /// Text.
    text: &'static str,
    /// Arrows and lines.
    line: &'static str,
    /// A box, and its border.
    fill: &'static str,
    border: &'static str,
    /// A group of boxes, and its border.
    group: &'static str,
    group_border: &'static str,
    /// What text may be written across: the life lines of a sequence.
    faint: &'static str,
    /// What is set apart: notes, and the second of two.
    accent: &'static str,
    accent_border: &'static str,
}

impl Look {
    /// The colour behind everything, in CSS' notation.
    pub(super) fn background(self) -> &'static str {
        self.palette().background
    }

    fn palette(self) -> Palette {
        match self {
            Self::Light => Palette {
                background: "#ffffff",
                text: "#1f2328",
                line: "#57606a",
                fill: "#e8f0fe",
                border: "#3b6fd4",
                group: "#f6f8fa",
                group_border: "#848d97",
                faint: "#d0d7de",
                accent: "#fff4d6",
                accent_border: "#b58900",
            },
            Self::Dark => Palette {
                background: "#0d1117",
                text: "#e6edf3",
                line: "#9aa4b2",
                fill: "#1c2b45",
                border: "#6ea8fe",
                group: "#161b22",
                group_border: "#6e7681",
                faint: "#30363d",
                accent: "#33290f",
                accent_border: "#d7a21a",
            },
        }
    }

    /// Mermaid's configuration.
    pub(super) fn configuration(self) -> Value {
        // Sizes in pixels, so that a page that shows a picture knows how large it is.
        json!({
            "theme": "base",
            "look": "classic",
            "layout": "dagre",
            "fontFamily": FONTS,
            "themeVariables": self.variables(),
            "flowchart": {"useMaxWidth": false, "wrappingWidth": LINE, "subGraphTitleMargin": {"top": 4, "bottom": 8}},
            "sequence": {"useMaxWidth": false},
            "state": {"useMaxWidth": false, "wrappingWidth": LINE},
            "timeline": {"useMaxWidth": false},
        })
    }

    fn variables(self) -> Value {
        let Palette { background, text, line, fill, border, group, group_border, faint, accent, accent_border } =
            self.palette();
        json!({
            "darkMode": self == Self::Dark,
            "fontFamily": FONTS,
            "background": background,
            "textColor": text,
            "titleColor": text,
            "lineColor": line,
            "primaryColor": fill,
            "primaryBorderColor": border,
            "primaryTextColor": text,
            "secondaryColor": accent,
            "secondaryBorderColor": accent_border,
            "secondaryTextColor": text,
            "tertiaryColor": group,
            "tertiaryBorderColor": group_border,
            "tertiaryTextColor": text,
            "clusterBkg": group,
            "clusterBorder": group_border,
            "edgeLabelBackground": background,
            "transitionColor": line,
            "transitionLabelColor": text,
            "actorLineColor": faint,
            "signalColor": line,
            "signalTextColor": text,
            "loopTextColor": text,
            "labelBoxBkgColor": accent,
            "labelBoxBorderColor": accent_border,
            "labelTextColor": text,
            "noteBkgColor": accent,
            "noteBorderColor": accent_border,
            "noteTextColor": text,
            // The sections of a timeline.
            "cScale0": fill,
            "cScaleLabel0": text,
            "cScaleInv0": border,
            "cScale1": accent,
            "cScaleLabel1": text,
            "cScaleInv1": accent_border,
        })
    }
}
