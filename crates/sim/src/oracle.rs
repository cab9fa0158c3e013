//! Judges what every subscriber slot sent and what its browser got, after a run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use sluice_media::Codec;

use crate::browser::{Arrival, RtpHead};
use crate::stamp::Stamp;
use crate::world::{Way, World};

/// Something that must not be.
#[derive(Debug, Clone)]
pub struct Violation {
    /// When, since the start of the run.
    pub at: Duration,
    /// What.
    pub what: String,
}

/// A header the registry wrote.
#[derive(Debug, Clone, Copy)]
pub struct Emitted {
    /// When.
    pub at: Instant,
    /// As it is on the wire.
    pub head: RtpHead,
}

/// All packets ever made and those the uplinks lost.
struct Truth {
    made: HashMap<u32, Vec<Stamp>>,
    way: HashMap<(u32, u32), Way>,
    origin: Instant,
}

impl World {
    /// Judges every slot of every browser, and every keyframe request.
    pub fn judge(&mut self) {
        let mut truth = Truth {
            made: HashMap::new(),
            way: HashMap::new(),
            origin: self.origin,
        };
        for peer in &self.peers {
            truth
                .made
                .extend(peer.browser.made.iter().map(|(k, v)| (*k, v.clone())));
            truth.way.extend(&peer.way);
        }
        let mut found = Vec::new();
        for (index, peer) in self.peers.iter().enumerate() {
            let mut slots: BTreeMap<u32, BTreeMap<u64, &Arrival>> = BTreeMap::new();
            for arrival in &peer.browser.arrivals {
                slots
                    .entry(arrival.ssrc)
                    .or_default()
                    .insert(arrival.seq, arrival);
            }
            for (ssrc, arrivals) in slots {
                let emitted = peer.emitted.get(&ssrc).map_or(&[][..], Vec::as_slice);
                let mut slot = Slot {
                    truth: &truth,
                    emitted: HashMap::new(),
                    last: 0,
                    arrivals: &arrivals,
                    found: Vec::new(),
                };
                slot.judge(emitted);
                let name = format!("peer {index} ssrc {ssrc:x}");
                found.extend(slot.found.into_iter().map(|(at, what)| Violation {
                    at: at - self.origin,
                    what: format!("{name}: {what}"),
                }));
            }
            // Jitter and queues can bring two requests nearer to each other than they were sent.
            let profile = peer.down.profile();
            let slack = profile.jitter + profile.reorder_by + Duration::from_millis(2);
            let slack = slack
                + profile
                    .rate
                    .map_or(Duration::ZERO, |_| Duration::from_millis(400));
            // str0m does not look for replayed SRTCP: a doubled datagram is a doubled request.
            let doubled = (profile.duplicate > 0.0).then_some(slack);
            let mut last: HashMap<(u32, u32), (Instant, bool)> = HashMap::new();
            for (at, encoder, life) in &peer.browser.keyframe_requests {
                // A request to a track that was stopped may arrive in the life of the next one.
                let own = *life == 0 || last.contains_key(&(*encoder, *life));
                if let Some((before, true)) = last.insert((*encoder, *life), (*at, own))
                    && *at - before + slack < Duration::from_secs(1)
                    && doubled.is_none_or(|within| *at - before > within)
                {
                    found.push(Violation {
                        at: *at - self.origin,
                        what: format!(
                            "peer {index} encoder {encoder}: keyframe requests {:?} apart",
                            *at - before
                        ),
                    });
                }
            }
            for error in &peer.browser.errors {
                found.push(Violation {
                    at: Duration::ZERO,
                    what: format!("peer {index}: {error}"),
                });
            }
            if peer.disconnects.len() > 1
                || (self.is_present(index) == (peer.disconnects.len() == 1))
            {
                found.push(Violation {
                    at: self.elapsed(),
                    what: format!("peer {index} disconnected {:?}", peer.disconnects),
                });
            }
        }
        self.violations.extend(found.into_iter().take(20));
    }
}

/// One SSRC of one subscriber.
struct Slot<'a> {
    truth: &'a Truth,
    /// By extended sequence number.
    emitted: HashMap<u64, Emitted>,
    /// The number written last: what is above it may have been overtaken in the pacer's queue and wait there yet.
    last: u64,
    arrivals: &'a BTreeMap<u64, &'a Arrival>,
    found: Vec<(Instant, String)>,
}

/// How one packet follows another in a slot.
enum Step {
    /// The same encoding goes on; so many of its packets were left out on purpose.
    Goes { closed: i64 },
    /// Another source, or the same from another place.
    Switch,
}

impl Slot<'_> {
    fn judge(&mut self, emitted: &[Emitted]) {
        self.extend(emitted);
        let packets: Vec<&Arrival> = self.arrivals.values().copied().collect();
        if let Some(first) = packets.first()
            && emitted
                .first()
                .is_some_and(|e| e.head.sequence == low(first.seq))
        {
            self.starts_on_keyframe(first, "the first packet");
        }
        // How long the registry went on with the encoding a packet belongs to.
        let mut until = vec![None; packets.len()];
        for index in (0..packets.len()).rev() {
            // A pacer may write it much later.
            let stamp = packets[index].stamp;
            let way = stamp.and_then(|s| self.truth.way.get(&(s.encoder, s.packet)));
            let own = way.and_then(|(_, arrived)| *arrived);
            let goes = packets.get(index + 1).is_some_and(|next| {
                let stamps = packets[index].stamp.zip(next.stamp);
                stamps.is_some_and(|(old, new)| {
                    // Who left and came back begins with a keyframe, perhaps the very next packet.
                    let may_begin = new.keyframe && new.index == 0;
                    let step = self.step(packets[index], next, old, new);
                    !may_begin && matches!(step, Step::Goes { .. })
                })
            });
            until[index] = if goes { own.max(until[index + 1]) } else { own };
        }
        for (pair, until) in packets.windows(2).zip(&until) {
            if let [before, after] = pair {
                self.pair(before, after, *until);
            }
        }
        self.frames(&packets);
        if let Some(first) = packets.iter().find(|p| p.stamp.is_none()) {
            self.found
                .push((first.at, "a payload without its stamp".to_owned()));
        }
    }

    /// Extends the 16-bit numbers and looks for collisions.
    fn extend(&mut self, emitted: &[Emitted]) {
        let Some(first) = self.arrivals.keys().next().copied() else {
            return;
        };
        let mut newest = first;
        for packet in emitted {
            let ahead = i64::from(packet.head.sequence.wrapping_sub(low(newest)).cast_signed());
            let Some(seq) = newest.checked_add_signed(ahead) else {
                continue;
            };
            newest = newest.max(seq);
            self.last = seq;
            if let Some(before) = self.emitted.insert(seq, *packet) {
                let same = before.head == packet.head;
                self.found
                    .push((packet.at, format!("sequence {seq} twice, same: {same}")));
            }
        }
    }

    fn pair(&mut self, before: &Arrival, after: &Arrival, until: Option<Instant>) {
        let (Some(old), Some(new)) = (before.stamp, after.stamp) else {
            return;
        };
        let missing = (before.seq + 1..after.seq).filter(|seq| !self.emitted.contains_key(seq));
        let waiting = missing.clone().filter(|seq| *seq > self.last).count();
        let holes = missing.count();
        let on_wire = usize::try_from(after.seq - before.seq - 1).unwrap_or(usize::MAX) - holes;
        let step = self.step(before, after, old, new);
        let upstream = match step {
            Step::Goes { .. } => self.lost(old.encoder, old.packet + 1, new.packet, until),
            Step::Switch => {
                self.lost(old.encoder, old.packet + 1, old.packet + 100, until)
                    + self.lost(
                        new.encoder,
                        new.packet.saturating_sub(100),
                        new.packet,
                        None,
                    )
            }
        };
        if holes > upstream + waiting {
            self.found.push((
                after.at,
                format!("{holes} sequence numbers left out, {upstream} lost before us, between {old:?} as {} and {new:?} as {}; {}", before.seq, after.seq, self.ways(old, new)),
            ));
        }
        if matches!(step, Step::Switch) && on_wire == 0 {
            self.starts_on_keyframe(after, "a switch");
        }
        let same_frame = matches!(step, Step::Goes { .. }) && old.frame == new.frame;
        if same_frame && before.time != after.time {
            self.found
                .push((after.at, format!("two timestamps in one frame {new:?}")));
        }
        if !same_frame && after.time <= before.time {
            self.found.push((
                after.at,
                format!(
                    "timestamp {} after {}: {old:?} then {new:?}",
                    after.time, before.time
                ),
            ));
        }
        self.pictures(before, after, old, new, &step, on_wire + holes);
    }

    fn step(&self, before: &Arrival, after: &Arrival, old: Stamp, new: Stamp) -> Step {
        if old.encoder != new.encoder || new.packet <= old.packet {
            return Step::Switch;
        }
        let source = i64::from(new.packet - old.packet);
        let closed = source - (after.seq - before.seq).cast_signed();
        let droppable = self
            .between(old, new)
            .filter(|stamp| stamp.temporal > 0)
            .count();
        if (0..=i64::try_from(droppable).unwrap_or_default()).contains(&closed) {
            Step::Goes { closed }
        } else {
            Step::Switch
        }
    }

    /// The packets made after `old` and before `new`.
    fn between(&self, old: Stamp, new: Stamp) -> impl Iterator<Item = &Stamp> {
        let made = self.truth.made.get(&old.encoder);
        made.into_iter()
            .flatten()
            .skip(old.packet as usize + 1)
            .take((new.packet - old.packet) as usize - 1)
    }

    /// When the packets around a hole left and arrived.
    fn ways(&self, old: Stamp, new: Stamp) -> String {
        let way = |packet| {
            let (left, arrived) = self.truth.way.get(&(new.encoder, packet))?;
            Some((
                packet,
                *left - self.truth.origin,
                arrived.map(|at| at - self.truth.origin),
            ))
        };
        let from = if old.encoder == new.encoder {
            old.packet
        } else {
            new.packet.saturating_sub(3)
        };
        format!(
            "{:?}",
            (from..=new.packet)
                .take(20)
                .filter_map(way)
                .collect::<Vec<_>>()
        )
    }

    /// How many of these packets did not arrive at the server, or only when the slot had gone on to something else:
    /// a switch does not wait for stragglers.
    fn lost(&self, encoder: u32, from: u32, to: u32, until: Option<Instant>) -> usize {
        (from..to)
            .filter(|packet| {
                let way = self.truth.way.get(&(encoder, *packet));
                way.and_then(|(_, arrived)| *arrived)
                    .is_none_or(|arrived| until.is_some_and(|until| arrived > until))
            })
            .count()
    }

    fn starts_on_keyframe(&mut self, packet: &Arrival, what: &str) {
        if let Some(stamp) = packet.stamp
            && !(stamp.keyframe && stamp.index == 0)
        {
            self.found.push((
                packet.at,
                format!(
                    "{what} does not start a keyframe: {stamp:?} as {}",
                    packet.seq
                ),
            ));
        }
    }

    fn pictures(
        &mut self,
        before: &Arrival,
        after: &Arrival,
        old: Stamp,
        new: Stamp,
        step: &Step,
        between: usize,
    ) {
        let (Some(a), Some(b)) = (before.info.picture_id, after.info.picture_id) else {
            return;
        };
        let ahead = i64::from(b.wrapping_sub(a) & 0x7fff);
        let tl0 = match (before.info.tl0_picture_index, after.info.tl0_picture_index) {
            (Some(a), Some(b)) => Some(i64::from(b.wrapping_sub(a))),
            _ => None,
        };
        let allowed = match step {
            Step::Goes { closed } => {
                let frames = i64::from(new.frame - old.frame);
                if *closed == 0 {
                    self.base_layer(after, old, new, tl0);
                    frames..=frames
                } else {
                    i64::from(frames > 0)..=frames
                }
            }
            Step::Switch => 1..=i64::try_from(between).unwrap_or_default() + 1,
        };
        if !allowed.contains(&ahead) {
            self.found.push((
                after.at,
                format!("picture id {a} then {b}, expected {allowed:?} ahead: {old:?} as {}, {new:?} as {}", before.seq, after.seq),
            ));
        }
        if matches!(step, Step::Switch) && between == 0 && tl0.is_some_and(|ahead| ahead != 1) {
            self.found
                .push((after.at, format!("TL0PICIDX {tl0:?} ahead at a switch")));
        }
    }

    fn base_layer(&mut self, after: &Arrival, old: Stamp, new: Stamp, ahead: Option<i64>) {
        let frames: HashSet<u32> = self
            .between(old, new)
            .chain(std::iter::once(&new))
            .filter(|s| s.temporal == 0 && s.frame > old.frame)
            .map(|s| s.frame)
            .collect();
        let expected = i64::try_from(frames.len() % 256).unwrap_or_default();
        if ahead.is_some_and(|ahead| ahead != expected) {
            self.found.push((
                after.at,
                format!("TL0PICIDX {ahead:?} ahead instead of {expected}: {old:?} {new:?}"),
            ));
        }
    }

    /// What a depacketizer would take for whole frames must be whole frames.
    fn frames(&mut self, packets: &[&Arrival]) {
        let mut run: Vec<&Arrival> = Vec::new();
        let mut found = Vec::new();
        for packet in packets {
            let contiguous = run.last().is_some_and(|last| last.seq + 1 == packet.seq);
            let same = run.last().is_some_and(|last| last.time == packet.time);
            let begins = match packet.codec {
                // Its start is where the timestamp changes.
                Codec::H264 => !same && (contiguous || packet.info.resolution.is_some()),
                _ => packet.info.starts_frame,
            };
            if begins {
                run.clear();
            } else if !contiguous || !same {
                // A run that begins in the middle is nothing.
                run.clear();
                continue;
            }
            run.push(packet);
            if !packet.marker && packet.codec != Codec::Opus {
                continue;
            }
            let whole = run.iter().zip(0_u8..).all(|(p, index)| {
                p.stamp.is_some_and(|s| {
                    let head = run.first().and_then(|p| p.stamp);
                    s.index == index
                        && usize::from(s.count) == run.len()
                        && head.is_some_and(|h| h.encoder == s.encoder && h.frame == s.frame)
                })
            });
            if !whole {
                let stamps: Vec<_> = run.iter().map(|p| p.stamp).collect();
                found.push((packet.at, format!("looks whole, is not: {stamps:?}")));
            }
            // Keeps the last one, so that H.264 sees that the next is contiguous.
            run.drain(..run.len() - 1);
        }
        self.found.extend(found);
    }
}

fn low(seq: u64) -> u16 {
    u16::try_from(seq & 0xffff).unwrap_or_default()
}
