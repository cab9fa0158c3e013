//! Tokens that say who may publish or play: `<expiry>:<hmac>` of one stream, and JWT.
//!
//! The cipher is the caller's ([`HmacSha256`]), and so is the clock: seconds since 1970.

mod base64url;
mod error;
mod jwt;
mod scope;
mod stream_token;

pub use error::TokenError;
pub use jwt::{JwtClaims, JwtRules};
pub use scope::Scope;
pub use stream_token::{sign, verify};

/// HMAC with SHA-256 (RFC 2104, FIPS 180-4) under a key that the implementor holds.
///
/// A key of fewer than 32 random bytes can be guessed from one token (RFC 8725 §3.5).
pub trait HmacSha256 {
    /// The code of a message.
    fn sign(&self, message: &[u8]) -> [u8; 32];
}

/// Whether a code is the message's, in a time that does not tell where they differ.
fn is_code_of(hmac: &impl HmacSha256, message: &[u8], code: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(&hmac.sign(message)[..], code).into()
}

/// Longer tokens are refused unread; a header field is no longer either.
const MAX_BYTES: usize = 4096;
