//! Strong entity tags, one per ICE session, and the `If-Match` that must name them.

use std::fmt;

/// Names one ICE session of a resource (RFC 9725 §4.3.1): a nonce of the session and the number of its restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntityTag {
    nonce: u64,
    restarts: u32,
}

impl EntityTag {
    pub(crate) const fn new(nonce: u64) -> Self {
        Self { nonce, restarts: 0 }
    }

    /// The tag of the next ICE session.
    pub(crate) const fn next(self) -> Self {
        Self {
            restarts: self.restarts.saturating_add(1),
            ..self
        }
    }

    /// What `If-Match` says of this tag, by the strong comparison of RFC 9110 §8.8.3.2 and §13.1.1.
    pub(crate) fn matched_by(self, if_match: &str) -> Match {
        // RFC 9725 shows the wildcard in quotes in its own example of a restart, so clients send it so.
        if matches!(if_match, "*" | "\"*\"") {
            return Match::Any;
        }
        let own = self.to_string();
        let named = if_match
            .split(',')
            .take(MAX_TAGS)
            .any(|tag| tag.trim() == own);
        if named { Match::Named } else { Match::Stale }
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:016x}-{:x}\"", self.nonce, self.restarts)
    }
}

/// How a precondition fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// `*`.
    Any,
    /// This very tag is listed.
    Named,
    /// Only other tags, weak ones, or no tags at all.
    Stale,
}

/// A list of tags is a list of ICE sessions, of which a client knows a few.
const MAX_TAGS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_strong_tag_or_a_wildcard_matches() {
        let tag = EntityTag::new(0xbeef);
        for (if_match, expected) in [
            ("\"000000000000beef-0\"", Match::Named),
            ("\"old\", \"000000000000beef-0\"", Match::Named),
            ("*", Match::Any),
            ("\"*\"", Match::Any),
            ("W/\"000000000000beef-0\"", Match::Stale),
            ("000000000000beef-0", Match::Stale),
            ("\"000000000000beef-1\"", Match::Stale),
            ("", Match::Stale),
        ] {
            assert_eq!(tag.matched_by(if_match), expected, "{if_match}");
        }
    }

    #[test]
    fn restart_makes_the_old_tag_stale() {
        let old = EntityTag::new(7);
        assert_eq!(old.next().matched_by(&old.to_string()), Match::Stale);
    }
}
