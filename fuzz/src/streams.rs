//! What must hold for a stranger's packets on their way into frames, and for his clocks.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use sluice_media::{Codec, Timestamp, TrackId};
use sluice_rtp::{
    AccessUnit, Depacketized, Depacketizer, NtpTime, Packet, Packetizer, PacketizerOptions,
    ReorderBuffer, ReorderLimits, SenderInfo, Timeline,
};

/// A byte that picks the codec, then packets: a byte of flags (marker, next timestamp, gap before), a length, a
/// payload. Each unit can be packetized, and comes back the same; none but a keyframe follows damage.
pub fn depacketize(data: &[u8]) {
    let Some((&selector, mut rest)) = data.split_first() else {
        return;
    };
    let codec = Codec::KNOWN[usize::from(selector) % Codec::KNOWN.len()];
    let Some(mut depacketizer) = Depacketizer::new(codec) else {
        return;
    };
    let (mut sequence, mut timestamp) = (0, 0_u32);
    let mut out = Vec::new();
    while let [flags, length, payload @ ..] = rest {
        let (payload, later) = payload.split_at(usize::from(*length).min(payload.len()));
        rest = later;
        sequence += 1 + u64::from(flags >> 2 & 1);
        timestamp = timestamp.wrapping_add(u32::from(flags >> 1 & 1) * 3_000);
        let packet = Packet {
            sequence,
            timestamp,
            marker: flags & 1 != 0,
            payload: payload.to_vec().into(),
        };
        depacketizer.handle_packet(packet, &mut out);
    }
    depacketizer.finish(&mut out);
    let mut decodes = false;
    let mut bytes = 0;
    for event in &out {
        match event {
            Depacketized::Damaged(_) => decodes = false,
            Depacketized::Unit(unit) => {
                assert!(decodes || unit.keyframe);
                decodes = true;
                bytes += unit.data.len();
                comes_back(codec, unit);
            }
        }
    }
    // A fragment becomes a NAL unit behind four bytes, an element of one byte an OBU of two.
    assert!(bytes <= data.len() * 5);
}

fn comes_back(codec: Codec, unit: &AccessUnit) {
    assert!(!unit.data.is_empty());
    if !unit.keyframe {
        return;
    }
    let rate = NonZeroU32::new(codec.clock_rate()).expect("known codecs have a rate");
    let frame = unit
        .clone()
        .into_frame(TrackId::VIDEO, codec, Timestamp::new(0, rate));
    let mut options = PacketizerOptions::default();
    options.max_packet_bytes = 60;
    let mut packetizer = Packetizer::new(codec, &options).expect("what comes in goes out");
    let mut payloads = Vec::new();
    packetizer
        .packetize(&frame, &mut payloads)
        .expect("a unit is in the form of a frame");
    let mut depacketizer = Depacketizer::new(codec).expect("it was made before");
    let mut out = Vec::new();
    for (sequence, payload) in (1..).zip(payloads) {
        let packet = Packet {
            sequence,
            timestamp: payload.ticks(),
            marker: payload.marker(),
            payload: payload.into_bytes(),
        };
        depacketizer.handle_packet(packet, &mut out);
    }
    let mut back = Vec::new();
    for event in out {
        match event {
            Depacketized::Unit(unit) => back.extend_from_slice(&unit.data),
            Depacketized::Damaged(damage) => panic!("{damage:?}"),
        }
    }
    assert_eq!(back, unit.data);
}

/// Packets of five bytes: milliseconds since the one before, SSRC, sequence number, whether to poll. Numbers rise,
/// each packet comes out at most once, the bounds hold, and at the deadline a packet comes out.
pub fn reorder(data: &[u8]) {
    let mut limits = ReorderLimits::default();
    limits.max_packets = 16;
    let mut buffer = ReorderBuffer::new(limits);
    let mut now = Instant::now();
    let (mut last, mut taken) = (None, 0);
    for (index, packet) in data.chunks_exact(5).enumerate() {
        let &[milliseconds, ssrc, high, low, polls] = packet else {
            continue;
        };
        now += Duration::from_millis(u64::from(milliseconds));
        let sequence = u16::from_be_bytes([high, low]);
        buffer.handle_packet(now, u32::from(ssrc & 1), sequence, index);
        assert!(buffer.len() <= 16);
        if polls & 1 == 0 {
            continue;
        }
        while let Some(packet) = buffer.poll_packet(now) {
            assert!(last.is_none_or(|last| packet.sequence > last));
            assert!(packet.arrival <= now && packet.item <= index);
            last = Some(packet.sequence);
            taken += 1;
        }
        assert_eq!(buffer.next_deadline().is_some(), !buffer.is_empty());
        if let Some(deadline) = buffer.next_deadline() {
            assert!(deadline > now && deadline <= now + limits.max_wait);
        }
    }
    if let Some(deadline) = buffer.next_deadline() {
        assert!(buffer.poll_packet(deadline).is_some());
        taken += 1;
    }
    let stats = buffer.stats();
    assert!(taken <= stats.received - stats.duplicates - stats.late);
}

/// Ten bytes each: a byte that picks the track and whether a report or a packet, a byte of time, an RTP timestamp,
/// four bytes of NTP seconds. Time goes the way RTP time goes.
pub fn timeline(data: &[u8]) {
    let rates = [90_000, 48_000, 8_000, 1];
    let mut timeline = Timeline::new();
    for (number, rate) in (0..).zip(rates) {
        let rate = NonZeroU32::new(rate).expect("none of them is zero");
        assert!(timeline.add_track(TrackId::new(number), rate));
    }
    let mut now = Instant::now();
    let mut last: [Option<(u32, Timestamp)>; 4] = [None; 4];
    for step in data.chunks_exact(10) {
        let &[kind, passed, t0, t1, t2, t3, n0, n1, n2, n3] = step else {
            continue;
        };
        let (index, track) = (usize::from(kind & 3), TrackId::new(u16::from(kind & 3)));
        let rtp_timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        now += Duration::from_millis(u64::from(passed) * 8);
        if kind & 0x80 != 0 {
            let seconds = u64::from(u32::from_be_bytes([n0, n1, n2, n3]));
            let report = SenderInfo {
                ntp: NtpTime::from_bits(seconds << 32),
                rtp_timestamp,
                packets: 0,
                octets: 0,
            };
            timeline.handle_report(track, report);
            continue;
        }
        if kind & 0x40 != 0 {
            timeline.restart_track(track);
        }
        let moment = timeline
            .locate(track, rtp_timestamp, now)
            .expect("the track was added");
        if let Some((before, pts)) = last[index]
            && !moment.discontinuity
        {
            let onwards = rtp_timestamp.wrapping_sub(before) < 1 << 31;
            let (early, late) = if onwards {
                (pts, moment.pts)
            } else {
                (moment.pts, pts)
            };
            assert!(early <= late, "{early:?} and {late:?}, {onwards}");
        }
        last[index] = Some((rtp_timestamp, moment.pts));
    }
}
