//! `helix secrets export` and `import`: the way out of a lost store.
//!
//! What the store keeps of a platform and cannot make again is its bundle and its records of bootstrap and restore. They leave the
//! management cluster encrypted to age recipients only, and come back only where nothing is: `import` creates, and never
//! overwrites.

mod envelope;

use std::fmt::Write as _;
use std::path::Path;

use helix_crds::labels::PLATFORM_UID;
use helix_engine::seams::{Store, StoreError};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, RestoreRecord};
use helix_plan::secrets::{AcceptedAuthorities, RotationStage, SecretBundle};
use helix_plan::validated::identity_of;
use jiff::Timestamp;

use crate::Outcome;
use crate::arguments::{ExportArguments, ImportArguments};
use crate::error::CliError;
use crate::live::Management;
use crate::output::{self, Readers};
use envelope::Export;

pub(crate) async fn export(arguments: &ExportArguments) -> Result<Outcome, CliError> {
    let recipients = envelope::recipients(&arguments.to)?;
    let management = Management::connect(&arguments.cluster).await?;
    let platform = identity_of(&management.get(management.namespace(), &arguments.name).await?);
    let export = take(&management.store(), &platform, Timestamp::now()).await?;
    let sealed = envelope::seal(&export, &recipients)?;
    match &arguments.output {
        None => output::print(&sealed)?,
        Some(path) => {
            output::put_new(path, &sealed, Readers::Owner)?;
            output::remark(&format!("The secrets of {} are in {}", platform.display_name(), path.display()));
        }
    }
    if export.bootstrap().is_none() {
        output::remark("Etcd has not been bootstrapped yet: export again when it has, for that is recorded, too.");
    }
    Ok(Outcome::Done)
}

pub(crate) async fn import(arguments: &ImportArguments) -> Result<Outcome, CliError> {
    let identities = envelope::identities(&arguments.identity)?;
    let export = envelope::open(&arguments.file, &output::read(&arguments.file)?, &identities)?;
    let management = Management::connect(&arguments.cluster).await?;
    let platform = identity_of(&management.get(management.namespace(), &arguments.name).await?);
    let report = put_back(&management.store(), &platform, &export, &arguments.file).await?;
    output::print(&report)?;
    Ok(Outcome::Done)
}

/// What the store keeps of a platform and cannot make again.
async fn take(store: &dyn Store, platform: &PlatformIdentity, now: Timestamp) -> Result<Export, CliError> {
    let (namespace, name) = (platform.namespace.clone(), platform.name.clone());
    let (facts, bundle) = store.read(platform).await?;
    let bundle = bundle.ok_or(CliError::NothingToExport { namespace, name })?;
    let bundle = in_force(store, platform, bundle).await?;
    Export::new(platform, &bundle, (facts.bootstrap, facts.restore), now)
}

/// What is in force of a bundle: authorities that were rotated take the place of those that it was made with.
async fn in_force(
    store: &dyn Store,
    platform: &PlatformIdentity,
    bundle: SecretBundle,
) -> Result<SecretBundle, CliError> {
    let Some(rotation) = store.rotation(platform).await? else { return Ok(bundle) };
    if rotation.facts.stage != RotationStage::Done {
        output::remark("The certificate authorities are being rotated: export again when that is over.");
    }
    Ok(SecretBundle { accepted: AcceptedAuthorities::default(), ..rotation.in_force(&bundle) })
}

/// Puts an export back, and tells what came of each part.
async fn put_back(
    store: &dyn Store,
    platform: &PlatformIdentity,
    export: &Export,
    path: &Path,
) -> Result<String, CliError> {
    let path = path.to_owned();
    if export.platform() != platform.display_name() {
        return Err(CliError::OtherPlatform { path, exported: export.platform(), platform: platform.display_name() });
    }
    let bundle = export.bundle()?;
    refuse_others(store, platform, &bundle, export).await?;
    let mut told = vec![restore_bundle(store, platform, &bundle).await?.told("secret bundle")];
    if let Some(record) = export.bootstrap() {
        told.push(put_back_bootstrap(store, platform, record).await?.told("bootstrap record"));
    }
    if let Some(record) = export.restore() {
        told.push(put_back_restore(store, platform, record).await?.told("restore record"));
    }
    let mut text = format!("{}: {}\n", platform.display_name(), told.join(", "));
    if export.bootstrap().is_none() {
        text.push_str("The export was made before etcd was bootstrapped, and holds no record of it.\n");
    }
    if export.uid() != platform.uid {
        let _ = writeln!(
            text,
            "The platform was made anew since the export. What exists at Hetzner carries its former UID and is not \
             taken over, unless you change the label {PLATFORM_UID} of all of it from {} to {}.",
            export.uid(),
            platform.uid
        );
    }
    Ok(text)
}

/// Refuses an import over something else, before any part of it is brought back.
async fn refuse_others(
    store: &dyn Store,
    platform: &PlatformIdentity,
    bundle: &SecretBundle,
    export: &Export,
) -> Result<(), CliError> {
    let (facts, stored) = store.read(platform).await?;
    let stored = match stored {
        Some(stored) => Some(in_force(store, platform, stored).await?),
        None => None,
    };
    if stored.is_some_and(|stored| stored != *bundle) {
        return Err(differs("secret bundle", platform));
    }
    if facts.bootstrap.is_some_and(|stored| export.bootstrap().is_some_and(|record| *record != stored)) {
        return Err(differs("bootstrap record", platform));
    }
    if facts.restore.is_some_and(|stored| export.restore().is_some_and(|record| *record != stored)) {
        return Err(differs("restore record", platform));
    }
    Ok(())
}

/// What came of bringing one thing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restored {
    Created,
    WasThere,
}

impl Restored {
    fn told(self, what: &str) -> String {
        match self {
            Self::Created => format!("{what} restored"),
            Self::WasThere => format!("{what} was there already, and is the same"),
        }
    }
}

fn differs(what: &'static str, platform: &PlatformIdentity) -> CliError {
    CliError::Differs { what, platform: platform.display_name() }
}

async fn restore_bundle(
    store: &dyn Store,
    platform: &PlatformIdentity,
    bundle: &SecretBundle,
) -> Result<Restored, CliError> {
    match store.create_bundle(platform, bundle).await {
        Ok(()) => Ok(Restored::Created),
        Err(StoreError::Exists { .. }) => match store.read(platform).await?.1 {
            Some(stored) if in_force(store, platform, stored.clone()).await? == *bundle => Ok(Restored::WasThere),
            Some(_) | None => Err(differs("secret bundle", platform)),
        },
        Err(error) => Err(error.into()),
    }
}

async fn put_back_bootstrap(
    store: &dyn Store,
    platform: &PlatformIdentity,
    record: &BootstrapRecord,
) -> Result<Restored, CliError> {
    match store.record_bootstrap(platform, record).await {
        Ok(()) => Ok(Restored::Created),
        Err(StoreError::Exists { .. }) => match store.read(platform).await?.0.bootstrap {
            Some(stored) if stored == *record => Ok(Restored::WasThere),
            Some(_) | None => Err(differs("bootstrap record", platform)),
        },
        Err(error) => Err(error.into()),
    }
}

async fn put_back_restore(
    store: &dyn Store,
    platform: &PlatformIdentity,
    record: &RestoreRecord,
) -> Result<Restored, CliError> {
    match store.read(platform).await?.0.restore {
        Some(stored) if stored == *record => Ok(Restored::WasThere),
        Some(_) => Err(differs("restore record", platform)),
        None => match store.record_restore(platform, record).await {
            Ok(()) => Ok(Restored::Created),
            Err(StoreError::Exists { .. }) => Err(differs("restore record", platform)),
            Err(error) => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests;
