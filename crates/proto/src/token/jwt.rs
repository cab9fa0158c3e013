//! JSON Web Tokens, HS256 (RFC 7519, RFC 7515, with the advice of RFC 8725).

use serde_json::{Map, Value};

use super::scope::Scope;
use super::{HmacSha256, MAX_BYTES, TokenError, base64url, is_code_of};

/// What a JWT must satisfy beyond its signature and its times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtRules {
    /// Who must have made it (`iss`); none asks nothing. Default none.
    pub issuer: Option<String>,
    /// For whom it must be (`aud`); none refuses a token that names an audience (RFC 7519 §4.1.3). Default none.
    pub audience: Option<String>,
    /// Seconds that clocks may differ by. Default 0.
    pub leeway_seconds: u64,
}

/// What a verified JWT says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtClaims {
    /// Seconds since 1970 at which it expires.
    pub expiry: u64,
    /// Whom it is about (`sub`).
    pub subject: Option<String>,
    /// What it allows; nothing where the claim is absent.
    pub scope: Scope,
}

impl JwtRules {
    /// Checks a token at `now`, in seconds since 1970.
    ///
    /// The algorithm is never the token's choice, and no claim is read before the signature has been checked.
    ///
    /// # Errors
    /// When the token is malformed, badly signed, out of its time, or not of these rules.
    pub fn verify(
        &self,
        hmac: &impl HmacSha256,
        token: &str,
        now: u64,
    ) -> Result<JwtClaims, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        check_header(&object(header)?)?;
        let signature = base64url::decode(signature).ok_or(TokenError::Malformed)?;
        if !is_code_of(hmac, signed.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        self.claims(&object(payload)?, now)
    }

    fn claims(&self, claims: &Map<String, Value>, now: u64) -> Result<JwtClaims, TokenError> {
        let expiry = time(claims, "exp")?.ok_or(TokenError::NoExpiry)?;
        if now >= expiry.saturating_add(self.leeway_seconds) {
            return Err(TokenError::Expired);
        }
        if let Some(from) = time(claims, "nbf")?
            && now.saturating_add(self.leeway_seconds) < from
        {
            return Err(TokenError::NotYetValid);
        }
        if self.issuer.is_some() && text(claims, "iss")? != self.issuer.as_deref() {
            return Err(TokenError::Issuer);
        }
        self.check_audience(claims)?;
        Ok(JwtClaims {
            expiry,
            subject: text(claims, "sub")?.map(str::to_owned),
            scope: Scope::new(text(claims, "scope")?.unwrap_or_default()),
        })
    }

    /// `aud` is one name or a list of names.
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let own = self.audience.as_deref();
        let named = |value: &Value| own.is_some() && value.as_str() == own;
        let fits = match claims.get("aud") {
            None => own.is_none(),
            Some(Value::Array(audiences)) => audiences.iter().any(named),
            Some(name) => named(name),
        };
        if fits {
            Ok(())
        } else {
            Err(TokenError::Audience)
        }
    }
}

fn check_header(header: &Map<String, Value>) -> Result<(), TokenError> {
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(TokenError::Algorithm);
    }
    if header.contains_key("crit") {
        return Err(TokenError::Critical);
    }
    Ok(())
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let json = base64url::decode(part).ok_or(TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(TokenError::Claim),
    }
}

/// A `NumericDate` (RFC 7519 §2), which here is whole.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(TokenError::Claim),
    }
}
