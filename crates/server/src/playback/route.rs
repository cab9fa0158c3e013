//! Which paths are recordings', and what they ask for.

use std::time::Duration;

use sluice_media::StreamKey;
use sluice_proto::content::{Moment, seconds};

/// What of a stream's recordings is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `recordings`: which there are.
    List,
    /// `recordings/<name>.mp4`: one file.
    File(String),
    /// `recordings/<name>.mp4?start=…&duration=…`, or `recordings.mp4?…`: a stretch of time.
    Excerpt {
        /// The file that seconds count from.
        name: Option<String>,
        start: Moment,
        /// Default until the end.
        duration: Option<Duration>,
    },
}

impl Wanted {
    /// What a path behind the handler's prefix and a query ask for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(path: &str, query: &str) -> Result<Self, &'static str> {
        let name = match place(path) {
            Some((_, Place::List)) => return Ok(Self::List),
            Some((_, Place::File(name))) => Some(name.to_owned()),
            Some((_, Place::Any)) => None,
            None => return Err("no such recording"),
        };
        let (mut start, mut duration) = (None, None);
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("start", value)) => {
                    // The one letter of a timestamp that clients escape.
                    let value = value.replace("%3A", ":").replace("%3a", ":");
                    let value = value.replace("%2B", "+").replace("%2b", "+");
                    let given = Moment::parse(&value);
                    start = Some(given.ok_or("start is seconds or an RFC 3339 timestamp")?);
                }
                Some(("duration", value)) => {
                    let given = seconds(value).filter(|given| !given.is_zero());
                    duration = Some(given.ok_or("duration is seconds above 0")?);
                }
                _ => {}
            }
        }
        match (name, start, duration) {
            (Some(name), None, None) => Ok(Self::File(name)),
            (None, None, _) => Err("start is needed"),
            (None, Some(Moment::After(_)), _) => Err("start must be an RFC 3339 timestamp here"),
            (name, start, duration) => Ok(Self::Excerpt {
                name,
                start: start.unwrap_or(Moment::After(Duration::ZERO)),
                duration,
            }),
        }
    }
}

/// The stream that a path behind the prefix is about, with its layer; `None`: none of ours.
pub(crate) fn key_of(path: &str) -> Option<StreamKey> {
    place(path).map(|(key, _)| key)
}

enum Place<'a> {
    List,
    File(&'a str),
    Any,
}

fn place(path: &str) -> Option<(StreamKey, Place<'_>)> {
    let mut parts = path.split('/');
    let (app, stream, what) = (parts.next()?, parts.next()?, parts.next()?);
    let key = format!("{app}/{stream}").parse().ok()?;
    let place = match (what, parts.next(), parts.next()) {
        ("recordings", None, None) => Place::List,
        ("recordings.mp4", None, None) => Place::Any,
        ("recordings", Some(name), None) if is_name(name) => Place::File(name),
        _ => return None,
    };
    Some((key, place))
}

/// As the archive makes them. It is looked for in a list, never in a folder.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '.';
    name.strip_suffix(".mp4")
        .is_some_and(|stem| stem.len() < 64 && stem.chars().all(letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "20261121T191654.123Z.mp4";

    #[test]
    fn paths_are_lists_files_and_stretches() {
        let parse = |path: &str, query: &str| Wanted::parse(&format!("live/show/{path}"), query);
        let file = format!("recordings/{NAME}");
        assert_eq!(parse("recordings", "token=x"), Ok(Wanted::List));
        assert_eq!(parse(&file, "token=x"), Ok(Wanted::File(NAME.to_owned())));
        let name = Some(NAME.to_owned());
        let excerpt = |name: &Option<String>, start, duration| {
            Ok(Wanted::Excerpt {
                name: name.clone(),
                start,
                duration,
            })
        };
        let secs = Duration::from_secs;
        assert_eq!(
            parse(&file, "start=5&duration=2.5&token=x"),
            excerpt(
                &name,
                Moment::After(secs(5)),
                Some(Duration::from_millis(2500))
            )
        );
        assert_eq!(
            parse(&file, "start=5"),
            excerpt(&name, Moment::After(secs(5)), None)
        );
        assert_eq!(
            parse(&file, "duration=5"),
            excerpt(&name, Moment::After(secs(0)), Some(secs(5)))
        );
        for query in [
            "start=1970-01-01T00:00:01Z",
            "start=1970-01-01T01%3A00%3a01%2B01:00",
        ] {
            assert_eq!(
                parse("recordings.mp4", query),
                excerpt(&None, Moment::At(1000), None)
            );
        }
        for (path, query) in [
            ("recordings.mp4", ""),
            ("recordings.mp4", "start=5"),
            (&file, "start=soon"),
            (&file, "start=1&duration=0"),
            (&file, "start=1&duration=-1"),
        ] {
            assert!(parse(path, query).is_err(), "{path}?{query}");
        }
    }

    #[test]
    fn tricks_are_no_paths_of_ours() {
        for path in [
            "live/show/recordings/",
            "live/show/recordings/../x.mp4",
            "live/show/recordings/..%2fx.mp4",
            "live/show/recordings/a/b.mp4",
            "live/show/recordings/index.jsonl",
            "live/show/recordings/x.mp4.part",
            "live/show/recordings/.mp4/",
            "live/show/recordings/a\\b.mp4",
            "live/../recordings",
            "../show/recordings",
            "live/.show/recordings",
            "live//recordings",
            "live/show/recordings\0",
            "live/show/whip",
            "live/show",
            "",
        ] {
            assert_eq!(key_of(path), None, "{path}");
        }
        let layer = key_of("live/show~hi/recordings").unwrap();
        assert_eq!(layer.to_string(), "live/show~hi");
    }
}
