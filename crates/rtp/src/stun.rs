//! As much of STUN (RFC 8489) as routing a datagram to its client needs: no integrity check, no answer.

/// The class of a message (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// A success response.
    Success,
    /// An error response.
    Error,
}

/// The method of a connectivity check (RFC 8489 §18.2).
pub const BINDING: u16 = 1;

/// A STUN message whose header and length are sound; its attributes are looked at only when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    class: Class,
    method: u16,
    transaction_id: [u8; 12],
    attributes: &'a [u8],
}

/// The two halves of an ICE connectivity check's USERNAME (RFC 8445 §7.2.2), as its receiver sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Username<'a> {
    /// The receiver's ufrag: ours, for a request that reached us.
    pub local: &'a str,
    /// The sender's ufrag.
    pub remote: &'a str,
}

impl<'a> Message<'a> {
    /// Reads the header (RFC 8489 §5) of a datagram that holds exactly one message.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (message_type, rest) = datagram.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (cookie, rest) = rest.split_first_chunk::<4>()?;
        let (transaction_id, attributes) = rest.split_first_chunk::<12>()?;
        let message_type = u16::from_be_bytes(*message_type);
        let length = usize::from(u16::from_be_bytes(*length));
        if message_type >> 14 != 0
            || *cookie != MAGIC_COOKIE
            || length % 4 != 0
            || length != attributes.len()
        {
            return None;
        }
        let class = match (message_type & 0x0100 != 0, message_type & 0x0010 != 0) {
            (false, false) => Class::Request,
            (false, true) => Class::Indication,
            (true, false) => Class::Success,
            (true, true) => Class::Error,
        };
        // The method's twelve bits lie around the two class bits.
        let method =
            (message_type & 0x000f) | (message_type & 0x00e0) >> 1 | (message_type & 0x3e00) >> 2;
        Some(Self {
            class,
            method,
            transaction_id: *transaction_id,
            attributes,
        })
    }

    /// Request, indication or kind of response.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The method, [`BINDING`] for ICE.
    pub const fn method(&self) -> u16 {
        self.method
    }

    /// What ties a response to its request.
    pub const fn transaction_id(&self) -> [u8; 12] {
        self.transaction_id
    }

    /// The first USERNAME before the MESSAGE-INTEGRITY, if it has the two halves of an ICE check.
    pub fn username(&self) -> Option<Username<'a>> {
        let mut rest = self.attributes;
        for _ in 0..MAX_ATTRIBUTES {
            let (kind, after) = rest.split_first_chunk::<2>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let value = after.get(..length)?;
            match u16::from_be_bytes(*kind) {
                USERNAME => return Username::split(value),
                // Nothing after it is covered by it (RFC 8489 §14.5).
                MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 => return None,
                _ => {}
            }
            rest = after.get(length.next_multiple_of(4)..)?;
        }
        None
    }
}

impl<'a> Username<'a> {
    fn split(value: &'a [u8]) -> Option<Self> {
        if value.len() > MAX_USERNAME {
            return None;
        }
        let (local, remote) = core::str::from_utf8(value).ok()?.split_once(':')?;
        let sound = |ufrag: &str| !ufrag.is_empty() && ufrag.bytes().all(is_ice_char);
        (sound(local) && sound(remote)).then_some(Self { local, remote })
    }
}

/// RFC 8839 §5.4.
fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;

/// Browsers send the USERNAME first or second of eight attributes or so; what hides it deeper is not routed.
const MAX_ATTRIBUTES: usize = 32;

/// Two ufrags of at most 256 characters (RFC 8839 §5.4) and the colon.
const MAX_USERNAME: usize = 513;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message_type: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut bytes = message_type.to_be_bytes().to_vec();
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(MAGIC_COOKIE);
        bytes.extend([7; 12]);
        bytes.extend(body);
        bytes
    }

    fn ufrags(bytes: &[u8]) -> Option<(&str, &str)> {
        let Username { local, remote } = Message::parse(bytes)?.username()?;
        Some((local, remote))
    }

    /// RFC 5769 §2.1.
    const SAMPLE_REQUEST: [u8; 108] = [
        0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6,
        0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74,
        0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e,
        0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36,
        0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20,
        0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e,
        0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5,
        0x7a, 0x3b, 0xcf,
    ];

    #[test]
    fn sample_request_of_rfc_5769_reads() {
        let message = Message::parse(&SAMPLE_REQUEST).unwrap();
        assert_eq!(
            (message.class(), message.method()),
            (Class::Request, BINDING)
        );
        assert_eq!(message.transaction_id()[..4], [0xb7, 0xe7, 0xa7, 0x01]);
        assert_eq!(ufrags(&SAMPLE_REQUEST), Some(("evtj", "h6vY")));
    }

    #[test]
    fn any_truncation_or_trailing_byte_is_refused() {
        for length in 0..SAMPLE_REQUEST.len() {
            assert_eq!(Message::parse(&SAMPLE_REQUEST[..length]), None, "{length}");
        }
        assert_eq!(Message::parse(&[&SAMPLE_REQUEST[..], &[0]].concat()), None);
    }

    #[test]
    fn class_and_method_are_told_apart() {
        for (message_type, class, method) in [
            (0x0001, Class::Request, 1),
            (0x0011, Class::Indication, 1),
            (0x0101, Class::Success, 1),
            (0x0111, Class::Error, 1),
            (0x3eef, Class::Request, 0xfff),
        ] {
            let bytes = message(message_type, &[]);
            let parsed = Message::parse(&bytes).unwrap();
            assert_eq!(
                (parsed.class(), parsed.method()),
                (class, method),
                "{message_type:#06x}"
            );
        }
    }

    #[test]
    fn username_behind_the_integrity_is_not_believed() {
        let late = message(1, &[(MESSAGE_INTEGRITY, &[0; 20]), (USERNAME, b"a:b")]);
        assert_eq!(ufrags(&late), None);
        let first = message(1, &[(USERNAME, b"a:b"), (MESSAGE_INTEGRITY, &[0; 20])]);
        assert_eq!(ufrags(&first), Some(("a", "b")));
    }

    #[test]
    fn username_that_is_no_pair_of_ufrags_is_none() {
        for value in [&b"ab"[..], b":b", b"a:", b"a:b:c", b"a b:c", b"\xff:b", b""] {
            assert_eq!(ufrags(&message(1, &[(USERNAME, value)])), None, "{value:?}");
        }
        let long = [b'a'; 257];
        let value = [&long[..], b":", &long[..256]].concat();
        assert_eq!(ufrags(&message(1, &[(USERNAME, &value)])), None);
        assert!(ufrags(&message(1, &[(USERNAME, &value[1..])])).is_some());
    }

    #[test]
    fn walk_ends_at_its_cap_and_at_a_length_beyond_the_message() {
        let filler: (u16, &[u8]) = (0x8022, &[]);
        let mut attributes = vec![filler; MAX_ATTRIBUTES - 1];
        attributes.push((USERNAME, b"a:b"));
        assert!(ufrags(&message(1, &attributes)).is_some());
        attributes.insert(0, filler);
        assert_eq!(ufrags(&message(1, &attributes)), None);
        let mut beyond = message(1, &[(0x8022, b"abcd"), (USERNAME, b"a:b")]);
        beyond[23] = 200;
        assert_eq!(ufrags(&beyond), None);
    }
}
