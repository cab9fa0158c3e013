//! One ICE candidate, checked and kept as text.

use std::fmt;
use std::net::IpAddr;

/// A candidate of a kind we can use: UDP or TCP to an IP address (RFC 8839 §5.1, RFC 6544 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    text: Box<str>,
    address: IpAddr,
    port: u16,
}

impl Candidate {
    /// Reads a value as it stands behind `a=`: `candidate:1 1 udp 2130706431 192.0.2.1 9 typ host`.
    ///
    /// # Errors
    /// [`CandidateError::Malformed`] when the grammar is broken; the other two say that the candidate is well formed
    /// and of no use here, which RFC 9725 §4.3.2 wants discarded in silence.
    pub fn parse(text: &str) -> Result<Self, CandidateError> {
        let value = text
            .strip_prefix("candidate:")
            .ok_or(CandidateError::Malformed)?;
        Self::from_value(value)
    }

    pub(crate) fn from_value(value: &str) -> Result<Self, CandidateError> {
        if value.len() > MAX_BYTES {
            return Err(CandidateError::Malformed);
        }
        let mut words = value.split(' ');
        let mut word = || words.next().ok_or(CandidateError::Malformed);
        let foundation = word()?;
        let component = number::<u16>(word()?)?;
        let transport = word()?;
        number::<u32>(word()?)?;
        let address = word()?;
        let port = number::<u16>(word()?)?;
        let typ = word()?;
        let kind = word()?;
        let ice_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let well_formed = (1..=32).contains(&foundation.len())
            && foundation.bytes().all(ice_char)
            && (1..=256).contains(&component)
            && typ == "typ"
            && !kind.is_empty()
            && !address.is_empty()
            && !transport.is_empty()
            && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !well_formed {
            return Err(CandidateError::Malformed);
        }
        if !transport.eq_ignore_ascii_case("udp") && !transport.eq_ignore_ascii_case("tcp") {
            return Err(CandidateError::Transport);
        }
        let address = address.parse().map_err(|_| CandidateError::Address)?;
        Ok(Self {
            text: format!("candidate:{value}").into(),
            address,
            port,
        })
    }

    /// `candidate:...`, as it stands behind `a=` and as `RTCIceCandidate` has it.
    pub const fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the candidate is.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Its port; 9 for an active TCP candidate.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, CandidateError> {
    // `FromStr` of integers takes a sign, the grammar does not.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| CandidateError::Malformed)
    } else {
        Err(CandidateError::Malformed)
    }
}

/// Why a text gives no [`Candidate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CandidateError {
    /// It breaks the grammar, or has more than 512 bytes.
    Malformed,
    /// Neither UDP nor TCP.
    Transport,
    /// A name instead of an address, as browsers hide theirs (`.local`).
    Address,
}

impl fmt::Display for CandidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a candidate breaks the grammar of RFC 8839",
            Self::Transport => "a candidate is neither UDP nor TCP",
            Self::Address => "a candidate has a name instead of an address",
        })
    }
}

impl std::error::Error for CandidateError {}

/// Two addresses, a foundation and a few extensions.
const MAX_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_of_a_candidate() {
        for (text, expected) in [
            (
                "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1",
                None,
            ),
            (
                "candidate:47 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active",
                None,
            ),
            (
                "candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr 0.0.0.0 rport 0",
                None,
            ),
            (
                "candidate:1 1 udp 1 4d7e.local 1 typ host",
                Some(CandidateError::Address),
            ),
            (
                "candidate:1 1 sctp 1 192.0.2.1 1 typ host",
                Some(CandidateError::Transport),
            ),
            (
                "candidate:1 1 udp 1 192.0.2.1 1 typ",
                Some(CandidateError::Malformed),
            ),
            (
                "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
                Some(CandidateError::Malformed),
            ),
            (
                "candidate:1 1 udp +1 192.0.2.1 1 typ host",
                Some(CandidateError::Malformed),
            ),
            (
                "candidate:1 0 udp 1 192.0.2.1 1 typ host",
                Some(CandidateError::Malformed),
            ),
            (
                "candidate: 1 udp 1 192.0.2.1 1 typ host",
                Some(CandidateError::Malformed),
            ),
            (
                "1 1 udp 1 192.0.2.1 1 typ host",
                Some(CandidateError::Malformed),
            ),
        ] {
            assert_eq!(Candidate::parse(text).err(), expected, "{text}");
        }
    }
}
