//! RTP payloads, in order, into whole access units.

mod aac;
mod access_unit;
mod assembly;
mod av1;
mod h264;
mod h265;
mod nal;
mod video;
mod vpx;

pub use access_unit::{AccessUnit, Damage, Depacketized};

use bytes::Bytes;
use sluice_media::Codec;

use video::{Format, Video};

/// One RTP packet as a depacketizer wants it, out of a [`ReorderBuffer`](crate::ReorderBuffer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Extended sequence number, above that of the packet before; a step of more than one is a loss.
    pub sequence: u64,
    /// RTP timestamp as it came.
    pub timestamp: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// The payload without RTP padding.
    pub payload: Bytes,
}

/// Puts the access units of one track together.
///
/// Invariant: what comes out is whole and decodes after what came out before it. A loss inside a video unit drops
/// that unit and all up to the next keyframe, and says so once ([`Depacketized::Damaged`]); VP8 and VP9 streams whose
/// picture ids show that nothing was lost go on. Audio goes on with the next whole unit.
///
/// - H.264: single NAL units, STAP-A, FU-A. H.265: single NAL units, AP, FU; after a start at a CRA or BLA picture its
///   RASL pictures are left out. A unit ends at the marker or with the next timestamp; senders that set the marker on
///   every slice are found out at the price of one unit, and from then on only the timestamp counts.
/// - VP9 with spatial layers: the base layer alone, which every decoder shows at one size.
/// - AV1: temporal delimiters and tile lists are left out, size fields put in.
/// - Opus, G.711, G.722: the payload is the unit. AAC (RFC 3640, AAC-hbr): several units to a packet or several
///   packets to a unit.
///
/// Bounds: a video unit has at most 8 MiB, an audio unit at most 1 MiB; above, it is dropped as
/// [`Damage::TooLarge`]. At most 64 parameter sets, and 64 KiB of them, are kept for the next unit; the oldest go.
#[derive(Debug)]
pub struct Depacketizer {
    last_sequence: Option<u64>,
    track: Track,
}

impl Depacketizer {
    /// For one track; `None` for codecs without a payload format here (H.266, MP3, others).
    pub fn new(codec: Codec) -> Option<Self> {
        let track = match codec {
            Codec::H264 => Track::Video(Video::new(Format::H264(h264::H264::default()))),
            Codec::H265 => Track::Video(Video::new(Format::H265(h265::H265::default()))),
            Codec::Vp8 => Track::Video(Video::new(Format::Vp8(vpx::Vp8::default()))),
            Codec::Vp9 => Track::Video(Video::new(Format::Vp9(vpx::Vp9::default()))),
            Codec::Av1 => Track::Video(Video::new(Format::Av1(av1::Av1::default()))),
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 => Track::Whole,
            Codec::Aac => Track::Aac(aac::Aac::default()),
            Codec::H266 | Codec::Mp3 | Codec::Other { .. } => return None,
        };
        Some(Self {
            last_sequence: None,
            track,
        })
    }

    /// Takes the next packet and appends what it completes to `out`: for video at most the unit before it, its own
    /// unit and a report; for AAC as many units as a packet can hold.
    ///
    /// A packet that is not above the one before is ignored. An empty payload is padding: it counts in the sequence
    /// and carries nothing.
    pub fn handle_packet(&mut self, packet: Packet, out: &mut Vec<Depacketized>) {
        if self
            .last_sequence
            .is_some_and(|last| packet.sequence <= last)
        {
            return;
        }
        // Before the first packet there may have been any number.
        let first = self.last_sequence.is_none();
        let missing = self.last_sequence.map_or(u64::MAX, |last| {
            packet.sequence.saturating_sub(last).saturating_sub(1)
        });
        let lost = missing > 0 && !first;
        self.last_sequence = Some(packet.sequence);
        match &mut self.track {
            Track::Video(video) => video.handle_packet(&packet, missing, out),
            Track::Aac(aac) => aac.handle_packet(&packet, lost, out),
            Track::Whole => {
                if lost {
                    out.push(Depacketized::Damaged(Damage::Lost));
                }
                if !packet.payload.is_empty() {
                    out.push(whole(packet));
                }
            }
        }
    }

    /// No packet follows: a unit whose end only the next timestamp would tell is complete; one without the marker of a
    /// stream that has markers is not.
    pub fn finish(&mut self, out: &mut Vec<Depacketized>) {
        if let Track::Video(video) = &mut self.track {
            video.finish(out);
        }
    }

    /// Nothing comes out before the next keyframe; always `false` for audio. Ask the sender for one (PLI, RFC 4585
    /// §6.3.1) while this holds, at a measured pace.
    pub const fn awaits_keyframe(&self) -> bool {
        match &self.track {
            Track::Video(video) => video.awaits_keyframe(),
            Track::Aac(_) | Track::Whole => false,
        }
    }
}

#[derive(Debug)]
enum Track {
    Video(Video),
    Aac(aac::Aac),
    Whole,
}

fn whole(packet: Packet) -> Depacketized {
    if packet.payload.len() > MAX_AUDIO_BYTES {
        return Depacketized::Damaged(Damage::TooLarge);
    }
    Depacketized::Unit(AccessUnit {
        timestamp: packet.timestamp,
        keyframe: true,
        discardable: false,
        parameter_sets: Vec::new(),
        data: packet.payload,
    })
}

const MAX_AUDIO_BYTES: usize = 1 << 20;
const MAX_VIDEO_BYTES: usize = 8 << 20;
