//! The bearer token of a request (RFC 6750 §2).

use std::fmt;

use super::http::Request;

/// A token as it came; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Box<str>);

impl BearerToken {
    /// The token, for the authorizer.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

/// The token of the `Authorization` field, else, where a name is given, of that query parameter.
///
/// Longer than 4 KiB, or not of a token's characters, is no token.
pub(crate) fn token(request: &Request<'_>, query_name: Option<&str>) -> Option<BearerToken> {
    let from_header = request.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim_start())
    });
    let from_query = || {
        request.query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (Some(name) == query_name).then_some(value)
        })
    };
    from_header
        .or_else(from_query)
        .filter(|token| is_token(token))
        .map(|token| BearerToken(token.into()))
}

/// `b64token` of RFC 6750 §2.1, and the `:` of our own tokens.
fn is_token(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':')
        })
}

/// As long as servers let a header field be.
const MAX_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(authorization: &str, query: &str, name: Option<&str>) -> Option<String> {
        let request = Request {
            prefix: "/live",
            method: "POST",
            path: "",
            query,
            headers: &[("authorization", authorization)],
            body: b"",
            peer: [192, 0, 2, 1].into(),
            entropy: [0; 24],
        };
        token(&request, name).map(|token| token.as_str().to_owned())
    }

    #[test]
    fn token_comes_from_the_header() {
        assert_eq!(
            found("Bearer abc.def", "", None),
            Some("abc.def".to_owned())
        );
        assert_eq!(found("bearer  171:ab", "", None), Some("171:ab".to_owned()));
        assert_eq!(found("Basic abc", "", None), None);
        assert_eq!(found("Bearer a b", "", None), None);
        assert_eq!(found("Bearer ", "", None), None);
        assert_eq!(
            found(&format!("Bearer {}", "a".repeat(4097)), "", None),
            None
        );
    }

    #[test]
    fn query_is_read_only_where_it_was_opted_in() {
        assert_eq!(found("", "a=b&token=xyz", None), None);
        assert_eq!(
            found("", "a=b&token=xyz", Some("token")),
            Some("xyz".to_owned())
        );
        assert_eq!(
            found("Bearer abc", "token=xyz", Some("token")),
            Some("abc".to_owned())
        );
    }
}
