//! `<expiry>:<hex hmac-sha256("app/stream:expiry")>`.

use std::fmt::Write as _;

use sluice_media::StreamKey;

use super::{HmacSha256, MAX_BYTES, TokenError, is_code_of};

/// A token for one stream and its layers, good until `expiry`, in seconds since 1970.
///
/// It does not tell publishing from playing: an application that wants that uses two secrets, or JWT.
pub fn sign(hmac: &impl HmacSha256, key: &StreamKey, expiry: u64) -> String {
    let code = hmac.sign(message(key, expiry).as_bytes());
    let mut token = format!("{expiry}:");
    for byte in code {
        // Writing to a string does not fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// Checks a token for a stream at `now`, in seconds since 1970, and gives its expiry.
///
/// # Errors
/// When it is not of the form that [`sign`] writes, is for another stream or by another key, or has expired; the
/// signature is looked at first, so that a stranger learns nothing of times.
pub fn verify(
    hmac: &impl HmacSha256,
    key: &StreamKey,
    token: &str,
    now: u64,
) -> Result<u64, TokenError> {
    if token.len() > MAX_BYTES {
        return Err(TokenError::TooLong);
    }
    let (expiry_text, code) = token.split_once(':').ok_or(TokenError::Malformed)?;
    let expiry: u64 = expiry_text.parse().map_err(|_| TokenError::Malformed)?;
    // What is signed is the number; it has one spelling.
    if expiry.to_string() != expiry_text {
        return Err(TokenError::Malformed);
    }
    let code = hexadecimal(code).ok_or(TokenError::Malformed)?;
    if !is_code_of(hmac, message(key, expiry).as_bytes(), &code) {
        return Err(TokenError::Signature);
    }
    if now >= expiry {
        return Err(TokenError::Expired);
    }
    Ok(expiry)
}

fn message(key: &StreamKey, expiry: u64) -> String {
    format!("{}/{}:{expiry}", key.app(), key.stream())
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    let value = char::from(character).to_digit(16)?;
    u8::try_from(value).ok()
}
