//! What was observed when: the lines of `metrics/history.jsonl`, one for each run of `helix badges`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// One line.
#[derive(Deserialize)]
struct Run {
    at: Timestamp,
    values: BTreeMap<String, Option<f64>>,
}

/// One measure over time, oldest first, at least one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// The badge's name in paths.
    pub(super) slug: String,
    /// When and how much. A run that did not observe the measure is not there.
    pub(super) points: Vec<(Timestamp, f64)>,
}

/// All measures, sorted by slug. Of two runs at the same instant the later line counts.
///
/// # Errors
/// The number of the first line that is no run, from 1, and what is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<Series>, (usize, String)> {
    let mut series: BTreeMap<String, BTreeMap<Timestamp, f64>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let run: Run = serde_json::from_str(line).map_err(|error| (index + 1, error.to_string()))?;
        for (slug, value) in run.values {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                series.entry(slug).or_default().insert(run.at, value);
            }
        }
    }
    Ok(series.into_iter().map(|(slug, points)| Series { slug, points: points.into_iter().collect() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_series_in_order_of_time() {
        let text = "{\"at\":\"2026-01-02T00:00:00Z\",\"values\":{\"uptime\":99.5,\"latency\":null}}\n\n\
                    {\"at\":\"2026-01-01T00:00:00Z\",\"values\":{\"uptime\":100}}\n";
        let series = read(text).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].slug, "uptime");
        assert_eq!(series[0].points.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [100.0, 99.5]);
    }

    #[test]
    fn broken_line_is_named_by_its_number() {
        let (line, problem) = read("{\"at\":\"2026-01-02T00:00:00Z\",\"values\":{}}\n{\"at\":\"soon\"}\n").unwrap_err();
        assert_eq!(line, 2, "{problem}");
    }
}
