//! Rotation of certificate authorities: the next ones beside those of the bundle, and how far the machines have come.
//!
//! The bundle itself is never changed. What a machine is told, and by what Helix and its users are known, follows from
//! the bundle and the rotation together ([`Rotation::applied_to`]). At every stage each machine accepts whoever is known
//! by the stage before and by the stage after, so that machines may go from one to the next in any order. Rotated are
//! the authorities of Talos' API and of the Kubernetes API: those that Talos can exchange under a running cluster.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CertificateAuthority, Secret, SecretBundle};

/// Certificates that are accepted beside those of the authorities that issue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedAuthorities {
    /// Of Talos' API, PEM.
    pub os: Vec<String>,
    /// Of the Kubernetes API, PEM.
    pub kubernetes: Vec<String>,
}

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RotationStage {
    /// The old authorities issue; machines come to accept the new ones, too.
    Accept,
    /// The new authorities issue; the old ones are still accepted.
    Issue,
    /// The old ones are accepted no longer.
    Retire,
    /// Every machine knows the new ones alone.
    Done,
}

impl RotationStage {
    /// The stage after this one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Accept => Some(Self::Issue),
            Self::Issue => Some(Self::Retire),
            Self::Retire => Some(Self::Done),
            Self::Done => None,
        }
    }
}

impl fmt::Display for RotationStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "the new authorities are made known",
            Self::Issue => "the new authorities issue",
            Self::Retire => "the old authorities are retired",
            Self::Done => "the authorities are rotated",
        })
    }
}

/// The authorities that are rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// Of Talos' API.
    pub os: CertificateAuthority,
    /// Of the Kubernetes API.
    pub kubernetes: CertificateAuthority,
}

/// What is known of a rotation without holding its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationFacts {
    /// What asked for it: the value of the annotation `helix.dev/rotate-ca`.
    pub request: String,
    /// How far it has come.
    pub stage: RotationStage,
    /// When it came there.
    pub since: Timestamp,
}

/// A rotation, from its beginning on: once it is done it says which authorities are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// What may be known of it.
    pub facts: RotationFacts,
    /// The authorities that it takes out of force; kept until it is done.
    pub old: Authorities,
    /// Those that it puts in their place.
    pub new: Authorities,
}

/// A text that is no rotation; says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a rotation of authorities as Helix writes it")]
pub struct NotARotation;

impl Rotation {
    /// The beginning of a rotation that puts `new` in place of what the bundle has in force.
    #[must_use]
    pub fn begin(request: &str, bundle: &SecretBundle, new: Authorities, now: Timestamp) -> Self {
        let facts = RotationFacts { request: request.to_owned(), stage: RotationStage::Accept, since: now };
        let old = Authorities { os: bundle.os_ca.clone(), kubernetes: bundle.kubernetes_ca.clone() };
        Self { facts, old, new }
    }

    /// The same, come to that stage.
    #[must_use]
    pub fn at(&self, stage: RotationStage, now: Timestamp) -> Self {
        let facts = RotationFacts { stage, since: now, request: self.facts.request.clone() };
        Self { facts, ..self.clone() }
    }

    /// What is in force at a stage.
    #[must_use]
    pub fn applied_to(&self, bundle: &SecretBundle, stage: RotationStage) -> SecretBundle {
        let accepting = |others: &Authorities| AcceptedAuthorities {
            os: vec![others.os.certificate.clone()],
            kubernetes: vec![others.kubernetes.certificate.clone()],
        };
        let (issuing, accepted) = match stage {
            RotationStage::Accept => (&self.old, accepting(&self.new)),
            RotationStage::Issue => (&self.new, accepting(&self.old)),
            RotationStage::Retire | RotationStage::Done => (&self.new, AcceptedAuthorities::default()),
        };
        let (os_ca, kubernetes_ca) = (issuing.os.clone(), issuing.kubernetes.clone());
        SecretBundle { os_ca, kubernetes_ca, accepted, ..bundle.clone() }
    }

    /// What is in force now.
    #[must_use]
    pub fn in_force(&self, bundle: &SecretBundle) -> SecretBundle {
        self.applied_to(bundle, self.facts.stage)
    }

    /// What is in force at the next stage, if there is one that changes something.
    #[must_use]
    pub fn next_in_force(&self, bundle: &SecretBundle) -> Option<SecretBundle> {
        let next = self.facts.stage.next().filter(|stage| *stage != RotationStage::Done)?;
        Some(self.applied_to(bundle, next))
    }

    /// Writes it for the store.
    ///
    /// # Errors
    /// [`NotARotation`] when the serializer fails.
    pub fn to_json(&self) -> Result<Secret, NotARotation> {
        let form = Form {
            facts: self.facts.clone(),
            old: AuthoritiesForm::of(&self.old),
            new: AuthoritiesForm::of(&self.new),
        };
        serde_json::to_string(&form).map(Secret::new).map_err(|_| NotARotation)
    }

    /// Reads what [`Self::to_json`] has written.
    ///
    /// # Errors
    /// [`NotARotation`].
    pub fn from_json(text: &str) -> Result<Self, NotARotation> {
        let form: Form = serde_json::from_str(text).map_err(|_| NotARotation)?;
        Ok(Self { facts: form.facts, old: form.old.read()?, new: form.new.read()? })
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(flatten)]
    facts: RotationFacts,
    old: AuthoritiesForm,
    new: AuthoritiesForm,
}

#[derive(Serialize, Deserialize)]
struct AuthoritiesForm {
    os: PairForm,
    kubernetes: PairForm,
}

#[derive(Serialize, Deserialize)]
struct PairForm {
    crt: String,
    key: String,
}

impl AuthoritiesForm {
    fn of(authorities: &Authorities) -> Self {
        let pair = |it: &CertificateAuthority| PairForm {
            crt: STANDARD.encode(&it.certificate),
            key: STANDARD.encode(it.key.expose()),
        };
        Self { os: pair(&authorities.os), kubernetes: pair(&authorities.kubernetes) }
    }

    fn read(self) -> Result<Authorities, NotARotation> {
        let text = |encoded: String| {
            let bytes = STANDARD.decode(encoded).map_err(|_| NotARotation)?;
            String::from_utf8(bytes).map_err(|_| NotARotation)
        };
        let pair = |form: PairForm| {
            let certificate = text(form.crt)?;
            Ok(CertificateAuthority { certificate, key: Secret::new(text(form.key)?) })
        };
        Ok(Authorities { os: pair(self.os)?, kubernetes: pair(self.kubernetes)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::machine_config::tests::plain_bundle;

    fn authorities(name: &str) -> Authorities {
        let authority = |of: &str| CertificateAuthority {
            certificate: format!("{name} {of}"),
            key: Secret::new(format!("key of {name} {of}")),
        };
        Authorities { os: authority("os"), kubernetes: authority("k8s") }
    }

    #[test]
    fn who_is_known_at_one_stage_is_known_at_its_neighbours() {
        let bundle = plain_bundle();
        let rotation = Rotation::begin("now", &bundle, authorities("new"), Timestamp::UNIX_EPOCH);
        let stages = [RotationStage::Accept, RotationStage::Issue, RotationStage::Retire];
        let known = |stage: Option<RotationStage>| {
            let bundle = stage.map_or_else(|| bundle.clone(), |stage| rotation.applied_to(&bundle, stage));
            let mut accepted = bundle.accepted.os.clone();
            accepted.push(bundle.os_ca.certificate.clone());
            (bundle.os_ca.certificate.clone(), accepted)
        };
        let mut before = known(None);
        for stage in stages {
            let now = known(Some(stage));
            assert!(now.1.contains(&before.0), "{stage:?} accepts who was known before");
            assert!(
                before.1.contains(&now.0) || stage == RotationStage::Accept,
                "{stage:?} is accepted by the stage before"
            );
            before = now;
        }
        assert_eq!(before.1, ["new os"]);
    }

    #[test]
    fn it_reads_back_and_hides_its_keys() {
        let rotation = Rotation::begin("2026-11", &plain_bundle(), authorities("new"), Timestamp::UNIX_EPOCH);
        let text = rotation.to_json().unwrap();
        assert_eq!(Rotation::from_json(text.expose()), Ok(rotation.clone()));
        assert!(!format!("{rotation:?}").contains("key of"));
        assert_eq!(Rotation::from_json("{}"), Err(NotARotation));
    }

    #[test]
    fn a_bundle_is_named_by_what_it_accepts_too() {
        let bundle = plain_bundle();
        let rotation = Rotation::begin("now", &bundle, authorities("new"), Timestamp::UNIX_EPOCH);
        let stages = [RotationStage::Accept, RotationStage::Issue, RotationStage::Retire, RotationStage::Done];
        let digests = stages.map(|stage| rotation.applied_to(&bundle, stage).digest());
        let different: std::collections::BTreeSet<_> = digests.iter().chain([&bundle.digest()]).cloned().collect();
        assert_eq!(different.len(), 4, "the last stage changes nothing any more");
    }
}
