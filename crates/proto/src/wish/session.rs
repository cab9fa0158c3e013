//! What the machine keeps of a session.

use std::fmt::Write as _;
use std::time::Instant;

use sluice_media::StreamKey;

use super::candidate::Candidate;
use super::entity_tag::EntityTag;
use super::event_stream::EventStream;
use super::fragment::SdpFragment;
use super::route::Protocol;
use super::sdp::{IceCredentials, Sections};
use super::session_id::SessionId;

#[derive(Debug)]
pub(crate) struct Session {
    /// Of the URL by which it was made.
    pub(crate) prefix: Box<str>,
    pub(crate) key: StreamKey,
    pub(crate) protocol: Protocol,
    pub(crate) tag: EntityTag,
    /// The client's username fragment of the current ICE session; empty until a counter-offer is answered.
    pub(crate) remote_ufrag: Box<str>,
    pub(crate) answer_until: Option<Instant>,
    pub(crate) local: LocalIce,
    pub(crate) event_streams: Vec<EventStream>,
    /// The number of the event stream made last.
    pub(crate) last_event_stream: u32,
}

impl Session {
    /// Its URL, as `Location` has it.
    pub(crate) fn url(&self, id: SessionId) -> String {
        let (prefix, protocol) = (&self.prefix, self.protocol.as_str());
        format!("{prefix}/{}/{protocol}/{id}", self.key)
    }

    /// Whether a fragment is of another ICE session than the current one (RFC 9725 §4.3.3).
    ///
    /// The username fragment decides: RFC 9725 itself shows a trickled fragment whose password is not the offer's.
    pub(crate) fn is_restart(&self, fragment: &SdpFragment) -> bool {
        fragment
            .credentials()
            .is_some_and(|credentials| *credentials.ufrag() != *self.remote_ufrag)
    }

    pub(crate) fn event_stream(&mut self, number: u32) -> Option<&mut EventStream> {
        self.event_streams
            .iter_mut()
            .find(|stream| stream.number == number)
    }
}

/// The lines of our description that a fragment of ours repeats (RFC 9725 §4.3.3).
#[derive(Debug)]
pub(crate) struct LocalIce {
    lines: Box<str>,
    mid: Box<str>,
}

impl LocalIce {
    /// Takes them from our answer or offer.
    pub(crate) fn of(description: &str) -> Option<Self> {
        let sdp = Sections::parse(description.as_bytes()).ok()?;
        let tagged = sdp.tagged()?;
        let mut lines = String::new();
        if sdp.session.attribute("ice-lite").is_some() {
            lines.push_str("a=ice-lite\r\n");
        }
        for name in ["ice-options", "ice-pacing"] {
            if let Some(value) = sdp.transport(name) {
                write!(lines, "a={name}:{value}\r\n").ok()?;
            }
        }
        if let Some(group) = sdp.session.attribute("group") {
            write!(lines, "a=group:{group}\r\n").ok()?;
        }
        write!(lines, "m={}\r\n", tagged.media).ok()?;
        Some(Self {
            lines: lines.into(),
            mid: tagged.attribute("mid").unwrap_or_default().into(),
        })
    }

    /// The fragment that answers a restart: we have no more candidates than these.
    pub(crate) fn fragment(
        &self,
        credentials: &IceCredentials,
        candidates: &[Candidate],
    ) -> String {
        let mut text = self.lines.to_string();
        if !self.mid.is_empty() {
            text.extend(["a=mid:", &self.mid, "\r\n"]);
        }
        text.extend(["a=ice-ufrag:", credentials.ufrag(), "\r\n"]);
        text.extend(["a=ice-pwd:", credentials.pwd(), "\r\n"]);
        for candidate in candidates {
            text.extend(["a=", candidate.as_str(), "\r\n"]);
        }
        text.push_str("a=end-of-candidates\r\n");
        text
    }
}
