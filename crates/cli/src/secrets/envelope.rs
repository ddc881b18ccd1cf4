//! An export as it lies in a file: what is in it, and the age encryption around it.

use std::io::{BufReader, Cursor, Read as _, Write as _};
use std::path::Path;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor, IdentityFile};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, RestoreRecord};
use helix_plan::secrets::{Secret, SecretBundle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::CliError;
use crate::output;

/// The form of an export; another one is another number.
const VERSION: u32 = 1;

/// What an export says outside its secrets, and the bundle as `secrets.yaml`. No `Debug`: it holds secrets.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Export {
    helix_secrets_export: u32,
    namespace: String,
    platform: String,
    uid: String,
    exported_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    bootstrap: Option<BootstrapRecord>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    restore: Option<RestoreRecord>,
    bundle: String,
}

impl Export {
    pub(super) fn new(
        platform: &PlatformIdentity,
        bundle: &SecretBundle,
        (bootstrap, restore): (Option<BootstrapRecord>, Option<RestoreRecord>),
        exported_at: Timestamp,
    ) -> Result<Self, CliError> {
        Ok(Self {
            helix_secrets_export: VERSION,
            namespace: platform.namespace.clone(),
            platform: platform.name.clone(),
            uid: platform.uid.clone(),
            exported_at,
            bootstrap,
            restore,
            bundle: bundle.to_yaml()?.expose().to_owned(),
        })
    }

    /// `namespace/name` of the platform that it was exported from.
    pub(super) fn platform(&self) -> String {
        format!("{}/{}", self.namespace, self.platform)
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    pub(super) fn bootstrap(&self) -> Option<&BootstrapRecord> {
        self.bootstrap.as_ref()
    }

    pub(super) fn restore(&self) -> Option<&RestoreRecord> {
        self.restore.as_ref()
    }

    pub(super) fn bundle(&self) -> Result<SecretBundle, CliError> {
        Ok(SecretBundle::from_yaml(&self.bundle)?)
    }
}

/// The recipients of that name.
pub(super) fn recipients(texts: &[String]) -> Result<Vec<age::x25519::Recipient>, CliError> {
    let parse = |text: &String| text.trim().parse().map_err(|_| CliError::Recipient { given: text.clone() });
    texts.iter().map(parse).collect()
}

/// The identities in a file of `age-keygen`.
pub(super) fn identities(path: &Path) -> Result<Vec<Box<dyn age::Identity + Send + Sync>>, CliError> {
    let none = || CliError::Identity { path: path.to_owned() };
    let text = Secret::new(output::read(path)?);
    let file = IdentityFile::from_buffer(BufReader::new(text.expose().as_bytes())).map_err(|_| none())?;
    let identities = file.into_identities().map_err(|_| none())?;
    if identities.is_empty() { Err(none()) } else { Ok(identities) }
}

/// Encrypts an export to the recipients, as text.
pub(super) fn seal(export: &Export, recipients: &[age::x25519::Recipient]) -> Result<String, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Encrypt(error.to_string());
    let plain = serde_json::to_string(export).map(Secret::new).map_err(|_| CliError::Format { format: "JSON" })?;
    let all = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(all).map_err(|error| failed(&error))?;
    let write = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain.expose().as_bytes())?;
        writer.finish()?.finish()
    };
    let sealed = write().map_err(|error| failed(&error))?;
    String::from_utf8(sealed).map_err(|error| failed(&error))
}

/// Decrypts and reads an export.
pub(super) fn open(
    path: &Path,
    sealed: &str,
    identities: &[Box<dyn age::Identity + Send + Sync>],
) -> Result<Export, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Decrypt { path: path.to_owned(), why: error.to_string() };
    let decryptor = Decryptor::new(ArmoredReader::new(Cursor::new(sealed))).map_err(|error| failed(&error))?;
    let all = identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity);
    let mut reader = decryptor.decrypt(all).map_err(|error| failed(&error))?;
    let mut plain = String::new();
    reader.read_to_string(&mut plain).map_err(|error| failed(&error))?;
    let plain = Secret::new(plain);
    // Serde's own message could quote a secret.
    let export: Export =
        serde_json::from_str(plain.expose()).map_err(|_| CliError::NoExport { path: path.to_owned() })?;
    if export.helix_secrets_export == VERSION { Ok(export) } else { Err(CliError::NoExport { path: path.to_owned() }) }
}
