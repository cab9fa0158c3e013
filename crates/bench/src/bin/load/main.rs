//! Drives a running server through its WHIP and WHEP endpoints with str0m clients over loopback.
//!
//! `load --host 127.0.0.1:8080 --pid PID [--receivers 50] [--pps 1000] [--seconds 10] [--warm 3]
//! [--at /rooms/bench] [--payload 1200] [--transport-cc] [--video 1] [--audio 0]`
//! publishes VP8 frames of four packets and prints one line of JSON: packets received and lost, the
//! server's CPU, packets per CPU-second, memory per receiver.
//! `--latency` reads some receivers as soon as something comes and adds the time from the publisher's
//! send to the receiver's read. `--idle` publishes nothing and counts the shards' wake-ups.

mod crowd;
mod prompt;
mod publisher;

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crowd::Crowd;
use prompt::Prompt;
use publisher::Publisher;
use sluice_bench::{Arguments, Line, Outcome, Usage, percentile};

fn main() -> Outcome<()> {
    let arguments = Arguments::read();
    let host: String = arguments.value("host", "127.0.0.1:8080".to_owned())?;
    let pid: String = arguments.value("pid", "self".to_owned())?;
    let at: String = arguments.value("at", "/rooms/bench".to_owned())?;
    let receivers: usize = arguments.value("receivers", 50)?;
    let seconds: u64 = arguments.value("seconds", 10)?;
    let warm: u64 = arguments.value("warm", 3)?;
    let idle = arguments.has("idle");
    let transport_cc = arguments.has("transport-cc");
    let mut lines = vec![Line::ReceiveVideo; arguments.value("video", 1)?];
    lines.extend(vec![Line::ReceiveAudio; arguments.value("audio", 0)?]);
    let epoch = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));

    let empty = Usage::of(&pid)?;
    let publisher = if idle {
        None
    } else {
        let options = publisher_options(&arguments)?;
        let path = format!("{at}/whip");
        Some(Publisher::start(
            &host,
            &path,
            options,
            epoch,
            Arc::clone(&stop),
        )?)
    };
    let path = format!("{at}/whep");
    let prompt = if arguments.has("latency") {
        PROMPT.min(receivers)
    } else {
        0
    };
    let crowd = Crowd::start(Arc::clone(&stop));
    let mut prompts = Vec::new();
    for number in 0..receivers {
        // The prompt ones are spread over the order in which the server serves them.
        if prompt > 0 && number % (receivers / prompt) == 0 && prompts.len() < prompt {
            prompts.push(Prompt::join(
                &host,
                &path,
                &lines,
                transport_cc,
                epoch,
                Arc::clone(&stop),
            )?);
        } else {
            crowd.join(&host, &path, &lines, transport_cc)?;
        }
        std::thread::sleep(JOIN_INTERVAL);
    }
    crowd.wait_connected(receivers - prompts.len(), JOIN_TIMEOUT)?;
    std::thread::sleep(Duration::from_secs(warm));

    let before = (Usage::of(&pid)?, crowd.received(), Instant::now());
    let sent_before = publisher.as_ref().map_or(0, Publisher::sent);
    for prompt in &prompts {
        prompt.record(true);
    }
    std::thread::sleep(Duration::from_secs(seconds));
    for prompt in &prompts {
        prompt.record(false);
    }
    let used = Usage::of(&pid)? - before.0;
    let sent = publisher.as_ref().map_or(0, Publisher::sent) - sent_before;
    let elapsed = before.2.elapsed();
    // The last of them are still on their way.
    std::thread::sleep(Duration::from_millis(20));
    let received = crowd.received() - before.1;
    let resident = Usage::of(&pid)? - empty;
    stop.store(true, Ordering::Relaxed);
    let mut latencies: Vec<Duration> = Vec::new();
    for prompt in prompts {
        latencies.extend(prompt.finish()?);
    }
    crowd.finish()?;
    if let Some(publisher) = publisher {
        publisher.finish()?;
    }

    let expected = sent * u64::try_from(receivers - prompt)?;
    print(&Report {
        receivers,
        elapsed,
        expected,
        received,
        used,
        resident,
        latencies,
    })
}

fn publisher_options(arguments: &Arguments) -> Outcome<publisher::Options> {
    Ok(publisher::Options {
        packets_per_second: arguments.value("pps", 1000)?,
        payload_bytes: arguments.value("payload", 1200)?,
    })
}

struct Report {
    receivers: usize,
    elapsed: Duration,
    expected: u64,
    received: u64,
    used: Usage,
    resident: Usage,
    latencies: Vec<Duration>,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn print(report: &Report) -> Outcome<()> {
    let seconds = report.elapsed.as_secs_f64();
    let cpu = report.used.cpu.as_secs_f64();
    let lost = report.expected.saturating_sub(report.received) as f64;
    let mut text = format!(
        "{{\"receivers\":{},\"seconds\":{seconds:.2},\"expected\":{},\"received\":{},\
         \"lost\":{:.6},\"cpuSeconds\":{cpu:.2},\"cpuShare\":{:.4},\"packetsPerCpuSecond\":{:.0},\
         \"bytesPerReceiver\":{:.0},\"wakeupsPerSecond\":{:.1}",
        report.receivers,
        report.expected,
        report.received,
        lost / report.expected.max(1) as f64,
        cpu / seconds,
        report.received as f64 / cpu.max(0.001),
        report.resident.resident_bytes as f64 / report.receivers.max(1) as f64,
        report.used.shard_wakeups as f64 / seconds,
    );
    let mut sorted = report.latencies.clone();
    sorted.sort_unstable();
    for (name, per_mille) in [("p50", 500), ("p99", 990), ("p999", 999)] {
        if let Some(latency) = percentile(&sorted, per_mille) {
            write!(text, ",\"{name}Ms\":{:.3}", latency.as_secs_f64() * 1000.0)?;
        }
    }
    writeln!(std::io::stdout(), "{text}}}")?;
    Ok(())
}

/// Slow enough that a join never delays media noticeably.
const JOIN_INTERVAL: Duration = Duration::from_millis(4);
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Receivers that are read at once.
const PROMPT: usize = 5;
