//! What a datagram on the one UDP port is, from its first two bytes.

/// A protocol that shares the media port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 8489.
    Stun,
    /// RFC 6347, RFC 9147.
    Dtls,
    /// RFC 3550 §5, in practice SRTP.
    Rtp,
    /// RFC 3550 §6, in practice SRTCP.
    Rtcp,
}

/// Sorts a datagram by RFC 7983 §7, and RTP from RTCP by RFC 5761 §4.
///
/// `None` is for ZRTP, TURN channel data, the unassigned ranges, and what is shorter than its protocol's header.
pub fn classify(datagram: &[u8]) -> Option<Protocol> {
    let [first, second, ..] = datagram else {
        return None;
    };
    let (protocol, header) = match (first, second) {
        (0..=3, _) => (Protocol::Stun, 20),
        (20..=63, _) => (Protocol::Dtls, 13),
        // The packet types of RTCP, which with the marker bit are the payload types 64 to 95 that nobody may use.
        (128..=191, 192..=223) => (Protocol::Rtcp, 8),
        (128..=191, _) => (Protocol::Rtp, 12),
        _ => return None,
    };
    (datagram.len() >= header).then_some(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(first: u8, second: u8) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..2].copy_from_slice(&[first, second]);
        bytes
    }

    #[test]
    fn first_byte_decides_by_the_table_of_rfc_7983() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Some(Protocol::Stun),
                20..=63 => Some(Protocol::Dtls),
                128..=191 => Some(Protocol::Rtp),
                _ => None,
            };
            assert_eq!(
                classify(&datagram(first, 96)),
                expected,
                "first byte {first}"
            );
        }
    }

    #[test]
    fn packet_types_192_to_223_are_rtcp() {
        for second in 0..=255 {
            let expected = if (192..=223).contains(&second) {
                Protocol::Rtcp
            } else {
                Protocol::Rtp
            };
            assert_eq!(
                classify(&datagram(0x80, second)),
                Some(expected),
                "second byte {second}"
            );
        }
    }

    #[test]
    fn shorter_than_the_header_is_nothing() {
        for (first, second, header) in [(0, 1, 20), (22, 254, 13), (0x80, 200, 8), (0x80, 111, 12)]
        {
            let bytes = datagram(first, second);
            assert!(classify(&bytes[..header]).is_some());
            for length in 0..header {
                assert_eq!(
                    classify(&bytes[..length]),
                    None,
                    "{first} {second} {length}"
                );
            }
        }
    }
}
