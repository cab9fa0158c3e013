//! ICE user name fragments that tell which shard issued them.
//!
//! Sixteen characters of Crockford's base 32 carry 80 bits: version 4, shard 12, and 64 random
//! ones. Only the shard is ever read back, to hand a misrouted datagram to its owner; who the
//! client is, the owner's table says, since an ICE restart makes str0m choose its own ufrag.

/// A fresh ufrag (RFC 8445 §5.3 asks for 24 bits of randomness at least).
pub(crate) fn issue(shard: u16) -> Result<String, getrandom::Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    let bits = (VERSION << 76)
        | (u128::from(shard & 0xfff) << 64)
        | u128::from(u64::from_be_bytes(random));
    Ok((0..LENGTH)
        .rev()
        .map(|place| digit(bits >> (place * 5)))
        .collect())
}

/// A fresh ICE password: 28 characters of 5 bits, over the 128 bits that RFC 8445 §5.3 asks for.
pub(crate) fn password() -> Result<String, getrandom::Error> {
    let mut random = [0; PASSWORD];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| digit(u128::from(*byte))).collect())
}

/// The shard that issued this ufrag; none if it is not of our making.
pub(crate) fn shard_of(ufrag: &str) -> Option<u16> {
    if ufrag.len() != LENGTH as usize {
        return None;
    }
    let mut bits = 0_u128;
    for byte in ufrag.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        bits = (bits << 5) | value as u128;
    }
    if bits >> 76 != VERSION {
        return None;
    }
    u16::try_from((bits >> 64) & 0xfff).ok()
}

fn digit(bits: u128) -> char {
    ALPHABET
        .get((bits & 31) as usize)
        .map_or('0', |byte| char::from(*byte))
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: u32 = 16;
const PASSWORD: usize = 28;
const VERSION: u128 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ufrag_names_its_shard() {
        for shard in [0, 1, 63, 4095] {
            let ufrag = issue(shard).unwrap();
            assert_eq!(ufrag.len(), 16);
            assert_eq!(shard_of(&ufrag), Some(shard));
        }
    }

    #[test]
    fn foreign_ufrags_name_no_shard() {
        for ufrag in [
            "",
            "abcd",
            "0000000000000000",
            "ABCDEFGHABCDEFGH",
            "\u{e4}bcdefghabcdefg",
        ] {
            assert_eq!(shard_of(ufrag), None, "{ufrag}");
        }
    }

    #[test]
    fn two_ufrags_differ() {
        assert_ne!(issue(0).unwrap(), issue(0).unwrap());
    }
}
