//! The unguessable part of a session's URL.

use std::fmt;
use std::fmt::Write as _;

/// Names a WHIP or WHEP session: 128 bits of the caller's entropy, in a URL 32 hexadecimal digits (RFC 9725 §5).
///
/// Whoever knows it may change and end the session, so `Debug` shows its first byte only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads what `Display` writes: 32 hexadecimal digits, small letters only.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(character.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, ..] = self.0;
        f.write_str("SessionId(")?;
        write!(f, "{first:02x}")?;
        f.write_char('…')?;
        f.write_char(')')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_reads_back_what_it_writes_and_nothing_else() {
        let id = SessionId::new([
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa0, 0xb1, 0xc2, 0xd3, 0xe4, 0xff,
        ]);
        let text = id.to_string();
        assert_eq!(text, "00010203040506070809a0b1c2d3e4ff");
        assert_eq!(SessionId::parse(&text), Some(id));
        assert_eq!(SessionId::parse(&text.to_uppercase()), None);
        assert_eq!(SessionId::parse(&text[1..]), None);
        assert_eq!(SessionId::parse(&format!("+{}", &text[1..])), None);
    }

    #[test]
    fn debug_does_not_give_the_secret_away() {
        assert_eq!(
            format!("{:?}", SessionId::new([0xab; 16])),
            "SessionId(ab…)"
        );
    }
}
