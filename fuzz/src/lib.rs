//! What must hold for every byte string a stranger can send; a target panics where it does not.

use sluice_media::Codec;
use sluice_rtp::payload::{inspect, vp8, vp9};
use sluice_rtp::{PayloadInfo, PictureIds, Protocol, classify, stun};

/// A datagram: its protocol fits its first byte, and a STUN message gives a username that lies in the datagram.
pub fn classify_stun(data: &[u8]) {
    let protocol = classify(data);
    let Some(message) = stun::Message::parse(data) else {
        return;
    };
    // Methods from 0x100 on begin with 4 or more, which RFC 7983 gives to nobody.
    assert_eq!(
        protocol == Some(Protocol::Stun),
        data.first().is_some_and(|byte| *byte < 4)
    );
    assert!(message.method() < 0x1000);
    if let Some(username) = message.username() {
        assert!(!username.local.is_empty() && !username.remote.is_empty());
        let joined = [username.local.as_bytes(), b":", username.remote.as_bytes()].concat();
        assert!(data.windows(joined.len()).any(|window| window == joined));
    }
}

/// A byte that picks the codec, then its payload: the facts agree with each other.
pub fn payload(data: &[u8]) {
    let Some((&selector, payload)) = data.split_first() else {
        return;
    };
    let codec = Codec::KNOWN[usize::from(selector) % Codec::KNOWN.len()];
    let info = inspect(codec, payload);
    assert!(info.spatial < 64 && info.temporal < 8);
    assert!(!info.starts_keyframe || (info.keyframe && info.spatial == 0) || codec == Codec::Av1);
    assert!(
        !info.starts_keyframe || info.starts_frame || !matches!(codec, Codec::Vp8 | Codec::Vp9)
    );
    match (info.picture_id, info.picture_id_bits) {
        (None, 0) => {}
        (Some(id), bits @ (7 | 15)) => assert!(id < 1 << bits),
        other => panic!("picture id and width disagree: {other:?}"),
    }
    assert!(info.key_index.is_none_or(|index| index < 32));
    if codec == Codec::Vp8 {
        vp8_patch(payload, info);
    }
}

/// Three bytes of new numbers, a byte whose first bit asks for `TL0PICIDX`, then a VP9 payload.
pub fn vp9_patch(data: &[u8]) {
    let Some((&[high, low, tl0, with_tl0], payload)) = data.split_first_chunk::<4>() else {
        return;
    };
    let before = inspect(Codec::Vp9, payload);
    let picture_id = u16::from_be_bytes([high, low]);
    let tl0 = (with_tl0 & 0x80 != 0).then_some(tl0);
    let mut out = b"kept".to_vec();
    let patched = vp9::patch_picture_id(payload, picture_id, tl0, &mut out);
    let possible = before.picture_id_bits != 0
        && picture_id < 1 << before.picture_id_bits
        && (tl0.is_none() || before.tl0_picture_index.is_some());
    assert_eq!(patched, possible);
    let after = PayloadInfo {
        picture_id: Some(picture_id),
        tl0_picture_index: tl0.or(before.tl0_picture_index),
        ..before
    };
    check_copy(Codec::Vp9, payload, patched.then_some(after), &out);
}

fn vp8_patch(payload: &[u8], before: PayloadInfo) {
    let ids = PictureIds {
        picture_id: before.picture_id.map(|id| id ^ 0x55),
        tl0_picture_index: before.tl0_picture_index.map(|index| !index),
        key_index: before.key_index.map(|index| index ^ 0x15),
    };
    let mut out = b"kept".to_vec();
    let patched = vp8::patch(payload, ids, &mut out);
    let after = PayloadInfo {
        picture_id: ids.picture_id,
        tl0_picture_index: ids.tl0_picture_index,
        key_index: ids.key_index,
        ..before
    };
    check_copy(Codec::Vp8, payload, patched.then_some(after), &out);
}

/// What was in the buffer is still there; behind it a copy of the same size that reads as expected, or nothing.
fn check_copy(codec: Codec, payload: &[u8], expected: Option<PayloadInfo>, out: &[u8]) {
    let copy = out
        .strip_prefix(b"kept")
        .expect("the buffer was not appended to");
    match expected {
        Some(expected) => {
            assert_eq!(copy.len(), payload.len());
            assert_eq!(inspect(codec, copy), expected);
            let changed = copy
                .iter()
                .zip(payload)
                .filter(|(new, old)| new != old)
                .count();
            assert!(changed <= 4, "{changed} bytes changed");
        }
        None => assert!(copy.is_empty()),
    }
}
