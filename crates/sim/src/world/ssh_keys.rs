//! SSH keys: kept by name and fingerprint, both unique. Talos ignores them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use md5::{Digest, Md5};

use super::World;
use super::error::{ApiError, ApiResult};
use super::ids::{ProjectId, SshKeyId};
use super::labels::Labels;
use super::project::{self, Meta, Project, Update};

/// An SSH key, by its public half.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// Its number.
    pub id: SshKeyId,
    /// Name, labels, age.
    pub meta: Meta,
    /// In OpenSSH's one-line format.
    pub public_key: String,
    /// MD5 of the key, as `ssh-keygen -E md5` shows it.
    pub fingerprint: String,
}

impl Project {
    pub(super) fn ssh_key_named(&self, name_or_id: &str) -> ApiResult<SshKeyId> {
        let named = |key: &&SshKey| key.meta.name == name_or_id || key.id.to_string() == name_or_id;
        self.ssh_keys.values().find(named).map(|key| key.id).ok_or_else(|| ApiError::not_found("ssh_key", name_or_id))
    }
}

impl World {
    /// Adds a key.
    ///
    /// # Errors
    /// `invalid_input`, `uniqueness_error` about the name or the key.
    pub fn create_ssh_key(
        &mut self,
        project: ProjectId,
        name: &str,
        public_key: &str,
        labels: Labels,
        now: Timestamp,
    ) -> ApiResult<SshKeyId> {
        self.advance(now);
        let fingerprint =
            fingerprint(public_key).ok_or_else(|| ApiError::invalid("public_key", "is not an OpenSSH public key"))?;
        let keys = &self.project(project).ssh_keys;
        project::check_new(keys, name, &labels)?;
        if keys.values().any(|key| key.fingerprint == fingerprint) {
            return Err(ApiError::not_unique("SSH key", "public_key"));
        }
        let id = SshKeyId(self.next_id());
        let meta = Meta::new(name.to_owned(), labels, self.now());
        let key = SshKey { id, meta, public_key: public_key.trim().to_owned(), fingerprint };
        self.project_mut(project).ssh_keys.insert(id, key);
        Ok(id)
    }

    /// Changes name or labels.
    ///
    /// # Errors
    /// `not_found`, `uniqueness_error`, `invalid_input`.
    pub fn update_ssh_key(
        &mut self,
        project: ProjectId,
        id: SshKeyId,
        update: Update,
        now: Timestamp,
    ) -> ApiResult<()> {
        self.advance(now);
        project::update(&mut self.project_mut(project).ssh_keys, id, update)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// `not_found`.
    pub fn delete_ssh_key(&mut self, project: ProjectId, id: SshKeyId, now: Timestamp) -> ApiResult<()> {
        self.advance(now);
        project::find(&self.project(project).ssh_keys, id)?;
        self.project_mut(project).ssh_keys.remove(&id);
        Ok(())
    }
}

/// The MD5 fingerprint of an OpenSSH public key whose body names the same algorithm as its head.
fn fingerprint(public_key: &str) -> Option<String> {
    let mut parts = public_key.split_whitespace();
    let (algorithm, body) = (parts.next()?, STANDARD.decode(parts.next()?).ok()?);
    let length = u32::from_be_bytes(body.get(..4)?.try_into().ok()?);
    let inner = body.get(4..4_usize.checked_add(usize::try_from(length).ok()?)?)?;
    let octets = Md5::digest(&body);
    let text: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    (inner == algorithm.as_bytes()).then(|| text.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl x";
        assert_eq!(fingerprint(key).as_deref(), Some("65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd"));
        for wrong in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMqqg=="] {
            assert_eq!(fingerprint(wrong), None, "{wrong}");
        }
    }
}
