//! What a subscriber's decoder notices of the rewritten picture numbers.

mod seeded;

use seeded::Seeded;
use sluice_rtp::{PayloadInfo, PictureIdRewriter, PictureIds};

/// A VP8 or VP9 sender: three temporal layers, one picture id per frame.
struct Sender {
    bits: u8,
    picture: u64,
    tl0: u8,
    key: u8,
}

impl Sender {
    fn frame(&mut self, keyframe: bool, temporal: u8) -> PayloadInfo {
        self.picture += 1;
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        if keyframe {
            self.key = (self.key + 1) & 0x1f;
        }
        PayloadInfo {
            starts_frame: true,
            starts_keyframe: keyframe,
            keyframe,
            temporal,
            picture_id: u16::try_from(self.picture % (1 << self.bits)).ok(),
            picture_id_bits: self.bits,
            tl0_picture_index: Some(self.tl0),
            key_index: Some(self.key),
            ..PayloadInfo::default()
        }
    }
}

#[test]
fn decoder_sees_consecutive_pictures_over_drops_wraps_and_switches() {
    for (seed, bits) in (1..=40).zip([7, 15].into_iter().cycle()) {
        let mut random = Seeded::new(seed);
        let first = u16::try_from(random.below(1 << 15)).unwrap();
        let mut rewriter = PictureIdRewriter::new(first);
        let (mut picture, mut tl0, mut key) = (u64::from(first), 0_u8, 0_u8);
        let mut forwarded = 0;
        for _ in 0..40 {
            let mut sender = Sender {
                bits,
                picture: random.below(1 << 15),
                tl0: u8::try_from(random.below(256)).unwrap(),
                key: u8::try_from(random.below(32)).unwrap(),
            };
            let top = u8::try_from(random.below(3)).unwrap();
            for frame in 0..random.below(2_000) {
                let keyframe = frame % 500 == 0;
                let temporal = [0, 2, 1, 2][usize::try_from(frame % 4).unwrap()];
                let info = sender.frame(keyframe, temporal);
                if frame == 0 {
                    rewriter.switch(&info);
                }
                if temporal > top {
                    rewriter.drop_frame(&info);
                    assert_eq!(rewriter.map(&info), None);
                    continue;
                }
                if temporal == 0 && forwarded > 0 {
                    tl0 = tl0.wrapping_add(1);
                }
                if keyframe && forwarded > 0 {
                    key = (key + 1) & 0x1f;
                }
                let expected = PictureIds {
                    picture_id: u16::try_from(picture % (1 << bits)).ok(),
                    tl0_picture_index: Some(tl0),
                    key_index: Some(key),
                };
                for packet in 0..2 {
                    assert_eq!(
                        rewriter.map(&info),
                        Some(expected),
                        "seed {seed} packet {packet}"
                    );
                }
                picture += 1;
                forwarded += 1;
            }
        }
        assert!(forwarded > 10_000);
    }
}

#[test]
fn late_packets_of_earlier_pictures_keep_their_numbers() {
    let mut rewriter = PictureIdRewriter::new(0);
    let mut sender = Sender {
        bits: 15,
        picture: 0x7ffd,
        tl0: 254,
        key: 0,
    };
    let frames: Vec<_> = (0..8).map(|index| sender.frame(index == 0, 0)).collect();
    rewriter.switch(&frames[0]);
    let forward: Vec<_> = frames.iter().map(|frame| rewriter.map(frame)).collect();
    let again: Vec<_> = frames
        .iter()
        .rev()
        .map(|frame| rewriter.map(frame))
        .collect();
    assert!(forward.iter().eq(again.iter().rev()));
    assert_eq!(forward[7].unwrap().picture_id, Some(7));
    let next = Sender {
        bits: 15,
        picture: 9,
        tl0: 9,
        key: 9,
    }
    .frame(true, 0);
    rewriter.switch(&next);
    let ids = rewriter.map(&next).unwrap();
    assert_eq!(
        (ids.picture_id, ids.tl0_picture_index),
        (Some(8), Some(8)),
        "after the highest"
    );
    assert_eq!(ids.key_index, Some(1));
}

#[test]
fn picture_from_before_the_switch_gets_no_number() {
    let mut rewriter = PictureIdRewriter::new(0);
    let mut sender = Sender {
        bits: 15,
        picture: 0,
        tl0: 0,
        key: 0,
    };
    let (before, first) = (sender.frame(false, 0), sender.frame(true, 0));
    rewriter.switch(&first);
    assert_eq!(rewriter.map(&before), None);
    assert!(rewriter.map(&first).is_some());
}

#[test]
fn dropping_an_upper_spatial_layer_does_not_unsend_its_picture() {
    let mut rewriter = PictureIdRewriter::new(0);
    let mut sender = Sender {
        bits: 15,
        picture: 0,
        tl0: 0,
        key: 0,
    };
    let (first, second) = (sender.frame(true, 0), sender.frame(false, 0));
    rewriter.switch(&first);
    assert!(rewriter.map(&first).is_some());
    assert!(rewriter.map(&second).is_some());
    rewriter.drop_frame(&first);
    assert!(rewriter.map(&first).is_some());
}

#[test]
fn lost_base_layer_frame_stays_visible_in_tl0() {
    let mut rewriter = PictureIdRewriter::new(0);
    let mut sender = Sender {
        bits: 15,
        picture: 0,
        tl0: 9,
        key: 0,
    };
    let frames: Vec<_> = (0..3).map(|index| sender.frame(index == 0, 0)).collect();
    rewriter.switch(&frames[0]);
    let first = rewriter.map(&frames[0]).unwrap();
    rewriter.drop_frame(&frames[1]);
    let third = rewriter.map(&frames[2]).unwrap();
    assert_eq!((first.picture_id, third.picture_id), (Some(0), Some(1)));
    assert_eq!(
        (first.tl0_picture_index, third.tl0_picture_index),
        (Some(0), Some(2))
    );
}

#[test]
fn source_without_a_field_keeps_the_numbers_for_the_next() {
    let mut rewriter = PictureIdRewriter::new(5);
    let mut sender = Sender {
        bits: 15,
        picture: 0,
        tl0: 0,
        key: 0,
    };
    let first = sender.frame(true, 0);
    rewriter.switch(&first);
    assert!(rewriter.map(&first).is_some());
    let bare = PayloadInfo::default();
    rewriter.switch(&bare);
    assert_eq!(rewriter.map(&bare), Some(PictureIds::default()));
    rewriter.switch(&first);
    let ids = rewriter.map(&first).unwrap();
    assert_eq!(
        (ids.picture_id, ids.tl0_picture_index, ids.key_index),
        (Some(6), Some(1), Some(1))
    );
}
