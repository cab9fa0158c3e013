//! The delivery directives of a playlist request (draft-pantos-hls-rfc8216bis-16 §6.2.5).

/// What a player asks of a playlist in its query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// `_HLS_msn`: answer only once this segment is there.
    pub msn: Option<u64>,
    /// `_HLS_part`: this part of it suffices.
    pub part: Option<u32>,
    /// `_HLS_skip`: leave out what is old.
    pub skip: bool,
}

/// Why a playlist request is answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRequest {
    /// The query string has more than [`Query::MAX_BYTES`] bytes.
    TooLong,
    /// A directive's value is not what the specification says, or it is there twice.
    Malformed,
    /// `_HLS_part` without `_HLS_msn` (§6.2.5.2).
    PartWithoutMsn,
    /// A segment more than two ahead of the last, or a part that will not be for several target durations (§6.2.5.2).
    TooFarAhead,
}

impl std::fmt::Display for BadRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the query string is too long",
            Self::Malformed => "a delivery directive is malformed or repeated",
            Self::PartWithoutMsn => "_HLS_part needs _HLS_msn",
            Self::TooFarAhead => "_HLS_msn or _HLS_part is too far ahead",
        })
    }
}

impl std::error::Error for BadRequest {}

impl Query {
    /// Longest query string that is looked into.
    pub const MAX_BYTES: usize = 1024;

    /// Reads a query string without its question mark. Parameters that are not directives are passed over.
    ///
    /// # Errors
    ///
    /// [`BadRequest`], all but [`BadRequest::TooFarAhead`].
    pub fn parse(query: &str) -> Result<Self, BadRequest> {
        if query.len() > Self::MAX_BYTES {
            return Err(BadRequest::TooLong);
        }
        let (mut msn, mut part, mut skip) = (None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => once(&mut msn, number(value)?)?,
                "_HLS_part" => once(&mut part, number(value)?)?,
                "_HLS_skip" if matches!(value, "YES" | "v2") => once(&mut skip, true)?,
                "_HLS_skip" => return Err(BadRequest::Malformed),
                _ => {}
            }
        }
        if part.is_some() && msn.is_none() {
            return Err(BadRequest::PartWithoutMsn);
        }
        let part = part.map(|part| u32::try_from(part).map_err(|_| BadRequest::TooFarAhead));
        Ok(Self {
            msn,
            part: part.transpose()?,
            skip: skip.unwrap_or(false),
        })
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), BadRequest> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadRequest::Malformed),
    }
}

/// A decimal-integer (RFC 8216 §4.2): digits alone, at most 2^64 - 1.
fn number(value: &str) -> Result<u64, BadRequest> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadRequest::Malformed);
    }
    value.parse().map_err(|_| BadRequest::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_among_other_parameters() {
        let all = Query::parse("token=a=b&_HLS_msn=7&x&_HLS_part=3&_HLS_skip=YES&_HLS_new=1");
        assert_eq!(
            all,
            Ok(Query {
                msn: Some(7),
                part: Some(3),
                skip: true
            })
        );
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert!(Query::parse("_HLS_skip=v2").unwrap().skip);
    }

    #[test]
    fn part_without_msn_is_refused() {
        assert_eq!(Query::parse("_HLS_part=0"), Err(BadRequest::PartWithoutMsn));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in ["", "-1", "+1", "1.0", "0x1", " 1", "18446744073709551616"] {
            let query = format!("_HLS_msn={value}");
            assert_eq!(Query::parse(&query), Err(BadRequest::Malformed), "{value}");
        }
        assert_eq!(
            Query::parse("_HLS_msn=1&_HLS_msn=1"),
            Err(BadRequest::Malformed)
        );
        assert_eq!(Query::parse("_HLS_skip=NO"), Err(BadRequest::Malformed));
        assert_eq!(
            Query::parse("_HLS_msn=1&_HLS_part=4294967296"),
            Err(BadRequest::TooFarAhead)
        );
    }

    #[test]
    fn long_queries_are_not_read() {
        assert_eq!(Query::parse(&"&".repeat(1_025)), Err(BadRequest::TooLong));
        assert!(Query::parse(&"&".repeat(1_024)).is_ok());
    }
}
