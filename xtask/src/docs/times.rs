//! What `cargo xtask bench` measured last, row by row with its date. A figure that was not measured again stays, for it was
//! true then, and says when.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::bench::figure::{Figure, rounded};
use crate::error::Error;
use crate::repository::Repository;

const HEADING: &str =
    "| `cargo xtask bench --only` | measured | unit | goal | holds | on |\n|---|---:|---|---:|---|---|\n";

/// The figures that stood there, and in place of the older ones those of `target/bench.json`, where there is one.
///
/// # Errors
/// When the file can't be read, or is none of `cargo xtask bench`.
pub(super) fn table(repository: &Repository, before: &str) -> Result<String, Error> {
    let file = repository.metadata()?.target_directory()?.join("bench.json");
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(before.to_owned()),
        other => other.map_err(Error::file("read", &file))?,
    };
    let figures: Vec<Figure> = serde_json::from_str(&text).map_err(|error| Error::Content {
        path: file.clone(),
        problem: format!("is not what `cargo xtask bench` writes: {error}; run it again"),
    })?;
    let written = fs::metadata(&file).and_then(|found| found.modified()).map_err(Error::file("read", &file))?;
    let day = Timestamp::try_from(written).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date();
    Ok(merged(before, &figures, &day.to_string()))
}

/// Both in the order of their names. Days compare as they are written.
fn merged(before: &str, figures: &[Figure], day: &str) -> String {
    let stood = before.lines().filter_map(|line| Some((name_of(line)?, line.to_owned())));
    let mut rows: BTreeMap<String, String> = stood.collect();
    for figure in figures {
        let newer = rows.get(&figure.name).and_then(|row| day_of(row)).is_none_or(|stood| stood <= day);
        if newer {
            rows.insert(figure.name.clone(), row(figure, day));
        }
    }
    HEADING.to_owned() + &rows.into_values().map(|row| row + "\n").collect::<String>()
}

fn row(figure: &Figure, day: &str) -> String {
    let holds = if figure.holds { "yes" } else { "no" };
    let Figure { name, value, unit, goal, .. } = figure;
    format!("| `{name}` | {} | {unit} | {goal} | {holds} | {day} |", rounded(*value))
}

/// The name in the first cell of a row; none of the heading, whose first cell says what to run.
fn name_of(row: &str) -> Option<String> {
    let name = row.strip_prefix("| `")?.split_once('`')?.0;
    (!name.contains(' ')).then(|| name.to_owned())
}

fn day_of(row: &str) -> Option<&str> {
    row.trim_end_matches('|').rsplit('|').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_again_stays_with_its_day() {
        let first = merged("", &[Figure::new("a", 1.0, "s", 2.0), Figure::new("b", 3.0, "ms", 2.0)], "2026-11-20");
        assert!(
            first.ends_with("| `a` | 1.00 | s | 2 | yes | 2026-11-20 |\n| `b` | 3.00 | ms | 2 | no | 2026-11-20 |\n")
        );
        let second = merged(&first, &[Figure::new("b", 1.0, "ms", 2.0)], "2026-11-21");
        assert!(second.contains("| `a` | 1.00 | s | 2 | yes | 2026-11-20 |"), "{second}");
        assert!(second.ends_with("| `b` | 1.00 | ms | 2 | yes | 2026-11-21 |\n"), "{second}");
        assert_eq!(
            merged(&second, &[Figure::new("b", 9.0, "ms", 2.0)], "2026-11-19"),
            second,
            "older than what stands"
        );
    }
}
