//! Tokens of live streams.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use sluice_server::stream::{Action, Denial, Identity, JwtRules, TokenSecret};

use crate::errors::Fault;
use crate::guard::guard;
use crate::live::{LiveDenial, stream_key};
use crate::live_events::LiveAction;

/// What a JWT must satisfy.
#[napi(object, object_to_js = false)]
pub struct LiveJwtRules {
    /// Who must have made it.
    pub issuer: Option<String>,
    /// For whom it must be.
    pub audience: Option<String>,
    /// Seconds that clocks may differ by.
    pub leeway_seconds: Option<u32>,
}

/// What a token is worth.
#[napi(object, object_from_js = false)]
pub struct LiveVerdict {
    /// Why it is refused.
    pub denial: Option<LiveDenial>,
    /// Who has it.
    pub identity: Option<String>,
}

/// A token for one stream and its layers, good until then, in seconds since 1970.
#[napi(catch_unwind)]
pub fn sign_token(secret: Uint8Array, key: String, expiry: f64) -> Result<String, Fault> {
    guard(|| Ok(TokenSecret::new(&secret).sign(&stream_key(&key)?, seconds(expiry))))
}

/// What such a token is worth now.
#[napi(catch_unwind)]
pub fn verify_token(
    secret: Uint8Array,
    key: String,
    token: String,
    now: f64,
) -> Result<LiveVerdict, Fault> {
    guard(|| {
        let secret = TokenSecret::new(&secret);
        Ok(verdict(secret.admit(
            &stream_key(&key)?,
            &token,
            seconds(now),
        )))
    })
}

/// What a JWT is worth now.
#[napi(catch_unwind)]
pub fn verify_jwt(
    secret: Uint8Array,
    rules: LiveJwtRules,
    action: LiveAction,
    key: String,
    token: String,
    now: f64,
) -> Result<LiveVerdict, Fault> {
    guard(|| {
        let action = match action {
            LiveAction::Publish => Action::Publish,
            LiveAction::Play => Action::Play,
            LiveAction::Playback => Action::Playback,
        };
        let mut checks = JwtRules::default();
        checks.issuer = rules.issuer;
        checks.audience = rules.audience;
        checks.leeway_seconds = u64::from(rules.leeway_seconds.unwrap_or_default());
        let (secret, key) = (TokenSecret::new(&secret), stream_key(&key)?);
        Ok(verdict(secret.admit_jwt(
            &checks,
            action,
            &key,
            &token,
            seconds(now),
        )))
    })
}

fn verdict(admitted: Result<Option<Identity>, Denial>) -> LiveVerdict {
    match admitted {
        Ok(identity) => LiveVerdict {
            denial: None,
            identity: identity.map(|identity| identity.name().to_owned()),
        },
        Err(denial) => LiveVerdict {
            denial: Some(match denial {
                Denial::Expired => LiveDenial::Expired,
                Denial::NotAllowed => LiveDenial::NotAllowed,
                _ => LiveDenial::BadCredentials,
            }),
            identity: None,
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is as far as time goes"
)]
fn seconds(seconds: f64) -> u64 {
    seconds as u64
}
