//! Opaque identities of a room's members and their tracks.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A peer, unique in the process and never used again.
///
/// The number is chosen by whoever owns the registries (`server` packs the shard into it), so
/// that a registry never needs a counter shared with another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(u64);

/// A published track, unique in the process and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(u64);

impl ClientId {
    /// Makes an id from the number its owner chose.
    pub fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number this id was made from.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The id of the `n`th track this client publishes over its life.
    pub(crate) fn track(self, n: u16) -> TrackId {
        TrackId((self.0 << 16) | u64::from(n))
    }
}

impl TrackId {
    /// The client that publishes this track.
    pub fn client(self) -> ClientId {
        ClientId(self.0 >> 16)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:x}", self.0)
    }
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{:x}", self.0)
    }
}

impl FromStr for ClientId {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        parse(s, 'c').map(Self)
    }
}

impl FromStr for TrackId {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        parse(s, 't').map(Self)
    }
}

/// A string that is no id of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of this server")
    }
}

impl std::error::Error for InvalidId {}

impl From<ParseIntError> for InvalidId {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

fn parse(s: &str, prefix: char) -> Result<u64, InvalidId> {
    let digits = s.strip_prefix(prefix).ok_or(InvalidId)?;
    if digits.starts_with('+') {
        return Err(InvalidId);
    }
    Ok(u64::from_str_radix(digits, 16)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let client = ClientId::new(0x12_3456);
        assert_eq!(client.to_string().parse(), Ok(client));
        let track = client.track(7);
        assert_eq!(track.to_string().parse(), Ok(track));
        assert_eq!(track.client(), client);
    }

    #[test]
    fn foreign_text_is_no_id() {
        for text in ["", "c", "t12", "c+1", "cxyz", "c11111111111111111"] {
            assert_eq!(text.parse::<ClientId>(), Err(InvalidId), "{text}");
        }
    }
}
