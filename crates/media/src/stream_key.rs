//! The name of a live stream, validated once.

use std::fmt;
use std::str::FromStr;

/// Names a stream: `app/stream`, or `app/stream~layer` for one layer of it.
///
/// Each part is 1 to 64 letters, digits, `-`, `_` and `.` of ASCII, and does not begin with `.`: such a name has no
/// control characters, no separators and no `..`. It still is not a path: storage derives its own keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    text: Box<str>,
    /// Where the stream's name begins.
    stream: u8,
    /// Where the `~` stands, or the end.
    base_end: u8,
}

impl StreamKey {
    /// The key of a stream in an application.
    ///
    /// # Errors
    /// When a part is empty, too long or holds a character that names may not have; a `~` is such a character.
    pub fn new(app: &str, stream: &str) -> Result<Self, StreamKeyError> {
        check(app, Part::App)?;
        check(stream, Part::Stream)?;
        Ok(Self::from_parts(app, stream, None))
    }

    /// The key of one layer of this stream (of its base, when this is a layer already).
    ///
    /// # Errors
    /// When the layer's name is no valid part.
    pub fn layer(&self, layer: &str) -> Result<Self, StreamKeyError> {
        check(layer, Part::Layer)?;
        Ok(Self::from_parts(self.app(), self.stream(), Some(layer)))
    }

    /// The key without its layer.
    #[must_use]
    pub fn layer_base(&self) -> Self {
        Self::from_parts(self.app(), self.stream(), None)
    }

    /// The application's name.
    pub fn app(&self) -> &str {
        self.text
            .get(..usize::from(self.stream).saturating_sub(1))
            .unwrap_or_default()
    }

    /// The stream's name, without layer.
    pub fn stream(&self) -> &str {
        self.text
            .get(usize::from(self.stream)..usize::from(self.base_end))
            .unwrap_or_default()
    }

    /// The layer's name, of a key that names one.
    pub fn layer_name(&self) -> Option<&str> {
        self.text
            .get(usize::from(self.base_end)..)?
            .strip_prefix('~')
    }

    /// The whole key, as it was written.
    pub const fn as_str(&self) -> &str {
        &self.text
    }

    /// From parts that were checked.
    fn from_parts(app: &str, stream: &str, layer: Option<&str>) -> Self {
        let length = |text: &str| u8::try_from(text.len()).unwrap_or(u8::MAX);
        let stream_at = length(app).saturating_add(1);
        Self {
            text: match layer {
                Some(layer) => format!("{app}/{stream}~{layer}"),
                None => format!("{app}/{stream}"),
            }
            .into(),
            stream: stream_at,
            base_end: stream_at.saturating_add(length(stream)),
        }
    }
}

impl FromStr for StreamKey {
    type Err = StreamKeyError;

    fn from_str(text: &str) -> Result<Self, StreamKeyError> {
        let (app, rest) = text.split_once('/').ok_or(StreamKeyError::NoApp)?;
        match rest.split_once('~') {
            Some((stream, layer)) => Self::new(app, stream)?.layer(layer),
            None => Self::new(app, rest),
        }
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({})", self.text)
    }
}

/// A part of a [`StreamKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// In front of the `/`.
    App,
    /// Behind the `/`.
    Stream,
    /// Behind the `~`.
    Layer,
}

/// Why a text is no [`StreamKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamKeyError {
    /// There is no `/`.
    NoApp,
    /// Nothing stands there.
    Empty(Part),
    /// More than 64 bytes stand there.
    TooLong(Part),
    /// Something else than letters, digits, `-`, `_` and `.`, or a `.` at the beginning.
    Character(Part),
}

impl fmt::Display for StreamKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, problem) = match self {
            Self::NoApp => return f.write_str("a stream key is app/stream"),
            Self::Empty(part) => (part, "is empty"),
            Self::TooLong(part) => (part, "has more than 64 characters"),
            Self::Character(part) => (part, "has a character that names may not have"),
        };
        let part = match part {
            Part::App => "application",
            Part::Stream => "stream",
            Part::Layer => "layer",
        };
        write!(f, "the name of the {part} {problem}")
    }
}

impl std::error::Error for StreamKeyError {}

fn check(name: &str, part: Part) -> Result<(), StreamKeyError> {
    if name.is_empty() {
        return Err(StreamKeyError::Empty(part));
    }
    if name.len() > MAX_PART {
        return Err(StreamKeyError::TooLong(part));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(StreamKeyError::Character(part));
    }
    Ok(())
}

/// Fits three parts and two separators into offsets of one byte.
const MAX_PART: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_parts_and_reads_back() {
        let key: StreamKey = "live/show.1~h".parse().unwrap();
        assert_eq!(
            (key.app(), key.stream(), key.layer_name()),
            ("live", "show.1", Some("h"))
        );
        assert_eq!(key.layer_base(), StreamKey::new("live", "show.1").unwrap());
        assert_eq!(key.layer_base().layer("h").unwrap(), key);
        assert_eq!(key.layer("q").unwrap().as_str(), "live/show.1~q");
        assert_eq!(key.layer_base().layer_name(), None);
    }

    #[test]
    fn names_that_could_be_paths_or_trick_a_terminal_are_refused() {
        use StreamKeyError::{Character, Empty, NoApp, TooLong};
        let long = format!("live/{}", "a".repeat(65));
        for (text, error) in [
            ("", NoApp),
            ("live", NoApp),
            ("/show", Empty(Part::App)),
            ("live/", Empty(Part::Stream)),
            ("live/show~", Empty(Part::Layer)),
            ("live/../etc", Character(Part::Stream)),
            ("live/..", Character(Part::Stream)),
            ("../show", Character(Part::App)),
            ("live/a/b", Character(Part::Stream)),
            ("live/a~b~c", Character(Part::Layer)),
            ("live/a\\b", Character(Part::Stream)),
            ("live/a\u{0}", Character(Part::Stream)),
            ("live/a\u{1b}[2J", Character(Part::Stream)),
            ("live/\u{2025}", Character(Part::Stream)),
            ("live/a%2f", Character(Part::Stream)),
            (long.as_str(), TooLong(Part::Stream)),
        ] {
            assert_eq!(text.parse::<StreamKey>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_longest_key_keeps_its_parts() {
        let name = "x".repeat(64);
        let key = StreamKey::new(&name, &name).unwrap().layer(&name).unwrap();
        assert_eq!(
            (key.app(), key.stream(), key.layer_name()),
            (name.as_str(), name.as_str(), Some(name.as_str()))
        );
    }
}
