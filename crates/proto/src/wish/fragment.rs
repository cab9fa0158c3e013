//! `application/trickle-ice-sdpfrag` (RFC 8840 §9).

use std::fmt;

use super::candidate::{Candidate, CandidateError};
use super::sdp::{IceCredentials, SdpError, Section, Sections};

/// What a PATCH says about ICE: credentials and candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdpFragment {
    credentials: Option<IceCredentials>,
    media: Vec<FragmentMedia>,
    end_of_candidates: bool,
    discarded: usize,
}

impl SdpFragment {
    /// Reads a fragment of at most `max_bytes`.
    ///
    /// Candidates that cannot be used are counted and left out (RFC 9725 §4.3.2).
    ///
    /// # Errors
    /// When it is too long, no SDP, has a malformed candidate, more than 256 candidates, nothing at all,
    /// or sections of different credentials.
    pub fn parse(body: &[u8], max_bytes: usize) -> Result<Self, FragmentError> {
        if body.len() > max_bytes {
            return Err(FragmentError::TooLong);
        }
        let sections = Sections::parse(body)?;
        let mut fragment = Self {
            credentials: read_credentials(&sections.session)?,
            media: Vec::with_capacity(sections.media.len()),
            end_of_candidates: is_last(&sections.session),
            discarded: 0,
        };
        let mut left = MAX_CANDIDATES;
        // Candidates belong into a media section; some clients leave the section out where there is one transport.
        let bare = [&sections.session]
            .into_iter()
            .filter(|section| section.attribute("candidate").is_some());
        for section in bare.chain(&sections.media) {
            if let Some(credentials) = read_credentials(section)? {
                match &fragment.credentials {
                    // Everything is bundled, so there is one transport.
                    Some(known) if *known != credentials => {
                        return Err(FragmentError::SeveralTransports);
                    }
                    _ => fragment.credentials = Some(credentials),
                }
            }
            let mut candidates = Vec::new();
            for value in section.attributes("candidate") {
                left = left
                    .checked_sub(1)
                    .ok_or(FragmentError::TooManyCandidates)?;
                match Candidate::from_value(value) {
                    Ok(candidate) => candidates.push(candidate),
                    Err(CandidateError::Malformed) => return Err(FragmentError::Candidate),
                    Err(_) => fragment.discarded = fragment.discarded.saturating_add(1),
                }
            }
            fragment.media.push(FragmentMedia {
                mid: section.attribute("mid").map(Into::into),
                candidates,
                end_of_candidates: is_last(section),
            });
        }
        let says_nothing = fragment.credentials.is_none()
            && fragment.media.is_empty()
            && !fragment.end_of_candidates;
        if says_nothing {
            return Err(FragmentError::Empty);
        }
        Ok(fragment)
    }

    /// The credentials, where the fragment names any.
    pub const fn credentials(&self) -> Option<&IceCredentials> {
        self.credentials.as_ref()
    }

    /// Its media sections; candidates that stand in none are in one without mid.
    pub fn media(&self) -> &[FragmentMedia] {
        &self.media
    }

    /// All usable candidates in order.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.media.iter().flat_map(|media| &media.candidates)
    }

    /// Whether no more candidates follow, for all sections (RFC 8840 §8.2) or for one.
    pub fn end_of_candidates(&self) -> bool {
        self.end_of_candidates || self.media.iter().any(|media| media.end_of_candidates)
    }

    /// How many candidates were left out: a name instead of an address, or neither UDP nor TCP.
    pub const fn discarded(&self) -> usize {
        self.discarded
    }
}

/// One media section of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FragmentMedia {
    /// The section's mid, where it names one.
    pub mid: Option<Box<str>>,
    /// Its usable candidates.
    pub candidates: Vec<Candidate>,
    /// Whether no more follow for this section.
    pub end_of_candidates: bool,
}

fn read_credentials(section: &Section<'_>) -> Result<Option<IceCredentials>, SdpError> {
    IceCredentials::read(section.attribute("ice-ufrag"), section.attribute("ice-pwd"))
}

fn is_last(section: &Section<'_>) -> bool {
    section.attribute("end-of-candidates").is_some()
}

/// Why bytes are no [`SdpFragment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FragmentError {
    /// More bytes than the caller allows.
    TooLong,
    /// It is no SDP.
    Sdp(SdpError),
    /// A candidate breaks its grammar.
    Candidate,
    /// More than 256 candidates.
    TooManyCandidates,
    /// Sections name different credentials, though all media is bundled (RFC 9725 §4.4.1).
    SeveralTransports,
    /// Neither credentials nor a section nor an end.
    Empty,
}

impl FragmentError {
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::TooLong => "the SDP fragment is too long",
            Self::Sdp(error) => error.detail(),
            Self::Candidate => "a candidate breaks the grammar of RFC 8839",
            Self::TooManyCandidates => "the SDP fragment has too many candidates",
            Self::SeveralTransports => "the sections of a bundle name different ICE credentials",
            Self::Empty => "the SDP fragment says nothing",
        }
    }
}

impl From<SdpError> for FragmentError {
    fn from(error: SdpError) -> Self {
        Self::Sdp(error)
    }
}

impl fmt::Display for FragmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for FragmentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sdp(error) => Some(error),
            _ => None,
        }
    }
}

/// Interfaces times addresses times transports of a well-connected host, with room.
const MAX_CANDIDATES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TRICKLE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:1 1 udp 1 abc.local 61764 typ host\r\na=end-of-candidates\r\n";

    fn parse(text: &str) -> Result<SdpFragment, FragmentError> {
        SdpFragment::parse(text.as_bytes(), 16 * 1024)
    }

    #[test]
    fn fragment_of_the_rfc_is_read() {
        let fragment = parse(TRICKLE).unwrap();
        assert_eq!(fragment.credentials().unwrap().ufrag(), "EsAw");
        assert_eq!(fragment.media()[0].mid.as_deref(), Some("0"));
        assert_eq!(fragment.candidates().next().unwrap().port(), 61764);
        assert_eq!(fragment.candidates().count(), 1);
        assert_eq!(fragment.discarded(), 1);
        assert!(fragment.end_of_candidates());
    }

    #[test]
    fn candidates_outside_a_section_are_read_too() {
        let bare = "a=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\n";
        let fragment = parse(bare).unwrap();
        assert_eq!(fragment.candidates().count(), 1);
        assert_eq!(fragment.media()[0].mid, None);
    }

    #[test]
    fn every_error_has_its_fragment() {
        let many = format!(
            "m=audio 9 X 0\n{}",
            "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\n".repeat(257)
        );
        let two = format!(
            "{TRICKLE}m=video 9 X 0\na=ice-ufrag:other\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n"
        );
        for (text, error) in [
            ("", FragmentError::Empty),
            ("a=ice-lite\r\n", FragmentError::Empty),
            ("hello", FragmentError::Sdp(SdpError::NotALine)),
            (
                "a=ice-ufrag:EsAw\n",
                FragmentError::Sdp(SdpError::IceCredentials),
            ),
            (
                "a=ice-ufrag:EsAw\na=ice-pwd:short\n",
                FragmentError::Sdp(SdpError::IceCredentials),
            ),
            (
                "m=audio 9 X 0\na=candidate:what\n",
                FragmentError::Candidate,
            ),
            (&many, FragmentError::TooManyCandidates),
            (&two, FragmentError::SeveralTransports),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(
            SdpFragment::parse(TRICKLE.as_bytes(), 9).unwrap_err(),
            FragmentError::TooLong
        );
    }
}
