//! The two looks in which every diagram is drawn.

/// On what background a diagram is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// On white.
    Light,
    /// On nearly black.
    Dark,
}

impl Look {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// As in the names of files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}
