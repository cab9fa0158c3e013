//! Byte streams of encoders into frames: what comes out of a pipe carries no times, so its frames are counted.

use std::num::NonZeroU32;

use sluice_media::{
    AccessUnitSplitter, AdtsSplitter, Codec, CodecConfig, Frame, MediaKind, NalAccessUnit,
    ParameterSets, Timestamp, TrackId, inspect_access_unit,
};

/// The form of a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByteFormat {
    /// H.264 or H.265 with start codes (annex B of either), in order of display: no B-frames.
    AnnexB {
        /// Which of the two.
        codec: Codec,
        /// Pictures in a thousand seconds: 25 000, or 29 970 for NTSC.
        frames_per_thousand_seconds: NonZeroU32,
    },
    /// AAC in ADTS (ISO/IEC 14496-3 §1.A.2.2).
    Adts,
}

/// One track's bytes, and how far they have come.
#[derive(Debug)]
pub(super) struct Feed {
    track: TrackId,
    form: Form,
    frames: i64,
}

#[derive(Debug)]
enum Form {
    Nal {
        splitter: AccessUnitSplitter,
        sets: ParameterSets,
        codec: Codec,
        per_thousand_seconds: NonZeroU32,
    },
    Adts {
        splitter: AdtsSplitter,
        config: Option<CodecConfig>,
    },
}

/// What bytes amount to.
#[derive(Debug)]
pub(super) enum Unit {
    Config(CodecConfig),
    Frame(Frame),
}

impl Feed {
    /// `None` for codecs that have no such form.
    pub(super) fn new(track: TrackId, format: ByteFormat) -> Option<Self> {
        let form = match format {
            ByteFormat::AnnexB {
                codec,
                frames_per_thousand_seconds,
            } => Form::Nal {
                splitter: AccessUnitSplitter::new(codec, MAX_UNIT)?,
                sets: ParameterSets::new(codec),
                codec,
                per_thousand_seconds: frames_per_thousand_seconds,
            },
            ByteFormat::Adts => Form::Adts {
                splitter: AdtsSplitter::new(),
                config: None,
            },
        };
        Some(Self {
            track,
            form,
            frames: 0,
        })
    }

    pub(super) const fn track(&self) -> TrackId {
        self.track
    }

    /// Takes the next bytes; `None`: there are no more.
    pub(super) fn take(&mut self, bytes: Option<&[u8]>) -> Vec<Unit> {
        let mut out = Vec::new();
        match &mut self.form {
            Form::Nal {
                splitter,
                sets,
                codec,
                per_thousand_seconds,
            } => {
                let units = match bytes {
                    Some(bytes) => splitter.push(bytes),
                    None => splitter.finish(),
                };
                for unit in units {
                    let NalAccessUnit {
                        data,
                        parameter_sets,
                        ..
                    } = unit;
                    let config = sets.update(&parameter_sets);
                    out.extend(config.map(Unit::Config));
                    if data.is_empty() {
                        continue;
                    }
                    let facts = inspect_access_unit(*codec, &data);
                    let ticks =
                        |frames: i64| frames * TICKS * 1000 / i64::from(per_thousand_seconds.get());
                    let pts = Timestamp::new(ticks(self.frames), RATE);
                    self.frames += 1;
                    out.push(Unit::Frame(Frame {
                        keyframe: facts.keyframe,
                        discardable: facts.discardable,
                        duration: u32::try_from(ticks(self.frames) - pts.ticks()).ok(),
                        ..frame(self.track, *codec, pts, data)
                    }));
                }
            }
            Form::Adts { splitter, config } => {
                let units = match bytes {
                    Some(bytes) => splitter.push(bytes),
                    None => splitter.finish(),
                };
                for unit in units {
                    let samples = unit.config.samples_per_unit();
                    let Ok(found) = CodecConfig::try_from(unit.config) else {
                        continue;
                    };
                    let rate = found.parameters.audio().map(|audio| audio.sample_rate);
                    let Some(rate) = rate.and_then(NonZeroU32::new) else {
                        continue;
                    };
                    if config.as_ref() != Some(&found) {
                        out.push(Unit::Config(found.clone()));
                        *config = Some(found);
                    }
                    let pts = Timestamp::new(self.frames * i64::from(samples), rate);
                    self.frames += 1;
                    out.push(Unit::Frame(Frame {
                        duration: Some(samples),
                        ..frame(self.track, Codec::Aac, pts, unit.data)
                    }));
                }
            }
        }
        out
    }
}

fn frame(track: TrackId, codec: Codec, pts: Timestamp, data: bytes::Bytes) -> Frame {
    Frame {
        track,
        codec,
        pts,
        dts: pts,
        duration: None,
        keyframe: codec.kind() == MediaKind::Audio,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data,
    }
}

/// Of one access unit.
const MAX_UNIT: usize = 8 << 20;
const TICKS: i64 = 90_000;
const RATE: NonZeroU32 = match NonZeroU32::new(90_000) {
    Some(rate) => rate,
    None => NonZeroU32::MIN,
};
