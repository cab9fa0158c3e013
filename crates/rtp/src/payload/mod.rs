//! What an SFU needs to know of a payload without decoding it, one file per codec.

mod av1;
mod descriptor;
mod h264;
mod h265;
mod keyframe;
pub mod vp8;
pub mod vp9;

pub use keyframe::KeyframeStart;

use sluice_media::Codec;

/// The facts of one RTP payload, read from its descriptor and first bytes.
///
/// A payload too short or malformed for its codec gives the default: nothing known, nothing claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one packet, not a state"
)]
pub struct PayloadInfo {
    /// First packet of a frame, of a layer's frame where layers are packets of their own (VP9). Without a
    /// descriptor (H.264, H.265, AV1) it is a guess from the first unit: a new RTP timestamp says it surely.
    pub starts_frame: bool,
    /// A decoder may begin here, in the base spatial layer. Where parameter sets come in packets of their own,
    /// each of them and the picture after them report it: [`KeyframeStart`] tells the first.
    pub starts_keyframe: bool,
    /// Holds keyframe material: known of every packet where the codec tells (VP9, H.264, H.265), else only of the
    /// first. For a VP9 layer above the base: refers to no earlier picture, so the layer may be entered here.
    pub keyframe: bool,
    /// Last packet of the (layer's) frame; `None` where only the RTP marker tells.
    pub ends_frame: Option<bool>,
    /// Spatial layer, 0 where unknown.
    pub spatial: u8,
    /// Temporal layer, 0 where unknown.
    pub temporal: u8,
    /// From this frame on this temporal layer may be entered (VP8 `Y`, VP9 `U`, H.265 TSA and STSA).
    pub switching_point: bool,
    /// No frame of the same or a lower temporal layer refers to this one (VP8 `N`, H.264 `nal_ref_idc` 0, H.265
    /// sub-layer non-reference pictures).
    pub discardable: bool,
    /// Picture id of VP8 and VP9.
    pub picture_id: Option<u16>,
    /// Width of the picture id on the wire: 7 or 15, 0 without one.
    pub picture_id_bits: u8,
    /// `TL0PICIDX` of VP8 and VP9.
    pub tl0_picture_index: Option<u8>,
    /// `KEYIDX` of VP8, five bits.
    pub key_index: Option<u8>,
    /// Width and height, where this packet tells; of the packet's own spatial layer.
    pub resolution: Option<(u16, u16)>,
}

/// Looks into one RTP payload; audio gives a frame that starts and ends here, and can be entered at.
pub fn inspect(codec: Codec, payload: &[u8]) -> PayloadInfo {
    let info = match codec {
        Codec::Vp8 => vp8::inspect(payload),
        Codec::Vp9 => vp9::inspect(payload),
        Codec::H264 => h264::inspect(payload),
        Codec::H265 => h265::inspect(payload),
        Codec::Av1 => av1::inspect(payload),
        other => whole(other),
    };
    info.unwrap_or_default()
}

fn whole(codec: Codec) -> Option<PayloadInfo> {
    (codec.kind() == sluice_media::MediaKind::Audio).then_some(PayloadInfo {
        starts_frame: true,
        starts_keyframe: true,
        keyframe: true,
        ends_frame: Some(true),
        ..PayloadInfo::default()
    })
}

const _: () = assert!(size_of::<PayloadInfo>() <= 32, "one per forwarded packet");
