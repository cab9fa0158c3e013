//! Tokens: a text that is accepted is one that was signed, and says what it was signed to say.

use sluice_media::StreamKey;
use sluice_proto::Permission;
use sluice_proto::token::{HmacSha256, JwtRules, TokenError, sign, verify};

/// A byte that picks what the rest is: a token of either kind as it came, or what is to be signed first.
pub fn token(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else {
        return;
    };
    let key = StreamKey::new("live", "show").expect("a valid key");
    let text = String::from_utf8_lossy(rest);
    match mode & 3 {
        0 => stream_token(&key, &text),
        1 => {
            let expiry = text.parse().unwrap_or(1_900_000_000);
            let token = sign(&Toy, &key, expiry);
            let expected = if NOW < expiry {
                Ok(expiry)
            } else {
                Err(TokenError::Expired)
            };
            assert_eq!(verify(&Toy, &key, &token, NOW), expected);
        }
        2 => jwt(&text, None),
        _ => {
            let (header, claims) = text.split_once('\u{1e}').unwrap_or((&text, "{}"));
            let signed = format!(
                "{}.{}",
                base64url(header.as_bytes()),
                base64url(claims.as_bytes())
            );
            let code = base64url(&Toy.sign(signed.as_bytes()));
            jwt(&format!("{signed}.{code}"), Some((header, claims)));
        }
    }
}

fn stream_token(key: &StreamKey, text: &str) {
    if let Ok(expiry) = verify(&Toy, key, text, NOW) {
        assert!(expiry > NOW && sign(&Toy, key, expiry).eq_ignore_ascii_case(text));
    }
}

fn jwt(token: &str, signed: Option<(&str, &str)>) {
    let result = JwtRules::default().verify(&Toy, token, NOW);
    match (&result, signed) {
        (Err(TokenError::Signature), Some(_)) => panic!("our own signature"),
        (Ok(claims), Some((header, text))) => {
            assert!(header.contains("HS256") && claims.expiry > NOW);
            let words = claims.scope.as_str();
            let key = StreamKey::new("live", "show").expect("a valid key");
            assert!(words.contains("publish:") || !claims.scope.allows(Permission::Publish, &key));
            assert!(text.contains("exp") || text.contains('\\'));
        }
        (Ok(_), None) => assert!(token.matches('.').count() == 2),
        _ => {}
    }
}

/// No cipher: it only has to depend on every byte.
struct Toy;

impl HmacSha256 for Toy {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::array::from_fn(|round| {
            for byte in message.iter().chain(&[u8::try_from(round).unwrap_or(0)]) {
                state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
            state.to_be_bytes()[2]
        })
    }
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = [0, 1, 2].map(|at| u32::from(*group.get(at).unwrap_or(&0)));
        let bits = padded[0] << 16 | padded[1] << 8 | padded[2];
        for at in 0..=group.len() {
            let index = bits >> (18 - 6 * at) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

const NOW: u64 = 1_800_000_000;
