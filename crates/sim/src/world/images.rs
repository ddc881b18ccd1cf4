//! Images: the Talos snapshots that a project starts with.

use jiff::Timestamp;

use super::World;
use super::catalogue::Architecture;
use super::error::{ApiError, ApiResult};
use super::ids::{ImageId, ProjectId};
use super::labels::{self, Labels};
use super::power::BootImage;
use super::project::{self, Meta, Project};

/// Label of the Talos version in an image.
pub const TALOS_VERSION_LABEL: &str = "helix.dev/talos-version";
/// Label of the schematic of an image: the first 32 digits, since label values end at 63 characters and ids have 64.
pub const SCHEMATIC_LABEL: &str = "helix.dev/schematic";
/// The version that the first snapshots hold.
pub const TALOS_VERSION: &str = "v1.13.9";
/// The schematic without extensions (SHA-256 of Image Factory's empty customization), as far as the label holds it.
pub const SCHEMATIC: &str = "376567988ad370138ad8b2698212367b";

/// The schematic with what Longhorn needs, as far as the label holds it.
pub const SCHEMATIC_FOR_LONGHORN: &str = "613e1592b2da41ae5e265e8789429f22";

/// The extensions that a schematic asks for; none of one that the simulator does not know. `schematic` is the id, or as
/// much of it as a label holds.
#[must_use]
pub fn extensions_of(schematic: &str) -> &'static [&'static str] {
    if schematic.starts_with(SCHEMATIC_FOR_LONGHORN) { &["iscsi-tools", "util-linux-tools"] } else { &[] }
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its number.
    pub id: ImageId,
    /// Labels, age, protection. Snapshots have no name on the wire: here it is the description.
    pub meta: Meta,
    /// Which servers can boot it.
    pub architecture: Architecture,
    /// Size of the disk that it was made from, in GB.
    pub disk_gb: u32,
    /// Size of the image, in hundredths of a GB.
    pub size_centi_gb: u32,
}

impl Image {
    /// What a disk made from it holds, by its labels.
    #[must_use]
    pub fn boot_image(&self) -> BootImage {
        let label = |key: &str| self.meta.labels.get(key).cloned();
        BootImage { talos_version: label(TALOS_VERSION_LABEL), schematic: label(SCHEMATIC_LABEL) }
    }
}

impl Project {
    /// The image of that number (or description) that boots on `architecture`.
    pub(super) fn image_named(&self, name_or_id: &str, architecture: Architecture) -> ApiResult<ImageId> {
        let named = |image: &&Image| image.id.to_string() == name_or_id || image.meta.name == name_or_id;
        let image = self.images.values().find(named).ok_or_else(|| ApiError::not_found("image", name_or_id))?;
        if image.architecture != architecture {
            return Err(ApiError::invalid("image", "image architecture does not match the server type's"));
        }
        Ok(image.id)
    }
}

impl World {
    /// Adds a snapshot, as an upload does.
    ///
    /// # Errors
    /// `invalid_input` about the labels.
    pub fn add_snapshot(
        &mut self,
        project: ProjectId,
        description: &str,
        architecture: Architecture,
        labels: Labels,
    ) -> ApiResult<ImageId> {
        labels::validate(&labels)?;
        let id = ImageId(self.next_id());
        let meta = Meta::new(description.to_owned(), labels, self.now());
        let image = Image { id, meta, architecture, disk_gb: 20, size_centi_gb: 52 };
        self.project_mut(project).images.insert(id, image);
        Ok(id)
    }

    /// Changes description or labels.
    ///
    /// # Errors
    /// `not_found`, `invalid_input`.
    pub fn update_image(
        &mut self,
        project: ProjectId,
        id: ImageId,
        description: Option<String>,
        labels: Option<Labels>,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        if let Some(labels) = &labels {
            labels::validate(labels)?;
        }
        let meta = &mut project::find_mut(&mut self.project_mut(project).images, id)?.meta;
        meta.name = description.unwrap_or_else(|| meta.name.clone());
        meta.labels = labels.unwrap_or_else(|| meta.labels.clone());
        Ok(())
    }

    /// Deletes an image. Servers made from it don't mind.
    ///
    /// # Errors
    /// `not_found`, `protected`.
    pub fn delete_image(&mut self, project: ProjectId, id: ImageId, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        project::check_deletable(project::find(&self.project(project).images, id)?)?;
        self.project_mut(project).images.remove(&id);
        Ok(())
    }

    pub(super) fn add_talos_snapshots(&mut self, project: ProjectId) {
        for schematic in [SCHEMATIC, SCHEMATIC_FOR_LONGHORN] {
            let labels = [(TALOS_VERSION_LABEL, TALOS_VERSION), (SCHEMATIC_LABEL, schematic)];
            let labels: Labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            for architecture in [Architecture::X86, Architecture::Arm] {
                let id = ImageId(self.next_id());
                let description = format!("Talos {TALOS_VERSION} {} {}", architecture.as_str(), &schematic[..8]);
                let meta = Meta::new(description, labels.clone(), self.now());
                let image = Image { id, meta, architecture, disk_gb: 20, size_centi_gb: 52 };
                self.project_mut(project).images.insert(id, image);
            }
        }
    }
}
