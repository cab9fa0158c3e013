//! Streams that ffmpeg 5.1 coded (x264, x265, libvpx, libaom, SVT-AV1, its own AAC, libopus), in their plainest files.

#![expect(
    clippy::unwrap_used,
    reason = "a stream that cannot be read fails the test"
)]

use std::path::Path;

use sluice_media::Av1Obus;

pub(crate) fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    std::fs::read(folder.join(name)).unwrap()
}

/// The frames of an IVF file.
pub(crate) fn ivf(name: &str) -> Vec<Vec<u8>> {
    let file = read(name);
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let size = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let (frame, after) = after.split_at(size.try_into().unwrap());
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

/// The temporal units of an OBU file, delimiter included.
pub(crate) fn temporal_units(name: &str) -> Vec<Vec<u8>> {
    let file = read(name);
    let mut units: Vec<Vec<u8>> = Vec::new();
    for obu in Av1Obus::new(&file) {
        if obu.kind() == 2 {
            units.push(Vec::new());
        }
        obu.write(units.last_mut().unwrap());
    }
    units
}

/// The packets of an Ogg file, as long as none is longer than a page.
pub(crate) fn ogg(name: &str) -> Vec<Vec<u8>> {
    let file = read(name);
    let mut rest = file.as_slice();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let segments = usize::from(rest[26]);
        let (head, mut body) = rest.split_at(27 + segments);
        let mut packet = Vec::new();
        for &size in &head[27..] {
            let (segment, after) = body.split_at(usize::from(size));
            packet.extend_from_slice(segment);
            body = after;
            if size < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = body;
    }
    packets
}
