//! STUN and TURN servers as `Link` fields (RFC 9725 §4.6).

use std::fmt;

/// A STUN or TURN server that the client may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    link: String,
}

impl IceServer {
    /// A server by its URI (RFC 7064, RFC 7065); TURN with username and password.
    ///
    /// # Errors
    /// When the URI has another scheme or a character that URIs have not, or the credentials hold control characters
    /// or more than ASCII, which a header field cannot carry.
    pub fn new(uri: &str, credentials: Option<(&str, &str)>) -> Result<Self, IceServerError> {
        let scheme = uri.split(':').next().unwrap_or_default();
        if !matches!(scheme, "stun" | "stuns" | "turn" | "turns") {
            return Err(IceServerError::Scheme);
        }
        let in_uri = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"');
        if !uri.bytes().all(in_uri) {
            return Err(IceServerError::Uri);
        }
        let mut link = format!("<{uri}>; rel=\"ice-server\"");
        if let Some((username, password)) = credentials {
            for (name, value) in [("username", username), ("credential", password)] {
                let quoted = quoted(value).ok_or(IceServerError::Credentials)?;
                link = format!("{link}; {name}={quoted}");
            }
            link.push_str("; credential-type=\"password\"");
        }
        Ok(Self { link })
    }

    /// The value of its `Link` field.
    pub fn as_link(&self) -> &str {
        &self.link
    }
}

/// A quoted-string (RFC 9110 §5.6.4).
fn quoted(value: &str) -> Option<String> {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            ' '..='~' => text.push(character),
            _ => return None,
        }
    }
    text.push('"');
    Some(text)
}

/// Why an [`IceServer`] cannot be told to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IceServerError {
    /// Not `stun:`, `stuns:`, `turn:` or `turns:`.
    Scheme,
    /// The URI holds a character that URIs have not.
    Uri,
    /// Username or password hold more than printable ASCII.
    Credentials,
}

impl fmt::Display for IceServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "an ICE server's URI begins with stun:, stuns:, turn: or turns:",
            Self::Uri => "an ICE server's URI holds a character that URIs have not",
            Self::Credentials => "an ICE server's credentials hold more than printable ASCII",
        })
    }
}

impl std::error::Error for IceServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_is_that_of_the_rfc() {
        let server = IceServer::new(
            "turn:turn.example.net?transport=udp",
            Some(("user", "my\"Password")),
        );
        assert_eq!(
            server.unwrap().as_link(),
            r#"<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="my\"Password"; credential-type="password""#
        );
    }

    #[test]
    fn nothing_breaks_out_of_the_field() {
        for (uri, credentials, error) in [
            ("http://x", None, IceServerError::Scheme),
            ("stun:x>; rel=y", None, IceServerError::Uri),
            ("stun:x\r\nSet-Cookie: a", None, IceServerError::Uri),
            ("turn:x", Some(("a\r\n", "b")), IceServerError::Credentials),
        ] {
            assert_eq!(IceServer::new(uri, credentials).unwrap_err(), error);
        }
    }
}
