//! What each example costs, computed as `helix plan` does: by the planner played forward from nothing, with the prices of
//! the dated table.

use std::fmt::Write as _;

use helix_crds::HelixPlatform;
use helix_plan::catalogue::{Catalogue, Source, dated_table};
use helix_plan::cost;
use helix_plan::forecast::{Ending, assumed, forecast};
use helix_plan::observed::{CloudFacts, Observed};
use helix_plan::validated::ValidatedPlatform;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::Error;
use crate::repository::Repository;

const EXAMPLES: &str = "manifests/examples/";

/// The UID of a platform that no API server has given one.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// A row for each example.
///
/// # Errors
/// When an example can't be read, or its plan comes to no end.
pub(super) fn table(repository: &Repository) -> Result<String, Error> {
    let catalogue = dated_table();
    let mut table = String::from(
        "| `helix plan -f` | machines | steps | calls of Hetzner's API | until it rests | net per month |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for file in repository.files()? {
        if file.starts_with(EXAMPLES) && file.ends_with(".yaml") {
            table.push_str(&row(repository, &file, &catalogue)?);
        }
    }
    let _ = writeln!(table, "\nPrices: {}.", catalogue.source);
    Ok(table)
}

fn row(repository: &Repository, file: &str, catalogue: &Catalogue) -> Result<String, Error> {
    let wrong = |problem: String| Error::Content { path: file.into(), problem };
    let mut platform: HelixPlatform =
        serde_saphyr::from_str(&repository.read(file)?).map_err(|error| wrong(error.to_string()))?;
    platform.metadata.uid = Some(NO_UID.to_owned());
    let now = day_of(catalogue);
    let validated = match ValidatedPlatform::new(&platform, catalogue, now) {
        Ok(validated) => validated,
        Err(rejections) => {
            let count = rejections.as_slice().len();
            return Ok(format!("| `{file}` | | | | | refused: {count} fields are of what is not built yet |\n"));
        }
    };
    let images = assumed::images(&validated);
    let mut observed = Observed::nothing(CloudFacts { images, ..CloudFacts::default() }, now);
    observed.adoptees = assumed::adoptees(&validated, now);
    let forecast = forecast(&validated, observed, now);
    if forecast.ending != Ending::Settled {
        return Err(wrong("its plan comes to no rest; `helix plan` says why".to_owned()));
    }
    let nothing = CloudFacts::default();
    let monthly = cost::of_what_exists(forecast.world.cloud.value().unwrap_or(&nothing), catalogue);
    Ok(format!(
        "| `{file}` | {} | {} | {} | {} s | {monthly} |\n",
        validated.machines(),
        forecast.items().count(),
        forecast.hetzner_calls(),
        forecast.takes.as_secs() + i64::from(forecast.takes.subsec_nanos() > 0),
    ))
}

/// The day whose prices these are: another day, with other offers retired, would give other figures.
fn day_of(catalogue: &Catalogue) -> Timestamp {
    match catalogue.source {
        Source::Api { at } => at,
        Source::Table { of } => of.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |day| day.timestamp()),
    }
}
