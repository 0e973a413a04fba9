//! A record's header: where it ends, and how its fields are read.

use tenure_store::{Error, ErrorKind, Result, Timeout, Timestamp};

/// How many bytes it has.
pub(crate) const HEADER: usize = 112;

/// A record that cannot be read.
pub(crate) fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// The fields of a header, each at its place.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let header = self.0.get(..HEADER).and_then(|bytes| bytes.get(at..at + N));
        header
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| corrupt("a session's header is too short"))
    }

    pub(crate) fn instant(&self, at: usize) -> Result<Timestamp> {
        Timestamp::from_millis(i64::from_be_bytes(self.array(at)?))
            .map_err(|_| corrupt("a session's time is out of range"))
    }

    pub(crate) fn timeout(&self, at: usize) -> Result<Option<Timeout>> {
        match i64::from_be_bytes(self.array(at)?) {
            0 => Ok(None),
            millis => Timeout::from_millis(millis)
                .map(Some)
                .map_err(|_| corrupt("a session's time-out is out of range")),
        }
    }

    pub(crate) fn length(&self, at: usize) -> Result<usize> {
        Ok(u16::from_be_bytes(self.array(at)?).into())
    }

    /// Empty if only the header was read.
    pub(crate) fn text(&self, from: usize, to: usize) -> Result<&str> {
        let bytes = match self.0.len() {
            HEADER => &[],
            _ => self
                .0
                .get(from..to)
                .ok_or_else(|| corrupt("a session's record is too short"))?,
        };
        str::from_utf8(bytes).map_err(|_| corrupt("a session's text is not UTF-8"))
    }
}
