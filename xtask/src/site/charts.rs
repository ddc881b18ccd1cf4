//! History as small charts: one line each, drawn in the page itself, with the same said in words and figures.
//!
//! Measures have different units, so no two share an axis.

use jiff::Timestamp;
use maud::{Markup, html};

use super::history::Series;

/// The drawing's size, in its own units.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 56.0;
/// Room for the line's width at the edges.
const MARGIN: f64 = 4.0;
/// How many of the newest values are written out; the rest is in the file.
const WRITTEN_OUT: usize = 12;

/// A chart with its heading, the newest value, and the values behind it.
pub(super) fn figure(series: &Series, label: &str) -> Markup {
    let Some(((first, _), (last, newest))) = series.points.first().zip(series.points.last()) else {
        return html! {};
    };
    html! {
        figure.chart {
            figcaption {
                span.name { (label) }
                span.newest { (number(*newest)) }
            }
            (drawing(series, label))
            p.span { (day(*first)) span { (day(*last)) } }
            details {
                summary { "Values" span.unseen { " of " (label) } }
                table {
                    thead { tr { th scope="col" { "at" } th scope="col" { "value" } } }
                    tbody { @for (at, value) in series.points.iter().rev().take(WRITTEN_OUT) {
                        tr { td { (moment(*at)) } td { (number(*value)) } }
                    } }
                }
            }
        }
    }
}

fn drawing(series: &Series, label: &str) -> Markup {
    let places = places(&series.points);
    let line = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
    let end = places.last().copied().unwrap_or_default();
    html! {
        svg role="img" aria-label=(spoken(series, label)) viewBox={"0 0 " (WIDTH) " " (HEIGHT)} {
            line.base x1=(MARGIN) x2=(WIDTH - MARGIN) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
            @if places.len() > 1 { polyline points=(line) {} }
            circle cx=(format!("{:.1}", end.0)) cy=(format!("{:.1}", end.1)) r="3" {}
        }
    }
}

/// Points of the drawing: time to the right, more upwards. What never changes runs through the middle.
fn places(points: &[(Timestamp, f64)]) -> Vec<(f64, f64)> {
    let seconds = |at: Timestamp| at.duration_since(points[0].0).as_secs_f64();
    let duration = points.last().map_or(0.0, |(at, _)| seconds(*at));
    let (least, most) = bounds(points);
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.5 };
    let place = |(at, value): &(Timestamp, f64)| {
        let right = if duration > 0.0 { seconds(*at) / duration } else { 1.0 };
        let up = share(value - least, most - least);
        (MARGIN + right * (WIDTH - 2.0 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2.0 * MARGIN))
    };
    points.iter().map(place).collect()
}

fn bounds(points: &[(Timestamp, f64)]) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    points.iter().fold(start, |(least, most), (_, value)| (least.min(*value), most.max(*value)))
}

/// The chart in words.
fn spoken(series: &Series, label: &str) -> String {
    let [(first, _), .., (last, newest)] = series.points.as_slice() else {
        let alone = series.points.first().map(|(at, value)| format!("{} at {}", number(*value), moment(*at)));
        return format!("{label}: {}", alone.unwrap_or_default());
    };
    let (least, most) = bounds(&series.points);
    format!(
        "{label} from {} to {}: between {} and {}, last {}",
        moment(*first),
        moment(*last),
        number(least),
        number(most),
        number(*newest)
    )
}

/// With as many decimals as are told apart at a glance.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// To the minute.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let at = |hours: usize| Timestamp::from_second(1_767_225_600 + 3600 * i64::try_from(hours).unwrap()).unwrap();
        let points = values.iter().enumerate().map(|(hours, value)| (at(hours), *value)).collect();
        Series { slug: "uptime".to_owned(), points }
    }

    #[test]
    fn chart_is_said_in_words() {
        assert_eq!(
            spoken(&series(&[99.5, 100.0, 99.9]), "uptime"),
            "uptime from 2026-01-01 00:00 UTC to 2026-01-01 02:00 UTC: between 99.5 and 100, last 99.9"
        );
        assert_eq!(spoken(&series(&[1.0]), "peers"), "peers: 1 at 2026-01-01 00:00 UTC");
    }

    #[test]
    fn more_is_higher_and_later_is_further_right() {
        let places = places(&series(&[0.0, 10.0]).points);
        assert_eq!(places, [(4.0, 52.0), (236.0, 4.0)]);
        let flat = super::places(&series(&[3.0, 3.0, 3.0]).points);
        assert!(flat.iter().all(|(_, y)| (y - 28.0).abs() < f64::EPSILON), "{flat:?}");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(99.9, "99.9"), (0.0, "0"), (12345.6, "12346"), (0.01234, "0.0123"), (100.0, "100")] {
            assert_eq!(number(value), text);
        }
    }
}
