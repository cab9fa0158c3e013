//! Tokens under another's HMAC, and tokens that others have made.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sluice_media::StreamKey;
use sluice_proto::Permission;
use sluice_proto::token::{HmacSha256, JwtRules, TokenError, sign, verify};

struct Secret(&'static [u8]);

impl HmacSha256 for Secret {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

const SECRET: Secret = Secret(b"0123456789abcdef0123456789abcdef");

fn key(text: &str) -> StreamKey {
    text.parse().unwrap()
}

#[test]
fn token_of_the_predecessor_is_accepted() {
    // printf 'live/show:1900000000' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    let token = "1900000000:be5013cc091ddaef598b484b1dcea89b021b870fa1ea6fc26d19c6a8ce6579cf";
    assert_eq!(sign(&SECRET, &key("live/show"), 1_900_000_000), token);
    let verified = verify(&SECRET, &key("live/show"), token, 1_800_000_000);
    assert_eq!(verified, Ok(1_900_000_000));
}

#[test]
fn token_is_for_one_stream_its_layers_and_its_time() {
    let token = sign(&SECRET, &key("live/show"), 100);
    assert_eq!(verify(&SECRET, &key("live/show~hi"), &token, 99), Ok(100));
    for (stream, now, error) in [
        ("live/show", 100, TokenError::Expired),
        ("live/other", 99, TokenError::Signature),
        ("other/show", 99, TokenError::Signature),
    ] {
        assert_eq!(verify(&SECRET, &key(stream), &token, now), Err(error));
    }
    let other = Secret(b"another");
    assert_eq!(
        verify(&other, &key("live/show"), &token, 99),
        Err(TokenError::Signature)
    );
}

#[test]
fn every_bit_of_a_token_counts() {
    let token = sign(&SECRET, &key("live/show"), 100);
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let other = String::from_utf8(bytes).unwrap();
            // A hexadecimal digit may be written large.
            if !other.eq_ignore_ascii_case(&token) {
                assert!(
                    verify(&SECRET, &key("live/show"), &other, 0).is_err(),
                    "{other}"
                );
            }
        }
    }
}

#[test]
fn what_has_not_the_form_is_malformed() {
    let code = "0".repeat(64);
    for token in [
        String::new(),
        "100".to_owned(),
        format!("0100:{code}"),
        format!("+100:{code}"),
        format!("-1:{code}"),
        format!("18446744073709551616:{code}"),
        format!("100:{}", &code[1..]),
        format!("100:{code}0"),
        format!("100:{}g", &code[1..]),
        format!("100:{}", "é".repeat(32)),
    ] {
        assert_eq!(
            verify(&SECRET, &key("live/show"), &token, 0),
            Err(TokenError::Malformed),
            "{token}"
        );
    }
    let long = format!("100:{}", "0".repeat(4096));
    assert_eq!(
        verify(&SECRET, &key("live/show"), &long, 0),
        Err(TokenError::TooLong)
    );
}

#[test]
fn jwt_of_another_maker_is_accepted() {
    let token = concat!(
        "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.",
        "eyJzdWIiOiAiYW5uYSIsICJpYXQiOiAxNzAwMDAwMDAwLCAibmJmIjogMTcwMDAwMDAwMCwgImV4cCI6IDE5MDAwMDAwMDAsICJzY29wZSI6ICJwdWJsaXNoOmxpdmUvc2hvdyBwbGF5OmxpdmUvKiJ9.",
        "rQrSf2KFG_ZdlVSYFlDhZLK-phr3vZy-Ab-8SxNBYFo"
    );
    let claims = JwtRules::default()
        .verify(&SECRET, token, 1_800_000_000)
        .unwrap();
    assert_eq!(
        (claims.expiry, claims.subject.as_deref()),
        (1_900_000_000, Some("anna"))
    );
    assert!(claims.scope.allows(Permission::Publish, &key("live/show")));
    assert!(claims.scope.allows(Permission::Play, &key("live/any~hi")));
    assert!(!claims.scope.allows(Permission::Publish, &key("live/any")));
}

#[test]
fn jwt_is_bound_to_its_time() {
    let token = jwt(r#"{"alg":"HS256"}"#, r#"{"exp":100,"nbf":50}"#);
    let mut rules = JwtRules::default();
    let mut at = |now, leeway| {
        rules.leeway_seconds = leeway;
        rules
            .verify(&SECRET, &token, now)
            .map(|claims| claims.expiry)
    };
    assert_eq!(at(49, 0), Err(TokenError::NotYetValid));
    assert_eq!(at(50, 0), Ok(100));
    assert_eq!(at(99, 0), Ok(100));
    assert_eq!(at(100, 0), Err(TokenError::Expired));
    assert_eq!(at(45, 5), Ok(100));
    assert_eq!(at(104, 5), Ok(100));
    assert_eq!(at(105, 5), Err(TokenError::Expired));
}

#[test]
fn jwt_does_not_choose_how_it_is_checked() {
    let claims = r#"{"exp":100}"#;
    for (header, error) in [
        (r#"{"alg":"none"}"#, TokenError::Algorithm),
        (r#"{"alg":"hs256"}"#, TokenError::Algorithm),
        (r#"{"alg":"HS512"}"#, TokenError::Algorithm),
        (r#"{"alg":"RS256"}"#, TokenError::Algorithm),
        ("{}", TokenError::Algorithm),
        (
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            TokenError::Critical,
        ),
        ("[]", TokenError::Malformed),
    ] {
        let result = JwtRules::default().verify(&SECRET, &jwt(header, claims), 0);
        assert_eq!(result, Err(error), "{header}");
    }
    let unsigned = jwt(r#"{"alg":"HS256"}"#, claims);
    let (signed, _) = unsigned.rsplit_once('.').unwrap();
    for token in [format!("{signed}."), format!("{signed}.AAAA")] {
        assert_eq!(
            JwtRules::default().verify(&SECRET, &token, 0),
            Err(TokenError::Signature)
        );
    }
    assert_eq!(
        JwtRules::default().verify(&SECRET, signed, 0),
        Err(TokenError::Malformed)
    );
    let padded = format!("{unsigned}=");
    assert_eq!(
        JwtRules::default().verify(&SECRET, &padded, 0),
        Err(TokenError::Malformed)
    );
    let long = jwt(
        r#"{"alg":"HS256"}"#,
        &format!(r#"{{"exp":100,"x":"{}"}}"#, "x".repeat(4096)),
    );
    assert_eq!(
        JwtRules::default().verify(&SECRET, &long, 0),
        Err(TokenError::TooLong)
    );
}

#[test]
fn jwt_names_its_issuer_and_audience_where_that_is_asked() {
    let mut rules = JwtRules::default();
    let check = |rules: &JwtRules, claims: &str| {
        let token = jwt(r#"{"alg":"HS256","typ":"JWT"}"#, claims);
        rules.verify(&SECRET, &token, 0).map(|_| ())
    };
    assert_eq!(
        check(&rules, r#"{"exp":1,"aud":"a"}"#),
        Err(TokenError::Audience)
    );
    assert_eq!(check(&rules, r#"{"exp":1,"iss":"i"}"#), Ok(()));
    rules.audience = Some("a".to_owned());
    rules.issuer = Some("i".to_owned());
    assert_eq!(check(&rules, r#"{"exp":1,"iss":"i","aud":"a"}"#), Ok(()));
    assert_eq!(
        check(&rules, r#"{"exp":1,"iss":"i","aud":["b","a"]}"#),
        Ok(())
    );
    assert_eq!(
        check(&rules, r#"{"exp":1,"iss":"i","aud":["b"]}"#),
        Err(TokenError::Audience)
    );
    assert_eq!(
        check(&rules, r#"{"exp":1,"iss":"i"}"#),
        Err(TokenError::Audience)
    );
    assert_eq!(
        check(&rules, r#"{"exp":1,"aud":"a"}"#),
        Err(TokenError::Issuer)
    );
    assert_eq!(
        check(&rules, r#"{"exp":1,"iss":"j","aud":"a"}"#),
        Err(TokenError::Issuer)
    );
}

#[test]
fn jwt_with_claims_of_other_types_is_refused() {
    for (claims, error) in [
        ("{}", TokenError::NoExpiry),
        (r#"{"exp":"100"}"#, TokenError::Claim),
        (r#"{"exp":-1}"#, TokenError::Claim),
        (r#"{"exp":1e3}"#, TokenError::Claim),
        (r#"{"exp":100,"nbf":null}"#, TokenError::Claim),
        (r#"{"exp":100,"sub":7}"#, TokenError::Claim),
        (r#"{"exp":100,"scope":["publish:*"]}"#, TokenError::Claim),
        ("100", TokenError::Malformed),
    ] {
        let token = jwt(r#"{"alg":"HS256"}"#, claims);
        assert_eq!(
            JwtRules::default().verify(&SECRET, &token, 0),
            Err(error),
            "{claims}"
        );
    }
}

fn jwt(header: &str, claims: &str) -> String {
    let signed = format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(claims.as_bytes())
    );
    let signature = base64url(&SECRET.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn base64url(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['-', '_'])
        .collect();
    let bit = |at: usize| {
        bytes
            .get(at / 8)
            .is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    };
    (0..bytes.len() * 8)
        .step_by(6)
        .map(|at| alphabet[(at..at + 6).fold(0, |value, at| value << 1 | usize::from(bit(at)))])
        .collect()
}
