//! What a playlist's URIs name: numbers, never anything a publisher chose.

use std::fmt;

/// Something a player fetches, relative to its playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// An init segment, `i0.mp4`.
    Init(u32),
    /// A whole segment, `s12.m4s`.
    Segment(u64),
    /// A part, `p12.3.m4s`.
    Part {
        /// The segment.
        segment: u64,
        /// Its place there.
        index: u32,
    },
}

impl Resource {
    /// The resource of a name; `None` for any spelling we do not write ourselves.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_at_checked(1)?;
        let resource = match kind {
            "i" => Self::Init(number(rest.strip_suffix(".mp4")?)?),
            "s" => Self::Segment(number(rest.strip_suffix(".m4s")?)?),
            "p" => {
                let (segment, index) = rest.strip_suffix(".m4s")?.split_once('.')?;
                Self::Part {
                    segment: number(segment)?,
                    index: number(index)?,
                }
            }
            _ => return None,
        };
        Some(resource)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init(number) => write!(f, "i{number}.mp4"),
            Self::Segment(number) => write!(f, "s{number}.m4s"),
            Self::Part { segment, index } => write!(f, "p{segment}.{index}.m4s"),
        }
    }
}

/// Digits without leading zeros or a sign, so that each resource has one name and caches hold it once.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for resource in [
            Resource::Init(0),
            Resource::Init(u32::MAX),
            Resource::Segment(10),
            Resource::Segment(u64::MAX),
            Resource::Part {
                segment: 3,
                index: 0,
            },
        ] {
            assert_eq!(Resource::parse(&resource.to_string()), Some(resource));
        }
    }

    #[test]
    fn other_spellings_name_nothing() {
        for name in [
            "",
            "i",
            "i.mp4",
            "i01.mp4",
            "i+1.mp4",
            "i1.m4s",
            "s1.mp4",
            "s-1.m4s",
            "p1.m4s",
            "p1.2.3.m4s",
            "p1..m4s",
            "../i1.mp4",
            "s18446744073709551616.m4s",
            "é1.mp4",
        ] {
            assert_eq!(Resource::parse(name), None, "{name}");
        }
    }
}
