//! Base64url without padding (RFC 7515 §2, RFC 4648 §5).

/// The bytes of a text, which has one spelling only: no padding, no white space, unused bits 0.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for group in text.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for character in group {
            bits = bits << 6 | u32::from(value(*character)?);
        }
        let [_, first, second, third] = match group.len() {
            4 => bits,
            3 if bits.trailing_zeros() >= 2 => bits << 6,
            2 if bits.trailing_zeros() >= 4 => bits << 12,
            _ => return None,
        }
        .to_be_bytes();
        let all = [first, second, third];
        bytes.extend(all.iter().take(group.len().saturating_sub(1)));
    }
    Some(bytes)
}

const fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character.wrapping_sub(b'A'),
        b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648_without_padding() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zm8", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("Zm9vYmE", b"fooba"),
            ("Zm9vYmFy", b"foobar"),
            ("-_8", b"\xfb\xff"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn there_is_one_spelling() {
        for text in [
            "Z", "Zh", "Zm9", "Zg==", "Zm8=", "Z g", "Zm9vY", "+/8", "Zg\n",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
