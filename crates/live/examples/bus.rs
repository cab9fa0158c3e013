//! Measures the bus against a broadcast channel and against `arcly-stream`, as lines of JSON.
//!
//! `cargo run --release -p sluice-live --example bus`
//!
//! - `fanout`: frames delivered per second of CPU time, saturated, on one thread. A turn publishes `burst` frames and
//!   then every reader reads all it can. The channel carries `Arc<Frame>`; each of its readers is a task that awaits.
//! - `paced`: a stream of 80 frames a second to 10 000 readers; how long publishing one frame takes.
//! - `joins`: 2 000 readers come within a second and read a group of 2 s each; how late the publisher's frames are.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench reads the clock and may panic"
)]

use std::cell::Cell;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arcly_stream::PublishRegistry as _;
use arcly_stream::prelude as arcly;
use bytes::Bytes;
use sluice_live::{
    AppSpec, Engine, Grant, Next, Output, PlayRequest, Protocol, PublishRequest, SessionId,
    SubscribeOptions, SubscriptionId, Verdict,
};
use sluice_media::{
    Codec, CodecConfig, Frame, Parameters, StreamKey, Timestamp, TrackId, VideoParameters,
};
use tokio::runtime;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for readers in [100, 1_000, 10_000] {
        for burst in [1, 32] {
            let [ours, channel, arcly] = [fanout_ours, fanout_channel, fanout_arcly]
                .map(|measure| measure(readers, burst) / 1e6);
            writeln!(
                out,
                r#"{{"bench":"fanout","readers":{readers},"burst":{burst},"unit":"million frames per CPU-second","sluice":{ours:.1},"tokioBroadcast":{channel:.2},"arclyStream":{arcly:.2},"overTokio":{:.1},"overArcly":{:.1}}}"#,
                ours / channel,
                ours / arcly,
            )?;
        }
    }
    for (name, measure) in [
        ("sluice", paced_ours as fn() -> Vec<Duration>),
        ("tokioBroadcast", paced_channel),
        ("arclyStream", paced_arcly),
    ] {
        let (p50, p99) = percentiles(measure());
        writeln!(
            out,
            r#"{{"bench":"paced","readers":{PACED_READERS},"of":"{name}","publishP50Micros":{p50:.1},"publishP99Micros":{p99:.1}}}"#
        )?;
    }
    let (p50, p99) = percentiles(joins());
    writeln!(
        out,
        r#"{{"bench":"joins","joins":2000,"lateP50Micros":{p50:.1},"lateP99Micros":{p99:.1}}}"#
    )
}

/// An engine with one stream.
struct Bus {
    engine: Engine,
    session: SessionId,
    number: i64,
}

impl Bus {
    fn new(now: Instant) -> Self {
        let mut engine = Engine::default();
        engine.register(AppSpec::new("live")).unwrap();
        let request = PublishRequest::new(key(), Protocol::APPLICATION);
        let id = engine.request_publish(now, request).unwrap();
        engine
            .decide(now, id, Verdict::Allow { identity: None })
            .unwrap();
        let mut granted = None;
        while let Some(output) = engine.poll_output() {
            if let Output::Admitted {
                grant: Grant::Publish(session),
                ..
            } = output
            {
                granted = Some(session);
            }
        }
        let session = granted.unwrap();
        let config = CodecConfig {
            codec: Codec::H264,
            record: Bytes::new(),
            parameters: Parameters::Video(VideoParameters::default()),
        };
        engine
            .set_config(now, session, TrackId::VIDEO, config)
            .unwrap();
        Self {
            engine,
            session,
            number: 0,
        }
    }

    fn join(&mut self, now: Instant) -> SubscriptionId {
        let request = PlayRequest::new(key(), Protocol::APPLICATION);
        let id = self.engine.request_play(now, request).unwrap();
        self.engine
            .decide(now, id, Verdict::Allow { identity: None })
            .unwrap();
        let options = SubscribeOptions::default();
        self.engine.subscribe(now, id, options).unwrap()
    }

    fn push(&mut self, now: Instant, payload: &Bytes) {
        let frame = frame(self.number, payload);
        self.number += 1;
        self.engine.push(now, self.session, frame).unwrap();
    }

    /// Every reader that has something reads all of it.
    fn drain(&mut self, now: Instant) -> u64 {
        let mut frames = 0;
        while let Some(mut reader) = self.engine.next_ready(now) {
            loop {
                match reader.next() {
                    Next::Frame(frame) => {
                        black_box(frame);
                        frames += 1;
                    }
                    Next::Empty => break,
                    other => {
                        black_box(other);
                    }
                }
            }
        }
        while let Some(output) = self.engine.poll_output() {
            black_box(output);
        }
        frames
    }
}

fn fanout_ours(readers: usize, burst: usize) -> f64 {
    let start = Instant::now();
    let mut bus = Bus::new(start);
    let payload = payload();
    bus.push(start, &payload);
    for _ in 0..readers {
        bus.join(start);
    }
    bus.drain(start);
    let (cpu, mut frames) = (cpu_seconds(), 0);
    while start.elapsed() < MEASURED {
        let now = Instant::now();
        for _ in 0..burst {
            bus.push(now, &payload);
        }
        frames += bus.drain(now);
    }
    per_second(frames, cpu)
}

fn fanout_channel(readers: usize, burst: usize) -> f64 {
    let (sender, _) = broadcast::channel::<Arc<Frame>>(1024);
    let payload = payload();
    tasks(
        readers,
        burst,
        |counter| {
            let (mut receiver, counter) = (sender.subscribe(), Rc::clone(counter));
            task::spawn_local(async move {
                loop {
                    match receiver.recv().await {
                        Ok(frame) => {
                            black_box(&frame);
                            counter.set(counter.get() + 1);
                        }
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return,
                    }
                }
            });
        },
        |number| {
            sender.send(Arc::new(frame(number, &payload))).unwrap();
        },
    )
}

fn fanout_arcly(readers: usize, burst: usize) -> f64 {
    let (runtime, handle) = arcly_handle();
    let payload = payload();
    let measured = tasks(
        readers,
        burst,
        |counter| {
            let (mut subscription, counter) = (handle.subscribe_resilient(), Rc::clone(counter));
            task::spawn_local(async move {
                while let Some(frame) = subscription.recv().await {
                    black_box(&frame);
                    counter.set(counter.get() + 1);
                }
            });
        },
        |number| {
            handle.publish_frame(arcly_frame(number, &payload)).unwrap();
        },
    );
    drop(runtime);
    measured
}

/// Readers as tasks of one thread, and a publisher that lets them run after each burst.
fn tasks(
    readers: usize,
    burst: usize,
    spawn: impl Fn(&Rc<Cell<u64>>),
    publish: impl Fn(i64),
) -> f64 {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let local = task::LocalSet::new();
    runtime.block_on(local.run_until(async {
        let counter = Rc::new(Cell::new(0));
        for _ in 0..readers {
            spawn(&counter);
        }
        task::yield_now().await;
        let (cpu, start, mut number) = (cpu_seconds(), Instant::now(), 0);
        while start.elapsed() < MEASURED {
            for _ in 0..burst {
                publish(number);
                number += 1;
            }
            let all = u64::try_from(number).unwrap() * readers as u64;
            while counter.get() < all {
                task::yield_now().await;
            }
        }
        per_second(counter.get(), cpu)
    }))
}

fn paced_ours() -> Vec<Duration> {
    let mut bus = Bus::new(Instant::now());
    let payload = payload();
    for _ in 0..PACED_READERS {
        bus.join(Instant::now());
    }
    pace(|| {
        let now = Instant::now();
        bus.push(now, &payload);
        let took = now.elapsed();
        bus.drain(now);
        took
    })
}

fn paced_channel() -> Vec<Duration> {
    let (sender, _) = broadcast::channel::<Arc<Frame>>(1024);
    let payload = payload();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let local = task::LocalSet::new();
    for _ in 0..PACED_READERS {
        let mut receiver = sender.subscribe();
        local.spawn_local(async move {
            while let Ok(frame) = receiver.recv().await {
                black_box(&frame);
            }
        });
    }
    let mut number = 0;
    pace(|| {
        runtime.block_on(local.run_until(async {
            let now = Instant::now();
            sender.send(Arc::new(frame(number, &payload))).unwrap();
            number += 1;
            let took = now.elapsed();
            while !sender.is_empty() {
                task::yield_now().await;
            }
            took
        }))
    })
}

fn paced_arcly() -> Vec<Duration> {
    let (_engine, handle) = arcly_handle();
    let payload = payload();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let local = task::LocalSet::new();
    let counter = Rc::new(Cell::new(0_u64));
    for _ in 0..PACED_READERS {
        let (mut subscription, counter) = (handle.subscribe_resilient(), Rc::clone(&counter));
        local.spawn_local(async move {
            while let Some(frame) = subscription.recv().await {
                black_box(&frame);
                counter.set(counter.get() + 1);
            }
        });
    }
    let mut number = 0;
    pace(|| {
        runtime.block_on(local.run_until(async {
            let now = Instant::now();
            handle.publish_frame(arcly_frame(number, &payload)).unwrap();
            number += 1;
            let took = now.elapsed();
            let all = u64::try_from(number).unwrap() * PACED_READERS as u64;
            while counter.get() < all {
                task::yield_now().await;
            }
            took
        }))
    })
}

/// Calls `publish` 80 times a second, and collects what it says.
fn pace(mut publish: impl FnMut() -> Duration) -> Vec<Duration> {
    let start = Instant::now();
    let mut samples = Vec::new();
    for turn in 0..PACED_FRAMES {
        let due = start + PACE * turn;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let took = publish();
        // The first ones find cold caches and readers that were never polled.
        if turn >= 40 {
            samples.push(took);
        }
    }
    samples
}

/// How late each frame was published while readers poured in.
fn joins() -> Vec<Duration> {
    let mut bus = Bus::new(Instant::now());
    let payload = payload();
    let (mut samples, mut joined) = (Vec::new(), 0);
    let start = Instant::now();
    for turn in 0..PACED_FRAMES {
        let due = start + PACE * turn;
        let storm = start + Duration::from_secs(2);
        while joined < 2_000 {
            let comes = storm + Duration::from_micros(500) * joined;
            if comes >= due {
                break;
            }
            thread::sleep(comes.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            bus.join(now);
            bus.drain(now);
            joined += 1;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        bus.push(now, &payload);
        if joined > 0 && joined < 2_000 {
            samples.push(due.elapsed());
        }
        bus.drain(now);
    }
    samples
}

fn arcly_handle() -> (Arc<arcly::Engine>, arcly::StreamHandle) {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let engine = arcly::Engine::builder()
        .application(arcly::AppSpec::new("live").broadcast_capacity(8192))
        .build();
    let key = arcly::StreamKey::new("live", "bench");
    let handle = runtime.block_on(engine.start_publish(&key)).unwrap();
    (engine, handle)
}

fn arcly_frame(number: i64, payload: &Bytes) -> arcly::MediaFrame {
    let at = number * 12;
    let keyframe = number % GROUP == 0;
    arcly::MediaFrame::new_video(at, at, payload.clone(), arcly::CodecId::H264, keyframe)
}

fn frame(number: i64, payload: &Bytes) -> Frame {
    let at = Timestamp::new(number * 1_125, NonZeroU32::new(90_000).unwrap());
    Frame {
        track: TrackId::VIDEO,
        codec: Codec::H264,
        pts: at,
        dts: at,
        duration: None,
        keyframe: number % GROUP == 0,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data: payload.clone(),
    }
}

fn payload() -> Bytes {
    vec![0; 1_200].into()
}

fn key() -> StreamKey {
    StreamKey::new("live", "bench").unwrap()
}

fn percentiles(mut samples: Vec<Duration>) -> (f64, f64) {
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1e6;
    (at(50), at(99))
}

#[expect(clippy::cast_precision_loss, reason = "a measure")]
fn per_second(frames: u64, cpu_before: f64) -> f64 {
    frames as f64 / (cpu_seconds() - cpu_before)
}

/// User and system time of this process (`proc_pid_stat(5)`, fields 14 and 15, in hundredths of a second).
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / 100.0
}

const MEASURED: Duration = Duration::from_secs(2);
const PACED_READERS: usize = 10_000;
const PACE: Duration = Duration::from_micros(12_500);
const PACED_FRAMES: u32 = 400;
/// Two seconds of frames.
const GROUP: i64 = 160;
