//! Who wants what, as the authorizer gets to see it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use sluice_media::StreamKey;

/// Over what a publisher or a reader came: a name for events and metrics, never a switch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Protocol(Cow<'static, str>);

impl Protocol {
    /// RTMP and RTMPS.
    pub const RTMP: Self = Self(Cow::Borrowed("rtmp"));
    /// RTSP and RTSPS.
    pub const RTSP: Self = Self(Cow::Borrowed("rtsp"));
    /// SRT.
    pub const SRT: Self = Self(Cow::Borrowed("srt"));
    /// MPEG-TS over UDP.
    pub const UDP_TS: Self = Self(Cow::Borrowed("udpTs"));
    /// WHIP (RFC 9725).
    pub const WHIP: Self = Self(Cow::Borrowed("whip"));
    /// WHEP (draft-ietf-wish-whep).
    pub const WHEP: Self = Self(Cow::Borrowed("whep"));
    /// HLS and DASH.
    pub const HLS: Self = Self(Cow::Borrowed("hls"));
    /// A room of this process.
    pub const ROOM: Self = Self(Cow::Borrowed("room"));
    /// Another Sluice.
    pub const RELAY: Self = Self(Cow::Borrowed("relay"));
    /// Recordings over HTTP.
    pub const PLAYBACK: Self = Self(Cow::Borrowed("playback"));
    /// A recorder.
    pub const RECORD: Self = Self(Cow::Borrowed("record"));
    /// The application itself.
    pub const APPLICATION: Self = Self(Cow::Borrowed("application"));

    /// An application's own protocol. What is beyond 32 characters of the name is cut off.
    pub fn new(name: &str) -> Self {
        Self(Cow::Owned(name.chars().take(32).collect()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Who somebody is to the authorizer: a user, a token's subject, an encoder's serial number. Compared, never read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// An identity by its name, whatever that is.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.0)
    }
}

/// What somebody shows to be let in. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A user name.
    pub user: Option<Box<str>>,
    /// A password.
    pub password: Option<Box<str>>,
    /// A bearer token.
    pub token: Option<Box<str>>,
    /// The query of the URL, as it was written.
    pub query: Option<Box<str>>,
}

impl Credentials {
    pub(crate) fn len(&self) -> usize {
        let parts = [&self.user, &self.password, &self.token, &self.query];
        parts.into_iter().flatten().map(|part| part.len()).sum()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What one may be admitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Write a stream.
    Publish,
    /// Read a stream.
    Play,
    /// Read recordings of a stream, which need not be live.
    Playback,
}

/// A wish to publish or to play, put before the authorizer. At most 8 KiB of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Which stream.
    pub key: StreamKey,
    /// Who asks, where the protocol has shown that already; the verdict may name somebody else.
    pub identity: Option<Identity>,
    /// Over what.
    pub protocol: Protocol,
    /// From where.
    pub address: Option<SocketAddr>,
    /// With what.
    pub credentials: Credentials,
}

impl AccessRequest {
    /// A wish without credentials.
    pub const fn new(key: StreamKey, protocol: Protocol) -> Self {
        Self {
            key,
            identity: None,
            protocol,
            address: None,
            credentials: Credentials {
                user: None,
                password: None,
                token: None,
                query: None,
            },
        }
    }
}

/// A wish to publish.
pub type PublishRequest = AccessRequest;
/// A wish to play.
pub type PlayRequest = AccessRequest;

/// What the authorizer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Let in.
    Allow {
        /// Who it is; `None` keeps what the request says. A publisher without identity is the same as no other: it takes
        /// no key that is held, and holds its own as long as it sends: after 2 s of silence the next one has it.
        identity: Option<Identity>,
    },
    /// Refused.
    Deny {
        /// Why.
        reason: Denial,
    },
}

/// Why an authorizer refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Denial {
    /// Credentials are missing or wrong: others may help.
    BadCredentials,
    /// They were right once.
    Expired,
    /// Known, but not allowed to do this.
    NotAllowed,
    /// The authorizer itself failed.
    Unavailable,
    /// It did not answer in time.
    Silent,
}
