//! SDP as lines: sections and attributes, without what they mean.

use std::fmt;

/// A description or a fragment of one, cut into sections (RFC 8866 §5, RFC 8840 §9.1).
#[derive(Debug)]
pub(crate) struct Sections<'a> {
    /// The lines in front of the first `m=`.
    pub(crate) session: Section<'a>,
    pub(crate) media: Vec<Section<'a>>,
}

impl<'a> Sections<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, SdpError> {
        let text = std::str::from_utf8(body).map_err(|_| SdpError::NotText)?;
        let mut session = Section::default();
        let mut media: Vec<Section<'a>> = Vec::new();
        for (count, line) in text.split_terminator('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if count >= MAX_LINES {
                return Err(SdpError::TooManyLines);
            }
            // A blank line ends nothing and says nothing; clients leave one at the end.
            if line.is_empty() {
                continue;
            }
            let (kind, value) = line.split_at_checked(2).ok_or(SdpError::NotALine)?;
            let kind = match kind.as_bytes() {
                [kind @ b'a'..=b'z', b'='] => *kind,
                _ => return Err(SdpError::NotALine),
            };
            if value
                .chars()
                .any(|character| character.is_control() && character != '\t')
            {
                return Err(SdpError::NotALine);
            }
            if kind == b'm' {
                if media.len() >= MAX_MEDIA {
                    return Err(SdpError::TooManyMedia);
                }
                media.push(Section {
                    media: value,
                    lines: Vec::new(),
                });
            } else {
                let section = media.last_mut().unwrap_or(&mut session);
                section.lines.push((kind, value));
            }
        }
        Ok(Self { session, media })
    }

    /// The mids of the first BUNDLE group (RFC 9143 §7.2), if there is one.
    pub(crate) fn bundle(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        self.session
            .attributes("group")
            .find_map(|value| value.strip_prefix("BUNDLE"))
            .map(str::split_ascii_whitespace)
    }

    /// The section the transport is described in: the tagged one of the bundle, else the first.
    pub(crate) fn tagged(&self) -> Option<&Section<'a>> {
        let tag = self.bundle().and_then(|mut mids| mids.next());
        self.media
            .iter()
            .find(|section| tag.is_some() && section.attribute("mid") == tag)
            .or_else(|| self.media.first())
    }

    /// An attribute of the tagged section, else of the session.
    pub(crate) fn transport(&self, name: &str) -> Option<&'a str> {
        self.tagged()
            .and_then(|section| section.attribute(name))
            .or_else(|| self.session.attribute(name))
    }

    /// The ICE credentials of the transport.
    pub(crate) fn credentials(&self) -> Result<Option<IceCredentials>, SdpError> {
        IceCredentials::read(self.transport("ice-ufrag"), self.transport("ice-pwd"))
    }
}

/// The lines between one `m=` and the next.
#[derive(Debug, Default)]
pub(crate) struct Section<'a> {
    /// What stands behind `m=`.
    pub(crate) media: &'a str,
    lines: Vec<(u8, &'a str)>,
}

impl<'a> Section<'a> {
    /// `audio`, `video`, `application`.
    pub(crate) fn kind(&self) -> &'a str {
        self.media.split(' ').next().unwrap_or_default()
    }

    /// Whether its port is 0 without `bundle-only` (RFC 9143 §6): such a section carries nothing.
    pub(crate) fn is_rejected(&self) -> bool {
        let port = self.media.split(' ').nth(1).unwrap_or_default();
        port == "0" && self.attribute("bundle-only").is_none()
    }

    /// The value of the first attribute of this name; empty for a flag.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes(name).next()
    }

    pub(crate) fn attributes<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.lines.iter().filter_map(move |(kind, value)| {
            let (found, value) = value.split_once(':').unwrap_or((value, ""));
            (*kind == b'a' && found == name).then_some(value)
        })
    }

    pub(crate) fn has_line(&self, kind: u8) -> bool {
        self.lines.iter().any(|(found, _)| *found == kind)
    }

    /// The first line, if it is one of this kind.
    pub(crate) fn opens_with(&self, kind: u8) -> bool {
        self.lines.first().is_some_and(|(found, _)| *found == kind)
    }
}

/// The username fragment and password of an ICE session (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    ufrag: Box<str>,
    pwd: Box<str>,
}

impl IceCredentials {
    /// Credentials of valid length and characters.
    ///
    /// # Errors
    /// When the fragment has not 4 to 256, or the password not 22 to 256, letters, digits, `+` and `/`.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Self, SdpError> {
        let valid = |text: &str, least| {
            (least..=256).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        };
        if valid(ufrag, 4) && valid(pwd, 22) {
            let (ufrag, pwd) = (ufrag.into(), pwd.into());
            Ok(Self { ufrag, pwd })
        } else {
            Err(SdpError::IceCredentials)
        }
    }

    pub(crate) fn read(ufrag: Option<&str>, pwd: Option<&str>) -> Result<Option<Self>, SdpError> {
        match (ufrag, pwd) {
            (None, None) => Ok(None),
            (Some(ufrag), Some(pwd)) => Self::new(ufrag, pwd).map(Some),
            _ => Err(SdpError::IceCredentials),
        }
    }

    /// The username fragment.
    pub const fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    pub const fn pwd(&self) -> &str {
        &self.pwd
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

/// Why bytes are no SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SdpError {
    /// Not UTF-8 (RFC 8866 §5).
    NotText,
    /// A line is not a small letter, a `=` and text without control characters.
    NotALine,
    /// More than 8192 lines.
    TooManyLines,
    /// More than 32 media sections.
    TooManyMedia,
    /// An ICE username fragment or password is missing, too short, too long or of other characters (RFC 8839 §5.4).
    IceCredentials,
}

impl SdpError {
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::NotText => "the SDP is not UTF-8",
            Self::NotALine => "a line of the SDP has not the form letter=text",
            Self::TooManyLines => "the SDP has too many lines",
            Self::TooManyMedia => "the SDP has too many media sections",
            Self::IceCredentials => "ice-ufrag and ice-pwd are not a valid pair",
        }
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for SdpError {}

/// A browser's largest offers have about 2 000.
const MAX_LINES: usize = 8192;

/// One audio and one video track are the rule; several languages and a data channel have room.
const MAX_MEDIA: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_their_attributes_are_found() {
        let sdp = Sections::parse(b"v=0\r\na=group:BUNDLE 1 0\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 0 X 0\na=mid:1\na=sendonly\n").unwrap();
        assert!(sdp.session.opens_with(b'v'));
        assert_eq!(sdp.bundle().unwrap().collect::<Vec<_>>(), ["1", "0"]);
        assert_eq!(sdp.tagged().unwrap().kind(), "video");
        assert!(sdp.media[1].is_rejected() && !sdp.media[0].is_rejected());
        assert_eq!(sdp.media[1].attribute("sendonly"), Some(""));
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for (body, error) in [
            (&b"v=0\nhello"[..], SdpError::NotALine),
            (b"v=0\na", SdpError::NotALine),
            (b"V=0", SdpError::NotALine),
            (b"v=0\na=x\0", SdpError::NotALine),
            (b"v=\xff", SdpError::NotText),
        ] {
            assert_eq!(Sections::parse(body).unwrap_err(), error);
        }
        let many = "m=audio 9 X 0\n".repeat(33);
        let error = Sections::parse(many.as_bytes()).unwrap_err();
        assert_eq!(error, SdpError::TooManyMedia);
        let many = "a=x\n".repeat(8193);
        let error = Sections::parse(many.as_bytes()).unwrap_err();
        assert_eq!(error, SdpError::TooManyLines);
    }
}
