//! What a sender report says of time and of how much was sent.

use super::NtpTime;

/// The sender information of an RTCP sender report (RFC 3550 §6.4.1), without header and report blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// The sender's wall clock at one moment.
    pub ntp: NtpTime,
    /// The same moment in the track's RTP time.
    pub rtp_timestamp: u32,
    /// RTP packets sent so far, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent so far, modulo 2^32.
    pub octets: u32,
}

impl SenderInfo {
    /// Bytes on the wire.
    pub const SIZE: usize = 20;

    /// Reads it where it stands in a report: behind the sender's SSRC. `None` when it is cut short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (ntp, rest) = bytes.split_first_chunk()?;
        let (rtp_timestamp, rest) = rest.split_first_chunk()?;
        let (packets, rest) = rest.split_first_chunk()?;
        Some(Self {
            ntp: NtpTime::from_bits(u64::from_be_bytes(*ntp)),
            rtp_timestamp: u32::from_be_bytes(*rtp_timestamp),
            packets: u32::from_be_bytes(*packets),
            octets: u32::from_be_bytes(*rest.first_chunk()?),
        })
    }

    /// Appends the [`SIZE`](Self::SIZE) bytes of it.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ntp.bits().to_be_bytes());
        for number in [self.rtp_timestamp, self.packets, self.octets] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_bytes_round_trip_and_nineteen_are_none() {
        let bytes: Vec<u8> = (1..=20).collect();
        let info = SenderInfo::parse(&bytes).unwrap();
        assert_eq!(info.ntp.bits(), 0x0102_0304_0506_0708);
        assert_eq!(info.rtp_timestamp, 0x090a_0b0c);
        assert_eq!((info.packets, info.octets), (0x0d0e_0f10, 0x1112_1314));
        let mut out = Vec::new();
        info.write_to(&mut out);
        assert_eq!(out, bytes);
        assert_eq!(out.len(), SenderInfo::SIZE);
        assert_eq!(SenderInfo::parse(&bytes[..19]), None);
    }
}
