//! Tokens of live streams, signed by the library that does our DTLS.

use std::fmt;

use aws_lc_rs::hmac;
use sluice_live::{Action, Denial, Identity};
use sluice_media::StreamKey;
use sluice_proto::Permission;
use sluice_proto::token::{HmacSha256, JwtRules, TokenError, sign, verify};

/// The secret that tokens are signed by. Fewer than 32 random bytes can be guessed from one token (RFC 8725 §3.5).
pub struct TokenSecret(hmac::Key);

impl TokenSecret {
    /// Takes the secret's bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A token for one stream and its layers, good until `expiry`, in seconds since 1970.
    pub fn sign(&self, key: &StreamKey, expiry: u64) -> String {
        sign(self, key, expiry)
    }

    /// What a token of [`Self::sign`] is worth at `now`, in seconds since 1970. Who has one for a stream is one and the
    /// same publisher to it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit(
        &self,
        key: &StreamKey,
        token: &str,
        now: u64,
    ) -> Result<Option<Identity>, Denial> {
        verify(self, key, token, now).map_err(denial)?;
        Ok(Some(Identity::new(&key.to_string())))
    }

    /// What a JWT is worth at `now`, in seconds since 1970: its scope must allow the action, its subject is who it is.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit_jwt(
        &self,
        rules: &JwtRules,
        action: Action,
        key: &StreamKey,
        token: &str,
        now: u64,
    ) -> Result<Option<Identity>, Denial> {
        let claims = rules.verify(self, token, now).map_err(denial)?;
        let permission = match action {
            Action::Publish => Permission::Publish,
            Action::Play => Permission::Play,
            Action::Playback => Permission::Playback,
        };
        if !claims.scope.allows(permission, key) {
            return Err(Denial::NotAllowed);
        }
        Ok(claims.subject.as_deref().map(Identity::new))
    }
}

impl HmacSha256 for TokenSecret {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut code = [0; 32];
        // SHA-256 gives 32 bytes.
        code.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        code
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret")
    }
}

const fn denial(error: TokenError) -> Denial {
    match error {
        TokenError::Expired => Denial::Expired,
        _ => Denial::BadCredentials,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_that_of_rfc_4231() {
        let secret = TokenSecret::new(b"Jefe");
        let code = HmacSha256::sign(&secret, b"what do ya want for nothing?");
        assert_eq!(code[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(code[28..], [0x64, 0xec, 0x38, 0x43]);
    }

    #[test]
    fn token_is_good_for_its_stream_and_layers_until_it_expires() {
        let secret = TokenSecret::new(b"secret");
        let key: StreamKey = "live/show".parse().unwrap();
        let token = secret.sign(&key, 1000);
        assert!(secret.admit(&key, &token, 999).is_ok());
        assert!(secret.admit(&key.layer("hi").unwrap(), &token, 999).is_ok());
        assert_eq!(secret.admit(&key, &token, 1000), Err(Denial::Expired));
        let other = "live/other".parse().unwrap();
        assert_eq!(
            secret.admit(&other, &token, 999),
            Err(Denial::BadCredentials)
        );
    }
}
