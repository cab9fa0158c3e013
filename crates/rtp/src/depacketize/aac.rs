//! AAC (RFC 3640, AAC-hbr): several access units to a packet, or several packets to a unit.

use bytes::{Bytes, BytesMut};

use super::{AccessUnit, Damage, Depacketized, MAX_AUDIO_BYTES, Packet};

#[derive(Debug, Default)]
pub(super) struct Aac {
    open: Option<Fragment>,
}

#[derive(Debug)]
struct Fragment {
    timestamp: u32,
    /// What the header says the whole unit has.
    size: usize,
    data: BytesMut,
}

impl Aac {
    pub(super) fn handle_packet(
        &mut self,
        packet: &Packet,
        lost: bool,
        out: &mut Vec<Depacketized>,
    ) {
        if lost {
            self.open = None;
            out.push(Depacketized::Damaged(Damage::Lost));
        }
        if packet.payload.is_empty() {
            return;
        }
        let before = out.len();
        if self.units(packet, out).is_none() {
            self.open = None;
            out.truncate(before);
            out.push(Depacketized::Damaged(Damage::Malformed));
        }
    }

    fn units(&mut self, packet: &Packet, out: &mut Vec<Depacketized>) -> Option<()> {
        let mut headers = packet.payload.clone();
        let &length = headers.first_chunk()?;
        drop(headers.split_to(2));
        let bits = usize::from(u16::from_be_bytes(length));
        // AAC-hbr: 13 bits size and 3 bits index, with no further fields (§3.3.6).
        if bits == 0 || bits % 16 != 0 || bits.div_ceil(8) > headers.len() {
            return None;
        }
        let mut data = headers.split_off(bits.div_ceil(8));
        let sizes = headers.chunks_exact(2).map(|header| match header {
            [high, low] => usize::from(u16::from_be_bytes([*high, *low]) >> 3),
            _ => 0,
        });
        if let Some(open) = self.open.take() {
            return self.go_on(open, packet, &mut { sizes }, &data, out);
        }
        let single = headers.len() == 2;
        let mut timestamp = packet.timestamp;
        for size in sizes {
            if single && size > data.len() {
                self.open = (!packet.marker).then(|| Fragment {
                    timestamp,
                    size,
                    data: BytesMut::from(data.as_ref()),
                });
                return self.open.is_some().then_some(());
            }
            if size == 0 || size > data.len() {
                return None;
            }
            out.push(unit(timestamp, data.split_to(size)));
            timestamp = timestamp.wrapping_add(SAMPLES);
        }
        Some(())
    }

    /// Adds a fragment; fragments share timestamp and size (§3.2.3).
    fn go_on(
        &mut self,
        mut open: Fragment,
        packet: &Packet,
        sizes: &mut dyn Iterator<Item = usize>,
        data: &[u8],
        out: &mut Vec<Depacketized>,
    ) -> Option<()> {
        let fits = sizes.next() == Some(open.size) && sizes.next().is_none();
        let size = open.data.len().saturating_add(data.len());
        if !fits
            || packet.timestamp != open.timestamp
            || size > open.size.min(MAX_AUDIO_BYTES)
            || packet.marker != (size == open.size)
        {
            return None;
        }
        open.data.extend_from_slice(data);
        if packet.marker {
            out.push(unit(open.timestamp, open.data.freeze()));
        } else {
            self.open = Some(open);
        }
        Some(())
    }
}

fn unit(timestamp: u32, data: Bytes) -> Depacketized {
    Depacketized::Unit(AccessUnit {
        timestamp,
        keyframe: true,
        discardable: false,
        parameter_sets: Vec::new(),
        data,
    })
}

/// Samples of an AAC-LC unit; the 960 of broadcast is not heard of on RTP.
const SAMPLES: u32 = 1_024;
