//! The rules of low-latency HLS, held against each playlist as a player would see it.
//!
//! Sections are those of draft-pantos-hls-rfc8216bis-16, `CLIENTS.md` §7 in short.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_mux::hls::{MediaPlaylist, PlaylistAnswer, Query, Resource, ResourceAnswer};

/// What earlier versions of a playlist promised.
#[derive(Default)]
pub(crate) struct Lint {
    sequence: u64,
    discontinuity_sequence: u64,
    target: u64,
    part_target: f64,
    hint: Option<String>,
    /// By segment: its lines once complete, and where it lies in the count of discontinuities.
    segments: BTreeMap<u64, (String, u64)>,
    /// By segment and index: whether its length was checked, its duration, and the target then.
    parts: BTreeMap<(u64, u32), (f64, f64)>,
    /// Playlists looked at.
    pub(crate) looked_at: u32,
}

/// A playlist taken apart.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) head: BTreeMap<String, String>,
    pub(crate) segments: Vec<Listed>,
    pub(crate) hint: Option<String>,
    pub(crate) skipped: usize,
    pub(crate) ended: bool,
}

/// One segment of a playlist; without a URI the open one.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) uri: Option<String>,
    pub(crate) duration: f64,
    pub(crate) discontinuity: bool,
    pub(crate) date: Option<String>,
    pub(crate) map: Option<String>,
    /// URI, duration, independent.
    pub(crate) parts: Vec<(String, f64, bool)>,
    pub(crate) lines: String,
}

impl Lint {
    /// Looks at the playlist as it is now, in full and as a delta update, and fetches all it names.
    pub(crate) fn look(&mut self, playlist: &mut MediaPlaylist) -> Listing {
        let text = ready(playlist, Query::default());
        assert_eq!(
            text,
            ready(playlist, Query::default()),
            "the same state, other bytes"
        );
        let listing = parse(&text);
        self.head(&listing);
        self.segments(&listing);
        self.hint(&listing, playlist);
        fetch_all(&listing, playlist);
        delta(&text, &listing, playlist);
        judged_by_m3u8_rs(&text, &listing);
        self.looked_at += 1;
        listing
    }

    fn head(&mut self, listing: &Listing) {
        let target = listing.number("EXT-X-TARGETDURATION") as u64;
        let part_target = listing.attribute("EXT-X-PART-INF", "PART-TARGET");
        let control = "EXT-X-SERVER-CONTROL";
        assert!(listing.head[control].contains("CAN-BLOCK-RELOAD=YES"));
        // §4.4.3.8
        assert!(listing.attribute(control, "PART-HOLD-BACK") >= 3.0 * part_target - 1e-9);
        assert!(listing.attribute(control, "CAN-SKIP-UNTIL") >= 6.0 * target as f64);
        assert!(target >= self.target && part_target >= self.part_target);
        (self.target, self.part_target) = (target, part_target);
        // §6.2.2: neither sequence goes back.
        let sequence = listing.sequence();
        let discontinuities = listing.number("EXT-X-DISCONTINUITY-SEQUENCE") as u64;
        assert!(sequence >= self.sequence, "media sequence went back");
        assert!(discontinuities >= self.discontinuity_sequence);
        (self.sequence, self.discontinuity_sequence) = (sequence, discontinuities);
    }

    fn segments(&mut self, listing: &Listing) {
        let mut era = self.discontinuity_sequence;
        let mut after: f64 = listing.segments.iter().map(Listed::lasts).sum();
        assert!(listing.segments[0].map.is_some());
        for (number, segment) in (listing.sequence()..).zip(&listing.segments) {
            era += u64::from(segment.discontinuity);
            assert!(segment.date.is_some(), "no date on {number}");
            if let Some(uri) = &segment.uri {
                assert_eq!(Resource::parse(uri), Some(Resource::Segment(number)));
                // §4.4.3.1: rounded to the nearest second.
                assert!(
                    segment.duration.round() as u64 <= self.target,
                    "{segment:?}"
                );
                let said = (segment.facts(), era);
                let before = self.segments.entry(number).or_insert_with(|| said.clone());
                assert_eq!(*before, said, "a complete segment changed");
            }
            // §6.2.2: parts only near the edge, but all of the segment that has no other form.
            let old = after > 3.0 * self.target as f64 + 1e-4;
            assert!(segment.uri.is_none() || segment.parts.is_empty() || !old);
            after -= segment.lasts();
            self.parts(number, segment);
        }
    }

    fn parts(&mut self, number: u64, segment: &Listed) {
        for (index, (uri, duration, _)) in (0_u32..).zip(&segment.parts) {
            let segment = number;
            assert_eq!(
                Resource::parse(uri),
                Some(Resource::Part { segment, index })
            );
            let target = self.part_target;
            let (said, then) = *self
                .parts
                .entry((number, index))
                .or_insert((*duration, target));
            assert!((said - duration).abs() < 1e-9, "a part changed");
            // §4.4.4.9: at most the target, at least 85 % of it but for a segment's last.
            assert!(
                *duration <= then + 1e-5,
                "part {uri} of {duration} against {then}"
            );
        }
        let inner = segment.parts.len().saturating_sub(1);
        for (index, (uri, duration, _)) in (0_u32..).zip(&segment.parts).take(inner) {
            let (_, then) = self.parts[&(number, index)];
            assert!(
                *duration >= 0.85 * then - 2e-5,
                "part {uri} of {duration} against {then}"
            );
        }
        if segment.uri.is_some() && !segment.parts.is_empty() {
            let sum: f64 = segment.parts.iter().map(|(_, duration, _)| duration).sum();
            // The last part states the target then when a pause made it longer.
            let (last, then) = self.parts[&(number, inner as u32)];
            let paused = last >= then - 1e-3 && sum < segment.duration;
            assert!(paused || (sum - segment.duration).abs() < 2e-5 * segment.parts.len() as f64);
        }
    }

    /// §6.2.6: what was hinted is there, or still to come.
    fn hint(&mut self, listing: &Listing, playlist: &MediaPlaylist) {
        let fetch = |uri: &str| playlist.resource(Resource::parse(uri).unwrap(), Duration::ZERO);
        if let Some(before) = self.hint.take() {
            let answer = fetch(&before);
            let there = matches!(answer, ResourceAnswer::Ready(_));
            assert!(
                there || listing.ended || listing.hint.as_ref() == Some(&before),
                "{before} hinted in vain"
            );
        }
        if let Some(hint) = &listing.hint {
            assert_eq!(fetch(hint), ResourceAnswer::Wait);
        }
        self.hint.clone_from(&listing.hint);
    }
}

impl Listing {
    pub(crate) fn sequence(&self) -> u64 {
        self.number("EXT-X-MEDIA-SEQUENCE") as u64
    }

    fn number(&self, tag: &str) -> f64 {
        self.head[tag].parse().unwrap()
    }

    fn attribute(&self, tag: &str, name: &str) -> f64 {
        let of = self.head[tag]
            .split(',')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        of.unwrap().parse().unwrap()
    }
}

impl Listed {
    fn lasts(&self) -> f64 {
        if self.uri.is_some() {
            self.duration
        } else {
            self.parts.iter().map(|(_, duration, _)| duration).sum()
        }
    }

    /// What must never change of a complete segment.
    fn facts(&self) -> String {
        format!(
            "{:?} {} {} {:?}",
            self.uri, self.duration, self.discontinuity, self.date
        )
    }
}

pub(crate) fn ready(playlist: &mut MediaPlaylist, query: Query) -> String {
    match playlist.playlist(query, Duration::ZERO) {
        PlaylistAnswer::Ready(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn parse(text: &str) -> Listing {
    let mut listing = Listing::default();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("#EXTM3U"));
    let mut open = Listed::default();
    for line in lines {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        let quoted = || value.split('"').nth(1).unwrap().to_owned();
        let of_segment = !matches!(
            tag,
            "#EXT-X-PRELOAD-HINT" | "#EXT-X-RENDITION-REPORT" | "#EXT-X-ENDLIST" | "#EXT-X-SKIP"
        ) && (!listing.segments.is_empty()
            || !open.lines.is_empty()
            || listing.head.contains_key("EXT-X-DISCONTINUITY-SEQUENCE"));
        if of_segment {
            open.lines += line;
            open.lines += "\n";
        }
        match tag {
            "#EXT-X-SKIP" => listing.skipped = value.split('=').nth(1).unwrap().parse().unwrap(),
            "#EXT-X-DISCONTINUITY" => open.discontinuity = true,
            "#EXT-X-MAP" => open.map = Some(quoted()),
            "#EXT-X-PROGRAM-DATE-TIME" => open.date = Some(value.to_owned()),
            "#EXT-X-PART" => {
                let duration = value.split(['=', ',']).nth(1).unwrap().parse().unwrap();
                open.parts
                    .push((quoted(), duration, value.ends_with("INDEPENDENT=YES")));
            }
            "#EXTINF" => open.duration = value.trim_end_matches(',').parse().unwrap(),
            "#EXT-X-PRELOAD-HINT" => listing.hint = Some(quoted()),
            "#EXT-X-RENDITION-REPORT" => {}
            "#EXT-X-ENDLIST" => listing.ended = true,
            _ if line.starts_with('#') => {
                assert!(!of_segment, "{line}");
                listing.head.insert(tag[1..].to_owned(), value.to_owned());
            }
            uri => {
                open.uri = Some(uri.to_owned());
                listing.segments.push(std::mem::take(&mut open));
            }
        }
    }
    if !open.parts.is_empty() {
        listing.segments.push(open);
    }
    listing
}

fn fetch_all(listing: &Listing, playlist: &MediaPlaylist) {
    let bytes = |uri: &str| match playlist.resource(Resource::parse(uri).unwrap(), Duration::ZERO) {
        ResourceAnswer::Ready(chunks) => chunks.concat(),
        other => panic!("{uri}: {other:?}"),
    };
    for segment in &listing.segments {
        let parts: Vec<u8> = segment
            .parts
            .iter()
            .flat_map(|(uri, ..)| bytes(uri))
            .collect();
        if let Some(uri) = &segment.uri {
            let whole = bytes(uri);
            assert!(!whole.is_empty() && (parts.is_empty() || parts == whole));
        }
        if let Some(map) = &segment.map {
            assert_eq!(&bytes(map)[4..8], b"ftyp");
        }
    }
}

/// §6.2.5.1: the delta update with what it skips put back is the playlist.
fn delta(text: &str, listing: &Listing, playlist: &mut MediaPlaylist) {
    let skip = Query {
        skip: true,
        ..Query::default()
    };
    let short = ready(playlist, skip);
    let skipped = parse(&short).skipped;
    let lines: String = listing.segments[..skipped]
        .iter()
        .map(|segment| segment.lines.as_str())
        .collect();
    if skipped == 0 {
        assert_eq!(short, text);
    } else {
        let tag = format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n");
        assert!(short.contains(&tag));
        assert_eq!(short.replace(&tag, &lines), text);
    }
}

fn judged_by_m3u8_rs(text: &str, listing: &Listing) {
    let (rest, judged) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(judged.version, Some(9));
    assert_eq!(judged.media_sequence, listing.sequence());
    assert_eq!(judged.end_list, listing.ended);
    let complete: Vec<_> = listing
        .segments
        .iter()
        .filter(|one| one.uri.is_some())
        .collect();
    assert!(judged.segments.len() >= complete.len());
    for (judged, segment) in judged.segments.iter().zip(complete) {
        assert_eq!(Some(&judged.uri), segment.uri.as_ref());
        assert!((f64::from(judged.duration) - segment.duration).abs() < 1e-4);
        assert_eq!(judged.discontinuity, segment.discontinuity);
        assert_eq!(
            judged.map.as_ref().map(|map| &map.uri),
            segment.map.as_ref()
        );
        let date = judged.program_date_time.unwrap();
        assert_eq!(
            date.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            *segment.date.as_ref().unwrap()
        );
    }
}
