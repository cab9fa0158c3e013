//! What a request gets: read from a storage by one of its threads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluice_media::StreamKey;
use sluice_mux::MuxError;
use sluice_mux::journal::{Excerpt, ExcerptCutter, Movie, MovieSearch};
use sluice_proto::content::{Conditions, Moment, Representation, Selected, http_date, rfc3339};

use super::content::{Budget, Content, Piece, Playback, sliced};
use super::route::Wanted;
use crate::live::{LiveRequest, LiveResponse};
use crate::record::{self, Readers, RecordError, RecordedFile, Storage};

/// What answers are made with.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) readers: Readers,
    pub(crate) budget: Budget,
}

/// Answers a GET or HEAD that was allowed. Blocks on the storage.
pub(crate) fn answer(
    source: &Source,
    key: &StreamKey,
    wanted: &Wanted,
    request: &LiveRequest,
) -> Playback {
    let answered = record::files(&source.storage, key).and_then(|files| match wanted {
        Wanted::List => Ok(list(&files)),
        Wanted::File(name) => Ok(match find(&files, name) {
            Some(file) => whole_file(source, file, request),
            None => not_found(),
        }),
        Wanted::Excerpt {
            name,
            start,
            duration,
        } => excerpt(
            source,
            &files,
            (name.as_deref(), *start, *duration),
            request,
        ),
    });
    answered.unwrap_or_else(|error| match error {
        RecordError::Mux(MuxError::OverBudget) => problem(400, "that is too long for one answer"),
        RecordError::Mux(MuxError::Empty) => not_found(),
        error => {
            tracing::warn!(%error, "a recording cannot be played");
            problem(500, "the recording cannot be read")
        }
    })
}

/// What is said without asking anybody: to OPTIONS, to methods there are not, to what nobody can mean.
pub(crate) fn refused(path: &str, request: &LiveRequest) -> Result<Wanted, Playback> {
    match request.method.as_str() {
        "GET" | "HEAD" => Wanted::parse(path, &request.query).map_err(|why| problem(400, why)),
        "OPTIONS" => Err(told(
            204,
            &[
                ("Access-Control-Allow-Methods", METHODS),
                (
                    "Access-Control-Allow-Headers",
                    "Authorization, Range, If-Range, If-None-Match, If-Modified-Since",
                ),
                ("Access-Control-Max-Age", "86400"),
            ],
            Bytes::new(),
        )),
        _ => {
            let mut refusal = problem(405, "recordings can only be read");
            header(&mut refusal, "Allow", METHODS);
            Err(refusal)
        }
    }
}

pub(super) fn problem(status: u16, why: &str) -> Playback {
    let headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-store"),
    ];
    told(status, &headers, Bytes::copy_from_slice(why.as_bytes()))
}

/// The storage has too much to do.
pub(crate) fn busy() -> Playback {
    let mut busy = problem(503, "too many requests wait");
    header(&mut busy, "Retry-After", "1");
    busy
}

fn list(files: &[RecordedFile]) -> Playback {
    let entries: Vec<String> = files
        .iter()
        .map(|file| {
            let (name, start) = (record::plain(&file.name), rfc3339(file.start_ms));
            let (millis, size, codecs) = (file.duration_ms, file.bytes, &file.codecs);
            let (seconds, millis) = (millis / 1000, millis % 1000);
            // Names and codecs were made here: of letters that need no escaping.
            format!(
                r#"{{"name":"{name}","start":"{start}","duration":{seconds}.{millis:03},"size":{size},"codecs":"{codecs}"}}"#
            )
        })
        .collect();
    let body = format!(r#"{{"recordings":[{}]}}"#, entries.join(","));
    let headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-cache"),
    ];
    told(200, &headers, body.into())
}

fn find<'a>(files: &'a [RecordedFile], name: &str) -> Option<&'a RecordedFile> {
    files.iter().find(|file| record::plain(&file.name) == name)
}

fn whole_file(source: &Source, file: &RecordedFile, request: &LiveRequest) -> Playback {
    // A name stands for one content for ever: what is listed is finished.
    let tag = format!("\"{}-{:x}\"", record::plain(&file.name), file.bytes);
    let piece = Piece::File(file.name.as_str().into(), 0..file.bytes);
    media(source, &[piece], (tag, file.end_ms), request, 0)
}

/// A stretch of time, over the borders of files that are coded alike. Where they are not it ends with the first.
fn excerpt(
    source: &Source,
    files: &[RecordedFile],
    (name, start, duration): (Option<&str>, Moment, Option<Duration>),
    request: &LiveRequest,
) -> Result<Playback, RecordError> {
    let named = match name.map(|name| find(files, name)) {
        Some(None) => return Ok(not_found()),
        named => named.flatten(),
    };
    let begins = match (start, named) {
        (Moment::At(millis), _) => millis,
        (Moment::After(span), Some(file)) => file.start_ms.saturating_add(millis(span)),
        (Moment::After(_), None) => return Ok(not_found()),
    };
    let from_named = |file: &&RecordedFile| named.is_none_or(|named| file.name >= named.name);
    let ends = duration.map_or(i64::MAX, |duration| begins.saturating_add(millis(duration)));
    // Without a duration a named file is played to its own end.
    let alone = usize::from(named.is_some() && duration.is_none());
    let limit = if alone == 1 { 1 } else { MAX_FILES };
    let chosen: Vec<&RecordedFile> = files
        .iter()
        .filter(from_named)
        .filter(|file| file.end_ms > begins && file.start_ms < ends)
        .take(limit)
        .collect();
    let mut cutter = ExcerptCutter::default();
    let mut used: Vec<Arc<str>> = Vec::new();
    let mut newest = i64::MIN;
    for file in chosen {
        let movie = movie(&*source.storage, file)?;
        if !cutter.takes(&movie) {
            break;
        }
        let from = if used.is_empty() {
            span(begins.saturating_sub(file.start_ms))
        } else {
            Duration::ZERO
        };
        let to = match ends {
            i64::MAX => Duration::MAX,
            ends => span(ends.saturating_sub(file.start_ms)),
        };
        cutter.add(&movie, from, to)?;
        used.push(file.name.as_str().into());
        newest = newest.max(file.end_ms);
    }
    if used.is_empty() {
        return Ok(not_found());
    }
    let Excerpt {
        header,
        pieces,
        bytes,
        ..
    } = cutter.finish()?;
    // The head says which samples follow, the names where they lie: equal ones are equal contents.
    let tag = format!("\"{:016x}-{bytes:x}\"", hashed(&header, &used));
    let held = header.len();
    let mut all = vec![Piece::Memory(header)];
    all.extend(pieces.into_iter().filter_map(|piece| {
        let name = used.get(piece.source)?;
        Some(Piece::File(Arc::clone(name), piece.bytes))
    }));
    Ok(media(source, &all, (tag, newest), request, held))
}

/// The index of a finished file.
fn movie(storage: &dyn Storage, file: &RecordedFile) -> Result<Movie, RecordError> {
    let failed = |source| RecordError::Storage {
        place: storage.place(),
        source,
    };
    let mut search = MovieSearch::new(file.bytes);
    while let Some(wanted) = search.poll_read() {
        let length = wanted.end.saturating_sub(wanted.start);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = storage.read_at(&file.name, wanted.start, &mut bytes);
        bytes.truncate(read.map_err(failed)?);
        search.handle_read(&bytes.into());
    }
    Ok(search.finish()?)
}

/// A file of ours, or what of it the request asks for.
fn media(
    source: &Source,
    pieces: &[Piece],
    (tag, modified_ms): (String, i64),
    request: &LiveRequest,
    memory: usize,
) -> Playback {
    let bytes = pieces
        .iter()
        .map(Piece::length)
        .fold(0, u64::saturating_add);
    let field = |name| own(&request.headers, name);
    let is_head = request.method == "HEAD";
    let modified = modified_ms.div_euclid(1000);
    let selected = Representation {
        bytes,
        entity_tag: &tag,
        modified,
    }
    .select(&Conditions {
        if_match: field("if-match"),
        if_unmodified_since: field("if-unmodified-since"),
        if_none_match: field("if-none-match"),
        if_modified_since: field("if-modified-since"),
        if_range: field("if-range"),
        range: field("range").filter(|_| !is_head),
    });
    let date = http_date(modified);
    let about = [
        ("Accept-Ranges", "bytes"),
        // What a token has opened is for its holder's cache alone (RFC 9111 §5.2.2.7).
        ("Cache-Control", "private, max-age=3600, immutable"),
        ("ETag", tag.as_str()),
        ("Last-Modified", date.as_str()),
    ];
    let (status, range) = match selected {
        Selected::Whole => (200, 0..bytes),
        Selected::Part(range) => (206, range),
        Selected::NotModified => return told(304, &about, Bytes::new()),
        Selected::PreconditionFailed => return problem(412, "it is another file now"),
        Selected::NotSatisfiable => {
            let mut refusal = problem(416, "there are no such bytes");
            header(&mut refusal, "Content-Range", &format!("bytes */{bytes}"));
            return refusal;
        }
    };
    let mut playback = told(status, &about, Bytes::new());
    header(&mut playback, "Content-Type", "video/mp4");
    let length = range.end.saturating_sub(range.start);
    header(&mut playback, "Content-Length", &length.to_string());
    if status == 206 {
        let last = range.end.saturating_sub(1);
        let told = format!("bytes {}-{last}/{bytes}", range.start);
        header(&mut playback, "Content-Range", &told);
    }
    if is_head {
        return playback;
    }
    let Some(held) = source.budget.hold(memory) else {
        return busy();
    };
    let (storage, readers) = (Arc::clone(&source.storage), source.readers.clone());
    let pieces = sliced(pieces, &range);
    playback.content = Some(Content::new(storage, readers, pieces, Some(held)));
    playback
}

fn not_found() -> Playback {
    problem(404, "no such recording")
}

fn told(status: u16, headers: &[(&str, &str)], body: Bytes) -> Playback {
    let mut playback = Playback {
        response: LiveResponse {
            status,
            body,
            ..LiveResponse::default()
        },
        content: None,
    };
    for (name, value) in headers {
        header(&mut playback, name, value);
    }
    header(&mut playback, "Access-Control-Allow-Origin", "*");
    header(
        &mut playback,
        "Access-Control-Expose-Headers",
        "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
    );
    playback
}

fn header(playback: &mut Playback, name: &str, value: &str) {
    let headers = &mut playback.response.headers;
    headers.push((name.to_owned(), value.to_owned()));
}

fn own<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// From where a negative one begins.
fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// FNV-1a.
fn hashed(header: &[u8], names: &[Arc<str>]) -> u64 {
    let names = names.iter().flat_map(|name| name.bytes());
    let bytes = header.iter().copied().chain(names);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

const METHODS: &str = "GET, HEAD, OPTIONS";
/// Files that one excerpt goes over.
const MAX_FILES: usize = 100;
