//! What every synthetic packet says about itself, so that a receiver knows what it should be.

/// The identity of a packet, written at the end of its payload where no SFU looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The encoder that made it, unique in a run: one per published layer and life of a track.
    pub encoder: u32,
    /// Number of the frame, counted from 0.
    pub frame: u32,
    /// Number of the packet, counted from 0 over the encoder's life.
    pub packet: u32,
    /// Its place in the frame.
    pub index: u8,
    /// Packets of the frame.
    pub count: u8,
    /// Whether the frame is a keyframe.
    pub keyframe: bool,
    /// Temporal layer.
    pub temporal: u8,
}

impl Stamp {
    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        for number in [MAGIC, self.encoder, self.frame, self.packet] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let keyframe = u8::from(self.keyframe);
        out.extend_from_slice(&[self.index, self.count, keyframe, self.temporal]);
    }

    /// Reads it back; none of anything we did not make.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let tail = payload.last_chunk::<LENGTH>()?;
        let number = |at: usize| {
            let bytes = tail.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        (number(0)? == MAGIC).then_some(())?;
        Some(Self {
            encoder: number(4)?,
            frame: number(8)?,
            packet: number(12)?,
            index: tail[16],
            count: tail[17],
            keyframe: tail[18] != 0,
            temporal: tail[19],
        })
    }
}

const MAGIC: u32 = 0x51_d0_c0_de;
/// Bytes it takes.
pub(crate) const LENGTH: usize = 20;
