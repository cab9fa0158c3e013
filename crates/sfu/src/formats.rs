//! Which of a subscriber's formats carries what a publisher sends.

use str0m::format::{Codec, CodecConfig, PayloadParams};
use str0m::media::Pt;

/// The payload type of the best match among what the subscriber agreed to; none if it cannot take the codec.
///
/// H.264 of a profile that the subscriber does not list goes out under one that it does, of the same packetization
/// mode (RFC 6184 §8.1), which alone changes the packets: the profile that holds stands in the stream, decoders take
/// more than browsers list, and publishers that say "baseline" send what is constrained baseline as well.
pub(crate) fn payload_type(
    offered: impl Iterator<Item = PayloadParams>,
    source: PayloadParams,
) -> Option<Pt> {
    let offered = CodecConfig::new_from_payload_params(offered.collect());
    let exact = offered.match_params(source);
    let near = || {
        let spec = source.spec();
        let mode = |params: &PayloadParams| params.spec().format.packetization_mode.unwrap_or(0);
        offered.find(|params| {
            spec.codec == Codec::H264
                && params.spec().codec == Codec::H264
                && mode(params) == mode(&source)
        })
    };
    exact.or_else(near).map(PayloadParams::pt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASELINE: u32 = 0x42_00_1f;
    const CONSTRAINED_BASELINE: u32 = 0x42_e0_1f;
    const CONSTRAINED_HIGH: u32 = 0x64_0c_1f;

    fn formats(modes_and_profiles: &[(bool, u32)]) -> Vec<PayloadParams> {
        let mut config = CodecConfig::empty();
        config.enable_vp8(true);
        for ((mode, profile), pt) in modes_and_profiles.iter().zip(101..) {
            config.add_h264(pt.into(), None, *mode, *profile);
        }
        config.params().to_vec()
    }

    fn carried(source: (bool, u32), offered: &[(bool, u32)]) -> Option<Pt> {
        let source = *formats(&[source]).last().unwrap();
        payload_type(formats(offered).into_iter(), source)
    }

    #[test]
    fn a_profile_that_both_list_wins() {
        let offered = [(true, CONSTRAINED_BASELINE), (true, BASELINE)];
        assert_eq!(carried((true, BASELINE), &offered), Some(102.into()));
    }

    #[test]
    fn a_profile_that_the_subscriber_does_not_list_goes_out_under_another() {
        let offered = [(false, BASELINE), (true, CONSTRAINED_BASELINE)];
        for profile in [BASELINE, CONSTRAINED_HIGH] {
            assert_eq!(carried((true, profile), &offered), Some(102.into()));
        }
    }

    #[test]
    fn another_packetization_mode_is_another_format() {
        let offered = [(false, CONSTRAINED_BASELINE)];
        assert_eq!(carried((true, CONSTRAINED_BASELINE), &offered), None);
    }

    #[test]
    fn other_codecs_are_not_taken_for_h264() {
        let vp8 = formats(&[])[0];
        let offered = formats(&[(true, BASELINE)]).into_iter().skip(1);
        assert_eq!(payload_type(offered, vp8), None);
    }
}
