//! Badges as flat pictures, drawn here: no service is asked, and text has the contrast that WCAG AA wants.
//!
//! Logos are left out: they belong to others, and the label says it already.

use maud::{Markup, html};

use super::badge::Badge;

/// Height of a badge, and size of its text, in pixels.
const HEIGHT: u32 = 20;
const TEXT: u32 = 11;
/// Empty space beside a text, in pixels.
const MARGIN: u32 = 6;
/// What the label stands on.
const LABEL_BACKGROUND: Colour = Colour(0x3d, 0x44, 0x4d);

/// Widths of the printable ASCII characters from the space on, in thousandths of the text's size: DejaVu Sans', which
/// are Verdana's, too. A renderer with another font stretches the text to the width that these make.
const WIDTHS: [u32; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
    748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
    615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
    337, 636, 838,
];
/// As wide as most others: figures and most letters beyond ASCII.
const USUAL_WIDTH: u32 = 636;

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour(u8, u8, u8);

impl Colour {
    /// Of a name that Shields knows, or a hexadecimal one; grey otherwise. Names are darker here than Shields' own, on
    /// which white text can hardly be read.
    fn of(name: &str) -> Self {
        match name {
            "brightgreen" | "success" => Self(0x1a, 0x7f, 0x37),
            "green" => Self(0x3f, 0x73, 0x1b),
            "yellowgreen" => Self(0x62, 0x6b, 0x12),
            "yellow" => Self(0x85, 0x65, 0x00),
            "orange" | "important" => Self(0xab, 0x4a, 0x04),
            "red" | "critical" => Self(0xb6, 0x23, 0x24),
            "blue" | "informational" => Self(0x09, 0x60, 0xbd),
            other => Self::hexadecimal(other).unwrap_or(Self(0x63, 0x6c, 0x76)),
        }
    }

    fn hexadecimal(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches('#');
        let number = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        match digits.len() {
            6 => Some(Self(number[1], number[2], number[3])),
            3 => Some(Self((number[2] & 15) * 17, (number[3] >> 4) * 17, (number[3] & 15) * 17)),
            _ => None,
        }
    }

    /// White or black, whichever is read better on this: the worse of all grounds leaves 4.58 to 1.
    fn text(self) -> Self {
        let [white, black] = [Self(255, 255, 255), Self(0, 0, 0)];
        if self.contrast(white) >= self.contrast(black) { white } else { black }
    }

    /// The contrast ratio that WCAG defines.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// The badge as an SVG document.
pub(super) fn svg(badge: &Badge) -> String {
    let content = &badge.content;
    let (label, message) = (text_width(&content.label), text_width(&content.message));
    let (left, right) = (label + 2 * MARGIN, message + 2 * MARGIN);
    let ground = Colour::of(content.color.as_deref().unwrap_or_default());
    let width = left + right;
    let spoken = badge.spoken();
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(HEIGHT) viewBox={"0 0 " (width) " " (HEIGHT)}
            role="img" aria-label=(spoken) {
            title { (spoken) }
            clipPath id="r" { rect width=(width) height=(HEIGHT) rx="4" {} }
            g clip-path="url(#r)" {
                rect width=(left) height=(HEIGHT) fill=(LABEL_BACKGROUND.css()) {}
                rect x=(left) width=(right) height=(HEIGHT) fill=(ground.css()) {}
            }
            g font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size=(TEXT) {
                (words(&content.label, MARGIN, label, LABEL_BACKGROUND.text()))
                (words(&content.message, left + MARGIN, message, ground.text()))
            }
        }
    }
    .into_string()
}

fn words(words: &str, x: u32, width: u32, colour: Colour) -> Markup {
    html! {
        text x=(x) y="14" textLength=(width) lengthAdjust="spacingAndGlyphs" fill=(colour.css()) { (words) }
    }
}

/// In pixels, rounded up.
fn text_width(text: &str) -> u32 {
    let thousandths: u32 = text.chars().map(character_width).sum();
    (thousandths * TEXT).div_ceil(1000)
}

fn character_width(character: char) -> u32 {
    let place = (character as usize).checked_sub(' ' as usize);
    place.and_then(|place| WIDTHS.get(place)).copied().unwrap_or(USUAL_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What WCAG AA asks of text of this size.
    const AA: f64 = 4.5;

    #[test]
    fn every_colour_bears_its_text() {
        let names =
            ["brightgreen", "green", "yellowgreen", "yellow", "orange", "red", "blue", "lightgrey", "#ff0", "777"];
        for name in names {
            let ground = Colour::of(name);
            assert!(ground.contrast(ground.text()) >= AA, "{name}");
        }
        assert!(LABEL_BACKGROUND.contrast(LABEL_BACKGROUND.text()) >= AA);
        assert_eq!(Colour::of("#fb0"), Colour(255, 187, 0));
        assert_eq!(Colour::of("0a0b0c"), Colour(10, 11, 12));
    }

    #[test]
    fn text_cannot_leave_its_element() {
        let json = r#"{"schemaVersion":1,"label":"</text><script>","message":"a & \"b\""}"#;
        let badge = Badge::read("evil", json.to_owned()).unwrap();
        let svg = svg(&badge);
        assert!(!svg.contains("<script>"), "{svg}");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> =
            document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text"))).collect();
        assert_eq!(texts.iter().filter_map(|text| text.text()).collect::<Vec<_>>(), ["</text><script>", "a & \"b\""]);
    }
}
