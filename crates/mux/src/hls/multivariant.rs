//! The multivariant playlist: which renditions there are (RFC 8216 §4.3.4).

use std::fmt::Write;

use bytes::Bytes;

use super::playlist::Bandwidth;
use crate::MuxError;

/// One way to play the stream: a media playlist with its picture and sound, e.g. one simulcast layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Of its media playlist, relative to the multivariant one.
    pub uri: String,
    /// The codec strings of all its tracks (RFC 6381), joined by commas, with those of its audio group.
    pub codecs: String,
    /// What it needs, its audio group included.
    pub bandwidth: Bandwidth,
    /// Width and height of the picture, where there is one.
    pub resolution: Option<(u32, u32)>,
    /// Pictures per thousand seconds, where known: 29 970 for NTSC.
    pub frames_per_thousand_seconds: Option<u32>,
    /// The group of [`AudioRendition`]s it is played with, where its sound is apart.
    pub audio_group: Option<String>,
}

/// Sound in a playlist of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioRendition {
    /// The group that variants name.
    pub group: String,
    /// Its name for people.
    pub name: String,
    /// Of its media playlist, relative to the multivariant one.
    pub uri: String,
    /// RFC 5646, where known.
    pub language: Option<String>,
    /// Played when nobody chooses.
    pub default: bool,
}

/// Writes the multivariant playlist of these variants, in their order: players begin with the first.
///
/// # Errors
///
/// [`MuxError::BadText`] when a text is empty, longer than 1024 bytes, or has quotes or control characters.
pub fn multivariant(variants: &[Variant], audio: &[AudioRendition]) -> Result<Bytes, MuxError> {
    let texts = variants
        .iter()
        .flat_map(|variant| {
            [
                Some(&variant.uri),
                Some(&variant.codecs),
                variant.audio_group.as_ref(),
            ]
        })
        .chain(audio.iter().flat_map(|audio| {
            [
                Some(&audio.group),
                Some(&audio.name),
                Some(&audio.uri),
                audio.language.as_ref(),
            ]
        }));
    if !texts.flatten().all(|text| is_attribute_text(text))
        || variants.iter().any(|variant| variant.uri.starts_with('#'))
    {
        return Err(MuxError::BadText);
    }
    let mut out = String::with_capacity(256);
    out.push_str("#EXTM3U\n#EXT-X-VERSION:9\n");
    // Writing to a string never fails.
    for rendition in audio {
        let _ = write_audio(&mut out, rendition);
    }
    for variant in variants {
        let _ = write_variant(&mut out, variant);
    }
    Ok(Bytes::from(out))
}

/// Whether a text may stand between the quotes of an attribute, or on a line (RFC 8216 §4.2).
pub(super) fn is_attribute_text(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TEXT
        && !text.chars().any(|char| char == '"' || char.is_control())
}

fn write_audio(out: &mut String, audio: &AudioRendition) -> std::fmt::Result {
    let yes = if audio.default { "YES" } else { "NO" };
    let (group, name, uri) = (&audio.group, &audio.name, &audio.uri);
    write!(
        out,
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{name}\",DEFAULT={yes},AUTOSELECT=YES"
    )?;
    if let Some(language) = &audio.language {
        write!(out, ",LANGUAGE=\"{language}\"")?;
    }
    writeln!(out, ",URI=\"{uri}\"")
}

fn write_variant(out: &mut String, variant: &Variant) -> std::fmt::Result {
    let bandwidth = &variant.bandwidth;
    // BANDWIDTH is a bound: at least one, so that a variant without a segment yet is valid.
    let peak = bandwidth.peak_bits_per_second.max(1);
    let average = bandwidth.average_bits_per_second.max(1);
    write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\"",
        variant.codecs
    )?;
    if let Some((width, height)) = variant.resolution {
        write!(out, ",RESOLUTION={width}x{height}")?;
    }
    if let Some(rate) = variant.frames_per_thousand_seconds {
        write!(out, ",FRAME-RATE={}.{:03}", rate / 1_000, rate % 1_000)?;
    }
    if let Some(group) = &variant.audio_group {
        write!(out, ",AUDIO=\"{group}\"")?;
    }
    writeln!(out, "\n{}", variant.uri)
}

const MAX_TEXT: usize = 1024;
