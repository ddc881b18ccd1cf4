//! Why a component is not installed until somebody acts.

use std::fmt;

use super::wait::some;
use crate::components::Component;
use crate::components::values::UnknownKey;
use crate::observed::ObjectId;
use crate::validated::Rejection;

/// What stands in a component's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The specification cannot be acted on where it speaks of it.
    Refused(Vec<Rejection>),
    /// Its chart does not know these values.
    UnknownValues(Vec<UnknownKey>),
    /// Its chart renders what no chart may: Secrets, which Helix makes itself.
    Forbidden(Vec<ObjectId>),
    /// Its chart opens Services to the world, which is for the ingress alone.
    Exposed(Vec<ObjectId>),
    /// Another component has an object of the same name.
    ClaimedTwice {
        /// The object.
        object: ObjectId,
        /// Whose it is.
        other: Component,
    },
    /// What a Secret of it is made of is not there.
    WithoutSource {
        /// As in `key token of Secret namespace/name`.
        source: String,
        /// What it is needed for.
        purposes: Vec<&'static str>,
    },
    /// An object of the name of one of its own is there, and somebody else's.
    Foreign {
        /// The object.
        object: ObjectId,
        /// Who manages it.
        manager: String,
    },
    /// Others have set fields of its objects differently.
    Conflict {
        /// The object.
        object: ObjectId,
        /// Each field with its manager.
        fields: Vec<(String, String)>,
    },
}

impl Obstacle {
    /// A stable word for conditions and metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(rejections) if rejections.iter().all(|it| it.not_implemented) => "NotImplemented",
            Self::Refused(_) => "InvalidSpec",
            Self::UnknownValues(_) => "UnknownValue",
            Self::Forbidden(_) => "ForbiddenObject",
            Self::Exposed(_) => "ServiceExposed",
            Self::ClaimedTwice { .. } => "ClaimedTwice",
            Self::WithoutSource { .. } => "SecretMissing",
            Self::Foreign { .. } => "ForeignObject",
            Self::Conflict { .. } => "FieldConflict",
        }
    }

    /// In words, with the remedy.
    pub(super) fn tell(&self, component: Component, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(rejections) => {
                let told: Vec<String> = rejections.iter().map(ToString::to_string).collect();
                write!(f, "{}", told.join("\n"))
            }
            Self::UnknownValues(keys) => {
                let told: Vec<String> = keys.iter().map(ToString::to_string).collect();
                write!(f, "spec.components.{component}.values: {}", some(&told))
            }
            Self::Forbidden(objects) => write!(
                f,
                "the chart of {component} renders {}, which no chart may: Helix makes the Secrets itself. Take the values \
                 away that ask for it in spec.components.{component}.values",
                list(objects)
            ),
            Self::Exposed(objects) => write!(
                f,
                "the chart of {component} renders {} of type LoadBalancer or NodePort, which is for the ingress alone. \
                 Write type ClusterIP in spec.components.{component}.values, and publish it by \
                 spec.securityWeave.ingress.domains",
                list(objects)
            ),
            Self::ClaimedTwice { object, other } => write!(
                f,
                "{object} is rendered for {component} and for {other}. Switch it off in the values of one of them, in \
                 spec.components"
            ),
            Self::WithoutSource { source, purposes } => {
                write!(f, "{component} waits for {source}, which is not there")?;
                if !purposes.is_empty() {
                    write!(f, ": it is {}", purposes.join("; "))?;
                }
                write!(f, ". Create it, or take {component} out of the specification")
            }
            Self::Foreign { object, manager } => write!(
                f,
                "{object} exists and is managed by {manager}: Helix takes over nothing unasked. Delete it, or hand it over by \
                 the label helix.dev/component={component}, or switch {component} off in spec.components"
            ),
            Self::Conflict { object, fields } => {
                let told: Vec<String> = fields.iter().map(|(field, by)| format!("{field} by {by}")).collect();
                write!(
                    f,
                    "{object} of {component} has fields that others have set: {}. Let them go of these fields, or say the \
                     same in spec.components.{component}.values",
                    some(&told)
                )
            }
        }
    }
}

fn list(objects: &[ObjectId]) -> String {
    some(&objects.iter().map(ToString::to_string).collect::<Vec<_>>())
}
