//! What WHIP and WHEP demand of an offer and that its lines alone show.

use std::fmt;

use super::route::Protocol;
use super::sdp::{IceCredentials, SdpError, Section, Sections};

/// What is expected of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferRules {
    /// Audio, and likewise video, sections at most. Default 1 (RFC 9725 §4.4.2).
    pub tracks_per_kind: usize,
    /// Whether a client may insist on being the DTLS server, as `FFmpeg` 8 does (`setup:passive`). Default
    /// true; RFC 9725 §4.4.4 knows only of clients that do not.
    pub passive_clients: bool,
}

impl Default for OfferRules {
    fn default() -> Self {
        Self {
            tracks_per_kind: 1,
            passive_clients: true,
        }
    }
}

impl OfferRules {
    /// Checks an offer and gives the credentials of the client's ICE session.
    ///
    /// # Errors
    /// When the offer breaks a rule of RFC 9725 §4.2 or §4.4, or of the draft's §4.3.5 or §4.6.
    pub fn check_offer(
        self,
        protocol: Protocol,
        body: &[u8],
    ) -> Result<IceCredentials, OfferError> {
        let sdp = Sections::parse(body)?;
        if !is_description(&sdp) {
            return Err(OfferError::NotADescription);
        }
        self.check_tracks(&sdp)?;
        check_bundle(&sdp)?;
        for section in live(&sdp) {
            let direction = direction(&sdp, section);
            let fits = match protocol {
                Protocol::Whip => matches!(direction, "sendonly" | "sendrecv"),
                Protocol::Whep => matches!(direction, "recvonly" | "sendrecv"),
            };
            if !fits {
                return Err(OfferError::Direction);
            }
        }
        let role_fits = match sdp.transport("setup") {
            None | Some("actpass" | "active") => true,
            Some(role) => role == "passive" && self.passive_clients,
        };
        if !role_fits {
            return Err(OfferError::SetupRole);
        }
        check_transport(&sdp)
    }

    fn check_tracks(self, sdp: &Sections<'_>) -> Result<(), OfferError> {
        let of_kind = |kind| live(sdp).filter(|section| section.kind() == kind).count();
        let (audio, video) = (of_kind("audio"), of_kind("video"));
        if audio == 0 && video == 0 {
            return Err(OfferError::NoMedia);
        }
        if audio > self.tracks_per_kind || video > self.tracks_per_kind {
            return Err(OfferError::TooManyTracks);
        }
        // A `-` says that a track is in no stream (RFC 8830 §2).
        let mut streams = live(sdp)
            .flat_map(|section| section.attributes("msid"))
            .filter_map(|value| value.split(' ').next())
            .filter(|stream| *stream != "-");
        let first = streams.next();
        if streams.any(|stream| Some(stream) != first) {
            return Err(OfferError::SeveralMediaStreams);
        }
        Ok(())
    }
}

/// Checks the answer to a counter-offer (draft §4.3.2, §4.3.5) and gives the credentials in it.
pub(crate) fn check_answer(body: &[u8]) -> Result<IceCredentials, OfferError> {
    let sdp = Sections::parse(body)?;
    if !is_description(&sdp) {
        return Err(OfferError::NotADescription);
    }
    let mut sections = live(&sdp).peekable();
    if sections.peek().is_none() {
        return Err(OfferError::NoMedia);
    }
    if sections.any(|section| direction(&sdp, section) != "recvonly") {
        return Err(OfferError::Direction);
    }
    check_transport(&sdp)
}

/// The lines that RFC 8866 §5 wants in every description.
fn is_description(sdp: &Sections<'_>) -> bool {
    sdp.session.opens_with(b'v') && sdp.session.has_line(b'o') && sdp.session.has_line(b's')
}

/// The sections that carry a track.
fn live<'s, 'a>(sdp: &'s Sections<'a>) -> impl Iterator<Item = &'s Section<'a>> {
    sdp.media
        .iter()
        .filter(|section| matches!(section.kind(), "audio" | "video") && !section.is_rejected())
}

fn direction(sdp: &Sections<'_>, section: &Section<'_>) -> &'static str {
    let of = |section: &Section<'_>| {
        DIRECTIONS
            .into_iter()
            .find(|name| section.attribute(name).is_some())
    };
    of(section)
        .or_else(|| of(&sdp.session))
        .unwrap_or("sendrecv")
}

/// `max-bundle` and RTCP on the same port (RFC 9725 §4.4.1).
fn check_bundle(sdp: &Sections<'_>) -> Result<(), OfferError> {
    let used = || sdp.media.iter().filter(|section| !section.is_rejected());
    if used().nth(1).is_some() {
        let bundle: Vec<_> = sdp.bundle().ok_or(OfferError::NotBundled)?.collect();
        let bundled = |section: &Section<'_>| {
            section
                .attribute("mid")
                .is_some_and(|mid| bundle.contains(&mid))
        };
        if !used().all(bundled) {
            return Err(OfferError::NotBundled);
        }
    }
    // A bundle-only section may leave it to the tagged one, as the example in RFC 9725 §4.2 does.
    let tagged_is_media = sdp
        .tagged()
        .is_some_and(|section| matches!(section.kind(), "audio" | "video"));
    let muxed = sdp.transport("rtcp-mux").is_some() || sdp.transport("rtcp-mux-only").is_some();
    if tagged_is_media && !muxed {
        return Err(OfferError::NoRtcpMux);
    }
    Ok(())
}

fn check_transport(sdp: &Sections<'_>) -> Result<IceCredentials, OfferError> {
    if sdp.transport("fingerprint").is_none() {
        return Err(OfferError::NoFingerprint);
    }
    sdp.credentials()?.ok_or(OfferError::NoIceCredentials)
}

/// Why an offer, or the answer to a counter-offer, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OfferError {
    /// It is no SDP.
    Sdp(SdpError),
    /// `v=`, `o=` or `s=` is missing (RFC 8866 §5).
    NotADescription,
    /// No ICE credentials (RFC 8839 §5.4).
    NoIceCredentials,
    /// No DTLS fingerprint (RFC 8842 §5).
    NoFingerprint,
    /// No audio and no video (RFC 9725 §4.4.2).
    NoMedia,
    /// More sections of a kind than [`OfferRules`] allow (RFC 9725 §4.4.2).
    TooManyTracks,
    /// Tracks of different media streams (RFC 9725 §4.4.2).
    SeveralMediaStreams,
    /// WHIP is sent by the client and WHEP by the server (RFC 9725 §4.2; draft §4.3.5).
    Direction,
    /// Several sections that are not all in one BUNDLE group (RFC 9725 §4.4.1).
    NotBundled,
    /// RTCP on a port of its own (RFC 9725 §4.4.1).
    NoRtcpMux,
    /// A DTLS role that the rules do not allow (RFC 9725 §4.4.4).
    SetupRole,
}

impl OfferError {
    /// 400 for what is malformed, 422 for what is well formed and not for us (RFC 9725 §4.2, §4.4.2).
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Sdp(_) | Self::NotADescription | Self::NoIceCredentials | Self::NoFingerprint => {
                400
            }
            _ => 422,
        }
    }

    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Sdp(error) => error.detail(),
            Self::NotADescription => "the SDP has no v=, o= or s= line",
            Self::NoIceCredentials => "the SDP has no ice-ufrag and ice-pwd",
            Self::NoFingerprint => "the SDP has no DTLS fingerprint",
            Self::NoMedia => "the SDP has neither audio nor video",
            Self::TooManyTracks => "the SDP has more tracks of a kind than are supported",
            Self::SeveralMediaStreams => "the tracks belong to more than one MediaStream",
            Self::Direction => "a media section has a direction that this protocol does not allow",
            Self::NotBundled => "the media sections are not all in one BUNDLE group",
            Self::NoRtcpMux => "RTP and RTCP are not multiplexed",
            Self::SetupRole => "the DTLS setup attribute names a role that is not supported",
        }
    }
}

impl From<SdpError> for OfferError {
    fn from(error: SdpError) -> Self {
        Self::Sdp(error)
    }
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for OfferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sdp(error) => Some(error),
            _ => None,
        }
    }
}

const DIRECTIONS: [&str; 4] = ["sendonly", "recvonly", "sendrecv", "inactive"];
