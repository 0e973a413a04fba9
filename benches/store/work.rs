//! What a request wants of a store, or of the library on it.

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Load,
    Touch,
    Update,
    Create,
    End,
    Unknown,
    Resume,
    Access,
    AccessNowAndThen,
    Commit,
    Start,
    LogOut,
    UnknownToken,
    ForgedToken,
}

impl Work {
    pub(crate) const ALL: [(&'static str, Self); 14] = [
        ("load", Self::Load),
        ("load, touch", Self::Touch),
        ("load, update", Self::Update),
        ("create", Self::Create),
        ("end", Self::End),
        ("unknown", Self::Unknown),
        ("library: resume", Self::Resume),
        ("library: resume, touch", Self::Access),
        ("library: resume, touch if worth it", Self::AccessNowAndThen),
        ("library: resume, change, commit", Self::Commit),
        ("library: start, commit", Self::Start),
        ("library: end", Self::LogOut),
        ("library: unknown token", Self::UnknownToken),
        ("library: forged token", Self::ForgedToken),
    ];

    /// What makes the sessions that it ends.
    pub(crate) fn needs(self) -> Option<Self> {
        match self {
            Self::End => Some(Self::Create),
            Self::LogOut => Some(Self::Start),
            _ => None,
        }
    }

    /// What ends the sessions that it makes.
    pub(crate) fn leaves(self) -> Option<Self> {
        match self {
            Self::Create => Some(Self::End),
            Self::Start => Some(Self::LogOut),
            _ => None,
        }
    }
}
