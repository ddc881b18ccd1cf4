//! Why a specification cannot be acted on: the field, the problem, and what to write instead.

use std::fmt;

use crate::components::Component;

/// One field that cannot be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Path of the field, as in `spec.workerPools[0].placements[1].serverType`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
    /// Whether the wish is fine, but Helix cannot grant it yet.
    pub not_implemented: bool,
    /// The component that it is about, where the field alone does not tell.
    pub about: Option<Component>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.problem, self.remedy)
    }
}

/// All fields that cannot be acted on. The running platform stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections(Vec<Rejection>);

impl Rejections {
    /// The rejections, in the order of the fields.
    #[must_use]
    pub fn as_slice(&self) -> &[Rejection] {
        &self.0
    }

    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        if !self.0.is_empty() && self.0.iter().all(|rejection| rejection.not_implemented) {
            "NotImplemented"
        } else {
            "InvalidSpec"
        }
    }

    pub(super) fn add(&mut self, field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Rejection {
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
            not_implemented: false,
            about: None,
        });
    }

    pub(super) fn add_about(
        &mut self,
        component: Component,
        field: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(field, problem, remedy);
        if let Some(last) = self.0.last_mut() {
            last.about = Some(component);
        }
    }

    pub(super) fn not_implemented(&mut self, field: impl Into<String>, what: &str, remedy: &str) {
        self.0.push(Rejection {
            field: field.into(),
            problem: format!("{what} is not implemented yet"),
            remedy: remedy.to_owned(),
            not_implemented: true,
            about: None,
        });
    }

    pub(super) fn into_vec(self) -> Vec<Rejection> {
        self.0
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rejection) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            rejection.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejections {}
