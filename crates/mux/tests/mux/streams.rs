//! Made-up streams: a seed decides rates, jitter, gaps, reconnects.

use bytes::Bytes;
use sluice_media::{Codec, Frame, MediaKind, Timestamp};
use sluice_mux::fmp4::Track;

use crate::support::{Seeded, track};

/// What happens to the stream next.
pub(crate) enum Event {
    /// The tracks are these now.
    Tracks(Vec<Track>),
    /// A frame arrives at this wall-clock time.
    Frame(Frame, i64),
}

/// One stream's temper.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Temper {
    pub(crate) fps: f64,
    /// Milliseconds by which a picture's time may be off.
    pub(crate) jitter: u64,
    /// Pictures from keyframe to keyframe.
    pub(crate) gop: u64,
    pub(crate) b_frames: bool,
    pub(crate) video: bool,
    pub(crate) audio: bool,
    /// Milliseconds by which sound arrives late.
    pub(crate) audio_lag: u64,
    /// One picture in so many is lost; none at 0.
    pub(crate) loss: u64,
    /// One second in so many has a gap in the sound, a gap in the picture, a reconnect or new tracks; none at 0.
    pub(crate) trouble: u64,
}

impl Temper {
    pub(crate) fn calm() -> Self {
        Self {
            fps: 30.0,
            jitter: 0,
            gop: 30,
            b_frames: false,
            video: true,
            audio: true,
            audio_lag: 0,
            loss: 0,
            trouble: 0,
        }
    }

    pub(crate) fn of(random: &mut Seeded) -> Self {
        let fps =
            [10.0, 15.0, 24.0, 25.0, 30_000.0 / 1_001.0, 30.0, 60.0][random.below(7) as usize];
        let kind = random.below(5);
        Self {
            fps,
            jitter: [0, 0, 3, 8][random.below(4) as usize],
            gop: 1 + random.below(8 * fps as u64),
            b_frames: random.below(3) == 0,
            video: kind != 0,
            audio: kind != 1,
            audio_lag: [0, 20, 400][random.below(3) as usize],
            loss: [0, 0, 50][random.below(3) as usize],
            trouble: [0, 5, 15][random.below(3) as usize],
        }
    }
}

/// The tracks a temper has; `generation` tells their configurations apart.
pub(crate) fn tracks(temper: Temper, generation: u8) -> Vec<Track> {
    let mut tracks = Vec::new();
    if temper.video {
        // Enough of a record to be told apart; nobody decodes it.
        let record = Bytes::from(vec![1, 66, 0, 30, 0xff, 0xe0, generation]);
        tracks.push(track(Codec::H264, 90_000, record));
    }
    if temper.audio {
        tracks.push(track(
            Codec::Opus,
            48_000,
            Bytes::from_static(&[0, 2, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0]),
        ));
    }
    tracks
}

/// `seconds` of a stream, in order of arrival.
pub(crate) fn events(random: &mut Seeded, temper: Temper, seconds: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut generation = 0;
    events.push(Event::Tracks(tracks(temper, generation)));
    let mut origin = random.below(1 << 40) as i64;
    let mut real = 0.0;
    let mut wall = 1_700_000_000_000_000_i64;
    // Pictures and sound of one unbroken run, then the next one.
    while real < seconds as f64 {
        let longest = seconds as f64 - real;
        let run = match temper.trouble {
            0 => longest,
            trouble => (1.0 + random.below(2 * trouble) as f64).min(longest),
        };
        let mut frames = run_of(random, temper, origin, run);
        if temper.trouble > 0 {
            punch(random, &mut frames);
        }
        // How a new publisher shows: flagged, or by its clock alone.
        let flagged = random.below(2) == 0;
        let mut first = [events.len() > 1 && flagged; 2];
        for (arrival, mut frame) in frames {
            frame.discontinuity = std::mem::take(&mut first[usize::from(frame.track.number())]);
            events.push(Event::Frame(frame, wall + (arrival * 1e6) as i64));
        }
        real += run;
        let pause = random.below(5_000_000) as i64;
        wall += (run * 1e6) as i64 + pause;
        origin = if flagged {
            origin + ((run * 1e6) as i64 + pause)
        } else {
            random.below(1 << 40) as i64 + (1 << 41) * i64::from(generation % 2 == 0)
        };
        if temper.trouble > 0 && random.below(3) == 0 {
            generation += 1;
            events.push(Event::Tracks(tracks(temper, generation)));
        }
    }
    events
}

/// `origin` in microseconds; gives frames with the seconds at which they arrive.
fn run_of(random: &mut Seeded, temper: Temper, origin: i64, seconds: f64) -> Vec<(f64, Frame)> {
    let mut frames = Vec::new();
    if temper.video {
        let interval = 1.0 / temper.fps;
        for index in 0..(seconds * temper.fps) as u64 {
            if temper.loss > 0 && index % temper.gop != 0 && random.below(temper.loss) == 0 {
                continue;
            }
            let jitter = random.below(2 * temper.jitter + 1) as f64 - temper.jitter as f64;
            let at = index as f64 * interval + jitter / 1e3;
            // P two pictures ahead, then the two that are shown before it.
            let shown = if temper.b_frames {
                [3.0, 1.0, 1.0][(index % temper.gop % 3) as usize] * interval
            } else {
                0.0
            };
            let mut frame = frame(&temper, MediaKind::Video, origin, at, shown);
            frame.keyframe = index % temper.gop == 0;
            let size = if frame.keyframe { 4_000 } else { 300 };
            frame.data = Bytes::from(vec![index as u8; 1 + random.below(size) as usize]);
            frames.push((at.max(0.0), frame));
        }
    }
    if temper.audio {
        for index in 0..(seconds * 50.0) as u64 {
            let at = index as f64 * 0.02;
            let mut frame = frame(&temper, MediaKind::Audio, origin, at, 0.0);
            frame.data = Bytes::from(vec![index as u8; 20 + random.below(60) as usize]);
            frames.push((at + temper.audio_lag as f64 / 1e3, frame));
        }
    }
    frames.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    frames
}

fn frame(temper: &Temper, kind: MediaKind, origin: i64, at: f64, shown: f64) -> Frame {
    let track = tracks(*temper, 0)
        .into_iter()
        .find(|track| track.config.codec.kind() == kind)
        .unwrap();
    let ticks = |seconds: f64| {
        let micros = origin as f64 + seconds * 1e6;
        Timestamp::new(
            (micros * f64::from(track.rate.get()) / 1e6).round() as i64,
            track.rate,
        )
    };
    Frame {
        track: track.id,
        codec: track.config.codec,
        pts: ticks(at + shown),
        dts: ticks(at),
        duration: None,
        keyframe: true,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data: Bytes::new(),
    }
}

/// Takes a stretch of up to two seconds out of the sound or the picture.
fn punch(random: &mut Seeded, frames: &mut Vec<(f64, Frame)>) {
    let Some(last) = frames.last().map(|(at, _)| *at) else {
        return;
    };
    let from = random.below((last * 1e3) as u64 + 1) as f64 / 1e3;
    let to = from + random.below(2_000) as f64 / 1e3;
    let track = random.below(2) as u16;
    frames.retain(|(at, frame)| {
        frame.track.number() != track || *at <= from || *at > to || *at < 0.5
    });
}
