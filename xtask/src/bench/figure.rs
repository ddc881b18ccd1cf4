//! A figure beside its goal, as `helix-bench` prints it, `target/bench.json` holds it and the table shows it.

use serde::{Deserialize, Serialize};

/// One measured number; less is better.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) goal: f64,
    pub(crate) holds: bool,
}

impl Figure {
    /// A figure that holds when it is at most its goal.
    pub(crate) fn new(name: &str, value: f64, unit: &str, goal: f64) -> Self {
        Self { name: name.to_owned(), value, unit: unit.to_owned(), goal, holds: value <= goal }
    }
}

/// The figures in columns.
pub(crate) fn table(figures: &[Figure]) -> String {
    let heading = ["NAME", "VALUE", "UNIT", "GOAL", "HOLDS"].map(str::to_owned);
    let rows = figures.iter().map(|figure| {
        let holds = if figure.holds { "yes" } else { "NO" };
        [figure.name.clone(), rounded(figure.value), figure.unit.clone(), figure.goal.to_string(), holds.to_owned()]
    });
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (name, value, unit, goal) = (width(0), width(1), width(2), width(3));
    let line = |[of, is, per, wanted, holds]: &[String; 5]| {
        format!("{of:name$}  {is:>value$}  {per:unit$}  {wanted:>goal$}  {holds}\n")
    };
    rows.iter().map(line).collect()
}

/// Three digits that count: the figures lie between microseconds and minutes.
pub(crate) fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_holds_up_to_its_goal() {
        assert!(Figure::new("a", 90.0, "s", 90.0).holds);
        assert!(!Figure::new("a", 90.1, "s", 90.0).holds);
    }

    #[test]
    fn the_table_has_a_line_per_figure_under_a_heading() {
        let figures = [Figure::new("sandbox-ready", 31.25, "s", 90.0), Figure::new("plan", 12.0, "ms", 10.0)];
        assert_eq!(
            table(&figures),
            "NAME           VALUE  UNIT  GOAL  HOLDS\n\
             sandbox-ready   31.2  s       90  yes\n\
             plan            12.0  ms      10  NO\n"
        );
    }
}
