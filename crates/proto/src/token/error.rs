//! Why a token is refused.

use std::fmt;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// More than 4 KiB.
    TooLong,
    /// Not of the form.
    Malformed,
    /// A JWT of another algorithm than HS256 (RFC 8725 §3.1).
    Algorithm,
    /// A JWT with a `crit` header: none of its extensions are known (RFC 7515 §4.1.11).
    Critical,
    /// Signed with another key, or for another stream.
    Signature,
    /// A claim has another type than RFC 7519 §4.1 says, or a time is no whole number.
    Claim,
    /// A JWT without `exp`: it would be good for ever.
    NoExpiry,
    /// Its time is over.
    Expired,
    /// Its time is to come.
    NotYetValid,
    /// Made for another audience (RFC 7519 §4.1.3).
    Audience,
    /// Made by another issuer (RFC 7519 §4.1.1).
    Issuer,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is too long",
            Self::Malformed => "the token has not the form of one",
            Self::Algorithm => "the token is not signed by HS256",
            Self::Critical => "the token has critical extensions",
            Self::Signature => "the token is signed by another key or for another stream",
            Self::Claim => "a claim of the token has a wrong type",
            Self::NoExpiry => "the token has no expiry",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::Audience => "the token is for another audience",
            Self::Issuer => "the token is from another issuer",
        })
    }
}

impl std::error::Error for TokenError {}
