//! What a plan is made from: a platform and its surroundings, as they are seen, or as they are taken to be where
//! nothing is looked at.

use std::path::Path;
use std::sync::Arc;

use helix_clients::charts::ChartOptions;
use helix_crds::HelixPlatform;
use helix_engine::Memory;
use helix_engine::turn::{LookError, look};
use helix_plan::catalogue::{Catalogue, dated_table};
use helix_plan::farewell::Farewell;
use helix_plan::forecast::{Forecast, assumed, forecast, forecast_teardown};
use helix_plan::observed::{CloudFacts, Observed};
use helix_plan::validated::{ApprovalMode, ValidatedPlatform};
use jiff::Timestamp;

use crate::arguments::ClusterArguments;
use crate::error::CliError;
use crate::file::File;
use crate::live::Management;

/// The UID of a platform that no API server has given one yet.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Where the facts are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An empty project is assumed, and the snapshots that are needed.
    Nothing,
    /// They were seen just now.
    Live {
        /// Whether the management cluster knows the platform.
        applied: bool,
    },
}

/// A platform and everything that is known of its surroundings.
pub(crate) struct Sight {
    pub(crate) platform: HelixPlatform,
    pub(crate) validated: ValidatedPlatform,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) observed: Observed,
    pub(crate) origin: Origin,
    pub(crate) now: Timestamp,
}

impl Sight {
    /// The plan played forward from here.
    pub(crate) fn forecast(&self) -> Forecast {
        let observed = self.observed.clone();
        if self.is_leaving() {
            let farewell = Farewell::of(&self.platform, self.now);
            return forecast_teardown(&self.validated.identity, &farewell, observed, self.now);
        }
        forecast(&self.validated, observed, self.now)
    }

    /// The plan played on from where the first one came to rest, with everything approved.
    pub(crate) fn forecast_approved(&self, rest: Observed) -> Forecast {
        let mut approved = self.validated.clone();
        approved.approval = ApprovalMode::Automatic;
        forecast(&approved, rest, self.now)
    }

    /// Whether the platform is being deleted.
    pub(crate) fn is_leaving(&self) -> bool {
        self.platform.metadata.deletion_timestamp.is_some()
    }
}

/// A platform from a file, of which nothing exists.
pub(crate) fn from_nothing(path: &Path) -> Result<Sight, CliError> {
    let mut file = File::read(path)?;
    // One that was read from an API server says what its volumes are labelled with.
    file.platform.metadata.uid.get_or_insert_with(|| NO_UID.to_owned());
    file.platform.metadata.generation = None;
    let now = Timestamp::now();
    let catalogue = dated_table();
    let validated = file.judge(ValidatedPlatform::new(&file.platform, &catalogue, now))?;
    let images = assumed::images(&validated);
    let mut observed = Observed::nothing(CloudFacts { images, ..CloudFacts::default() }, now);
    observed.adoptees = assumed::adoptees(&validated, now);
    let catalogue = Arc::new(catalogue);
    Ok(Sight { platform: file.platform, validated, catalogue, observed, origin: Origin::Nothing, now })
}

/// A platform from a file, and what exists of it.
pub(crate) async fn of_file(path: &Path, cluster: &ClusterArguments, charts: ChartOptions) -> Result<Sight, CliError> {
    let mut file = File::read(path)?;
    let management = Management::connect(cluster).await?;
    let name = file.platform.metadata.name.clone().unwrap_or_default();
    let namespace = file.platform.metadata.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| management.namespace().to_owned());
    let applied = management.find(&namespace, &name).await?;
    let origin = Origin::Live { applied: applied.is_some() };
    file.platform.metadata = match applied {
        Some(applied) => applied.metadata,
        None => file.platform.metadata,
    };
    let metadata = &mut file.platform.metadata;
    metadata.uid.get_or_insert_with(|| NO_UID.to_owned());
    metadata.namespace = Some(namespace);
    let seams = management.seams(&file.platform, charts).await?;
    let intents = management.intents(&file.platform).await?;
    match Box::pin(look(&seams, &file.platform, &intents, &mut Memory::default())).await {
        Ok(seen) => {
            let validated = file.judge(Ok(seen.validated))?;
            let (catalogue, observed) = (seen.catalogue, seen.observed);
            Ok(Sight { platform: file.platform, validated, catalogue, observed, origin, now: seams.clock.now() })
        }
        Err(LookError::Missing(missing)) => Err(CliError::Hetzner(missing)),
        Err(LookError::Rejected(rejections)) => {
            file.judge(Err(rejections)).map(|never: std::convert::Infallible| match never {})
        }
    }
}

/// A platform of the management cluster.
pub(crate) async fn of_cluster(
    name: &str,
    cluster: &ClusterArguments,
    charts: ChartOptions,
) -> Result<Sight, CliError> {
    let management = Management::connect(cluster).await?;
    let namespace = management.namespace().to_owned();
    let platform = management.get(&namespace, name).await?;
    let seams = management.seams(&platform, charts).await?;
    let intents = management.intents(&platform).await?;
    let seen = match Box::pin(look(&seams, &platform, &intents, &mut Memory::default())).await {
        Ok(seen) => seen,
        Err(LookError::Missing(missing)) => return Err(CliError::Hetzner(missing)),
        Err(LookError::Rejected(rejections)) => {
            return Err(CliError::Rejected { namespace, name: name.to_owned(), rejections });
        }
    };
    Ok(Sight {
        platform,
        validated: seen.validated,
        catalogue: seen.catalogue,
        observed: seen.observed,
        origin: Origin::Live { applied: true },
        now: seams.clock.now(),
    })
}
