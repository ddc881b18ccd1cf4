//! How a measured value is worded and coloured, and what is nonsense on its scale.

use helix_crds::PhaseState;

use super::{Color, Measured};

/// Which colour a number has: that of the first step that it reaches, or red.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    /// More is better; falling bounds.
    AtLeast(&'static [(f64, Color)]),
    /// Less is better; rising bounds.
    AtMost(&'static [(f64, Color)]),
}

impl Steps {
    fn color(self, value: f64) -> Color {
        let reached = match self {
            Self::AtLeast(steps) => steps.iter().find(|(bound, _)| value >= *bound),
            Self::AtMost(steps) => steps.iter().find(|(bound, _)| value <= *bound),
        };
        reached.map_or(Color::Red, |(_, color)| *color)
    }

    /// Rounded to the worse side, so that nothing looks better than it is; to hundredths.
    fn rounded(self, value: f64) -> f64 {
        // What arithmetic leaves, as in 99.99 × 100 = 9998.999…, is no difference.
        const NOISE: f64 = 1e-6;
        match self {
            Self::AtLeast(_) => (value * 100.0 + NOISE).floor() / 100.0,
            // Without the sign that nothing has when it is reached from below.
            Self::AtMost(_) => ((value * 100.0 - NOISE).ceil() + 0.0) / 100.0,
        }
    }
}

/// What a badge's values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From 0 to 100.
    Percent(Steps),
    /// A duration.
    Milliseconds(Steps),
    /// How many, with the word for one and for several.
    Count([&'static str; 2], Steps),
    /// An amount, and for what.
    Euros(&'static str),
    /// So many of all, with the word for those that are well.
    Share(&'static str),
    /// A phase's state.
    Phase,
    /// Good and bad in a word.
    Verdict([&'static str; 2]),
    /// Weaknesses by severity.
    Findings,
}

/// A value on its scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Graded {
    pub(super) message: String,
    pub(super) color: Color,
    /// For the history; none where there is nothing to draw.
    pub(super) value: Option<f64>,
}

impl Scale {
    /// Words and colour, or why the value cannot be.
    pub(super) fn judge(self, measured: &Measured) -> Result<Graded, String> {
        match (self, measured) {
            (Self::Percent(steps), Measured::Number(value)) => percent(steps, *value),
            (Self::Milliseconds(steps), Measured::Number(value)) => {
                let value = at_least_zero(*value)?;
                Ok(Graded { message: duration(value), color: steps.color(value), value: Some(value) })
            }
            (Self::Count(words, steps), Measured::Number(value)) => {
                let value = at_least_zero(*value)?;
                // Exactly one, as counted; anything else is several.
                let word = words[usize::from(value.to_bits() != 1.0_f64.to_bits())];
                let message = format!("{} {word}", count(value));
                Ok(Graded { message, color: steps.color(value), value: Some(value) })
            }
            (Self::Euros(what), Measured::Number(value)) => {
                let value = at_least_zero(*value)?;
                Ok(Graded { message: format!("{value:.2} EUR {what}"), color: Color::Blue, value: Some(value) })
            }
            (Self::Share(word), Measured::Share { well, all }) => share(word, *well, *all),
            (Self::Phase, Measured::Phase(state)) => Ok(phase(*state)),
            (Self::Verdict(words), Measured::Verdict { good, of }) => {
                let (word, color) = if *good { (words[0], Color::BrightGreen) } else { (words[1], Color::Red) };
                let message = format!("{word} {of}").trim_end().to_owned();
                Ok(Graded { message, color, value: Some(f64::from(u8::from(*good))) })
            }
            (Self::Findings, Measured::Findings { critical, high, all }) => Ok(findings(*critical, *high, *all)),
            (_, other) => Err(format!("{other:?} is nothing that this badge can show")),
        }
    }
}

fn percent(steps: Steps, value: f64) -> Result<Graded, String> {
    let value = at_least_zero(value)?;
    // What arithmetic leaves above the whole is the whole.
    if value > 100.0 + 1e-6 {
        return Err(format!("it is {value}, more than 100 per cent"));
    }
    let value = value.min(100.0);
    Ok(Graded { message: format!("{}%", steps.rounded(value)), color: steps.color(value), value: Some(value) })
}

fn at_least_zero(value: f64) -> Result<f64, String> {
    if value.is_nan() {
        Err("it is no number (NaN): nothing was counted that could be divided by".to_owned())
    } else if value.is_infinite() {
        Err(format!("it is infinite ({value})"))
    } else if value < 0.0 {
        Err(format!("it is {value}, less than nothing"))
    } else {
        Ok(value)
    }
}

fn duration(milliseconds: f64) -> String {
    if milliseconds >= 1000.0 {
        format!("{:.1} s", milliseconds / 1000.0)
    } else if milliseconds >= 10.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{milliseconds:.1} ms")
    }
}

fn count(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value if value >= 1e4 => format!("{:.1}k", value / 1e3),
        value => format!("{value:.0}"),
    }
}

fn share(word: &str, well: u64, all: u64) -> Result<Graded, String> {
    if well > all {
        return Err(format!("{well} of {all} cannot be {word}"));
    }
    if all == 0 {
        return Ok(Graded { message: "none".to_owned(), color: Color::LightGrey, value: Some(0.0) });
    }
    let color = match well {
        _ if well == all => Color::BrightGreen,
        0 => Color::Red,
        _ if well.saturating_mul(2) > all => Color::Yellow,
        _ => Color::Orange,
    };
    Ok(Graded { message: format!("{well}/{all} {word}"), color, value: exact(well) })
}

/// Counts of things are far below the 2^53 up to which a float is exact.
fn exact(count: u64) -> Option<f64> {
    u32::try_from(count).ok().map(f64::from)
}

fn phase(state: PhaseState) -> Graded {
    let (message, color) = match state {
        PhaseState::Ready => ("ready", Color::BrightGreen),
        PhaseState::Progressing => ("progressing", Color::Yellow),
        PhaseState::Pending => ("pending", Color::LightGrey),
        PhaseState::Blocked => ("blocked", Color::Red),
        PhaseState::Unknown => ("not observed", Color::Orange),
        PhaseState::NotRequested => ("not requested", Color::LightGrey),
    };
    let ready = f64::from(u8::from(state == PhaseState::Ready));
    let value = (state != PhaseState::NotRequested).then_some(ready);
    Graded { message: message.to_owned(), color, value }
}

fn findings(critical: u64, high: u64, all: u64) -> Graded {
    let (message, color) = match (critical, high, all) {
        (0, 0, 0) => ("nothing found".to_owned(), Color::BrightGreen),
        (0, 0, all) => (format!("{all} low or medium"), Color::Green),
        (0, high, _) => (format!("{high} high"), Color::Orange),
        (critical, high, _) => (format!("{critical} critical, {high} high"), Color::Red),
    };
    Graded { message, color, value: exact(all) }
}
