//! What can be checked of a description before str0m sees it.
//!
//! str0m changes ICE and DTLS state before it can refuse an offer, so everything that can be
//! known beforehand is looked at here: then a refusal leaves the client as it was.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::error::SfuError;

/// Checks a remote description and drops the candidates that only mDNS could resolve.
pub(crate) fn checked(text: &str) -> Result<Cow<'_, str>, SfuError> {
    if text.len() > MAX_BYTES {
        return Err(refused("longer than 256 KiB"));
    }
    if !text.starts_with("v=0") {
        return Err(refused("does not begin with v=0"));
    }
    let mut seen = Seen::default();
    for line in text.lines() {
        seen.line(line)?;
    }
    seen.finish()?;
    if text.lines().any(is_unresolvable) {
        let kept: Vec<&str> = text.lines().filter(|line| !is_unresolvable(line)).collect();
        return Ok(Cow::Owned(kept.join("\r\n") + "\r\n"));
    }
    Ok(Cow::Borrowed(text))
}

/// The answer with every m-line's formats in the order the offer prefers (RFC 3264 §6.1): a
/// browser sends the first one that the answer lists.
pub(crate) fn in_order_of_offer(offer: &str, answer: &str) -> String {
    let mut offered = offer.lines().filter(|line| line.starts_with("m="));
    let mut ordered = String::with_capacity(answer.len());
    for line in answer.lines() {
        let offered = if line.starts_with("m=") {
            offered.next()
        } else {
            None
        };
        match offered {
            Some(offered) => ordered.push_str(&formats_as(offered, line)),
            None => ordered.push_str(line),
        }
        ordered.push_str("\r\n");
    }
    ordered
}

/// `line` with those of its formats first that `offered` lists, in that order.
fn formats_as(offered: &str, line: &str) -> String {
    let wanted: Vec<&str> = offered.split(' ').skip(MEDIA_FIELDS).collect();
    let mut fields: Vec<&str> = line.split(' ').collect();
    if let Some(formats) = fields.get_mut(MEDIA_FIELDS..) {
        formats.sort_by_key(|format| {
            wanted
                .iter()
                .position(|w| w == format)
                .unwrap_or(usize::MAX)
        });
    }
    fields.join(" ")
}

/// Our offer to somebody we call: by the policy `max-bundle` (RFC 9429 §4.1.1), where the first m-line alone has a
/// transport and the others are `bundle-only` (RFC 9143 §6); with all its candidates; and without streams where we send
/// none.
pub(crate) fn calling_offer(offer: &str) -> String {
    let mut text = String::with_capacity(offer.len() + 64);
    let mut sections = 0;
    let mut receives = false;
    for line in offer.lines() {
        let follows = sections > 1;
        if let Some(media) = line.strip_prefix("m=") {
            sections += 1;
            receives = false;
            if sections > 1
                && let Some((kind, rest)) = media.split_once(' ')
                && let Some((_, rest)) = rest.split_once(' ')
            {
                for part in ["m=", kind, " 0 ", rest, "\r\n"] {
                    text += part;
                }
                continue;
            }
        }
        receives |= line == "a=recvonly";
        let is_candidate = line.starts_with("a=candidate:") || line == "a=end-of-candidates";
        let is_stream = line.starts_with("a=msid:") || line.starts_with("a=ssrc");
        if follows && is_candidate || receives && is_stream || line.starts_with("a=msid-semantic") {
            continue;
        }
        if line.starts_with("a=mid:") {
            text += if follows {
                "a=bundle-only\r\n"
            } else {
                "a=end-of-candidates\r\n"
            };
        }
        text += line;
        text += "\r\n";
    }
    text
}

/// The description of somebody we call, with the first few of its candidates that a datagram can be sent to: where
/// checks go is for the peer to say, how many is not.
pub(crate) fn few_candidates(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        if line.starts_with("a=candidate:") && !kept.contains(&line) {
            if kept.len() >= MAX_CANDIDATES || !is_reachable(line) {
                continue;
            }
            kept.push(line);
        }
        lines += line;
        lines += "\r\n";
    }
    lines
}

/// Whether a candidate is UDP to one host's port (RFC 8839 §5.1).
fn is_reachable(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace().skip(2);
    let is_udp = words.next().is_some_and(|t| t.eq_ignore_ascii_case("udp"));
    let address = words.nth(1).and_then(|text| text.parse::<IpAddr>().ok());
    let port = words.next().and_then(|text| text.parse::<u16>().ok());
    let is_host = address.is_some_and(|address| match address {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    });
    is_udp && is_host && port.is_some_and(|port| port > 0)
}

/// Whether the peer can give feedback for a send-side estimate
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01).
pub(crate) fn offers_transport_cc(text: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with("a=rtcp-fb:") && line.ends_with("transport-cc"))
}

/// Whether a candidate needs mDNS: such addresses are of no use to a server (RFC 8839 §5.1).
pub(crate) fn is_local_name(candidate: &str) -> bool {
    candidate
        .split_ascii_whitespace()
        .nth(4)
        .is_some_and(|address| {
            address
                .rsplit('.')
                .next()
                .is_some_and(|end| end.eq_ignore_ascii_case("local"))
        })
}

fn is_unresolvable(line: &str) -> bool {
    line.starts_with("a=candidate:") && is_local_name(line)
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one mark per required attribute"
)]
struct Seen<'a> {
    media: usize,
    mids: HashSet<&'a str>,
    /// Payload type to encoding name and clock rate, over all m-lines: BUNDLE makes them one
    /// space (RFC 8843 §9.1), and str0m panics on a second meaning.
    payload_types: HashMap<&'a str, &'a str>,
    /// RTX payload type to the one it repairs (RFC 4588 §8.1).
    repairs: HashMap<&'a str, &'a str>,
    bundle: bool,
    ufrag: bool,
    password: bool,
    fingerprint: bool,
}

impl<'a> Seen<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), SfuError> {
        if line.len() > MAX_LINE {
            return Err(refused("a line is longer than 8 KiB"));
        }
        if line.starts_with("m=") {
            self.media += 1;
        } else if let Some(mid) = line.strip_prefix("a=mid:") {
            if mid.is_empty() || mid.len() > MAX_MID {
                return Err(refused("a mid is empty or longer than 16 characters"));
            }
            if !self.mids.insert(mid) {
                return Err(refused(&format!("mid {mid} twice")));
            }
        } else if let Some(map) = line.strip_prefix("a=rtpmap:") {
            self.rtpmap(map)?;
        } else if let Some(format) = line.strip_prefix("a=fmtp:") {
            self.fmtp(format)?;
        } else if line.starts_with("a=group:BUNDLE") {
            self.bundle = true;
        } else if line.starts_with("a=ice-ufrag:") {
            self.ufrag = true;
        } else if line.starts_with("a=ice-pwd:") {
            self.password = true;
        } else if line.starts_with("a=fingerprint:") {
            self.fingerprint = true;
        }
        Ok(())
    }

    fn rtpmap(&mut self, map: &'a str) -> Result<(), SfuError> {
        let Some((pt, encoding)) = map.split_once(' ') else {
            return Err(refused("an rtpmap without encoding"));
        };
        let before = self.payload_types.insert(pt, encoding);
        if before.is_some_and(|before| !before.eq_ignore_ascii_case(encoding)) {
            return Err(refused(&format!("payload type {pt} with two meanings")));
        }
        Ok(())
    }

    fn fmtp(&mut self, format: &'a str) -> Result<(), SfuError> {
        let Some((pt, params)) = format.split_once(' ') else {
            return Ok(());
        };
        if let Some(apt) = params.strip_prefix("apt=") {
            let before = self.repairs.insert(pt, apt);
            if before.is_some_and(|before| before != apt) {
                return Err(refused(&format!(
                    "RTX payload type {pt} repairs two others"
                )));
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), SfuError> {
        if self.media == 0 {
            return Err(refused("no m-line"));
        }
        if self.media > MAX_MEDIA {
            return Err(refused("more than 64 m-lines"));
        }
        if self.media > 1 && !self.bundle {
            return Err(refused("several m-lines without BUNDLE"));
        }
        if !self.ufrag || !self.password {
            return Err(refused("no ICE credentials"));
        }
        if !self.fingerprint {
            return Err(refused("no DTLS fingerprint"));
        }
        Ok(())
    }
}

fn refused(why: &str) -> SfuError {
    SfuError::Sdp(why.to_owned())
}

/// `m=<media> <port> <proto>` before the formats (RFC 8866 §5.14).
const MEDIA_FIELDS: usize = 3;
const MAX_BYTES: usize = 256 << 10;
const MAX_LINE: usize = 8 << 10;
const MAX_MEDIA: usize = 64;
/// Candidates of somebody we call.
const MAX_CANDIDATES: usize = 16;
/// What str0m keeps of a mid.
const MAX_MID: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 AA\r\n";

    fn check(body: &str, expected: Result<(), &str>) {
        let text = format!("{HEAD}{body}");
        let outcome = checked(&text).map(|_| ()).map_err(|e| e.to_string());
        match expected {
            Ok(()) => assert_eq!(outcome, Ok(())),
            Err(word) => assert!(outcome.unwrap_err().contains(word), "{body}"),
        }
    }

    #[test]
    fn contradictions_are_refused_before_anything_changes() {
        check("m=audio 9 X 111\r\na=mid:0\r\n", Ok(()));
        check("", Err("no m-line"));
        check("m=a\r\na=mid:0\r\nm=b\r\na=mid:0\r\n", Err("twice"));
        check(
            "m=a\r\na=rtpmap:96 VP8/90000\r\nm=b\r\na=rtpmap:96 AV1/90000\r\n",
            Err("meanings"),
        );
        check(
            "m=a\r\na=fmtp:97 apt=96\r\na=fmtp:97 apt=98\r\n",
            Err("repairs two"),
        );
        check("m=a\r\na=mid:12345678901234567\r\n", Err("16 characters"));
        check(&"m=a\r\n".repeat(65), Err("64 m-lines"));
    }

    #[test]
    fn an_answer_keeps_the_offer_s_preference() {
        let offer = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 45 46 96 97\r\na=mid:0\r\n";
        let answer = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 45 46\r\na=mid:0\r\n";
        assert_eq!(in_order_of_offer(offer, answer), offer);
    }

    #[test]
    fn whom_we_call_gets_one_transport() {
        let section =
            "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\na=mid:0\r\na=sendonly\r\na=msid:a b\r\n";
        let second = section.replace("mid:0", "mid:1").replace("send", "recv");
        let offer = format!("v=0\r\nm=audio 9 X 1\r\n{section}m=video 9 X 2\r\n{second}");
        let expected = "v=0\r\nm=audio 9 X 1\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n\
            a=end-of-candidates\r\na=mid:0\r\na=sendonly\r\na=msid:a b\r\n\
            m=video 0 X 2\r\na=bundle-only\r\na=mid:1\r\na=recvonly\r\n";
        assert_eq!(calling_offer(&offer), expected);
    }

    #[test]
    fn of_whom_we_call_only_few_and_reachable_candidates_are_followed() {
        let candidate = |n, transport, address| {
            format!("a=candidate:{n} 1 {transport} 1 {address} 9 typ host\r\n")
        };
        let mut text = String::from("v=0\r\n");
        for (transport, address) in [
            ("tcp", "10.0.0.1"),
            ("udp", "0.0.0.0"),
            ("udp", "239.0.0.1"),
            ("udp", "255.255.255.255"),
            ("udp", "ff02::1"),
            ("udp", "example.com"),
        ] {
            text += &candidate(0, transport, address);
        }
        assert_eq!(few_candidates(&text), "v=0\r\n");
        for n in 0..40 {
            text += &candidate(n, "udp", "10.0.0.1");
        }
        text += &candidate(0, "UDP", "10.0.0.1");
        text += &candidate(0, "udp", "10.0.0.1");
        let kept = few_candidates(&text);
        assert_eq!(kept.lines().count(), 1 + MAX_CANDIDATES + 1, "{kept}");
    }

    #[test]
    fn mdns_candidates_are_left_out() {
        let text = format!(
            "{HEAD}m=audio 9 X 111\r\na=candidate:1 1 udp 1 x-y.local 9 typ host\r\n\
             a=candidate:2 1 udp 1 127.0.0.1 9 typ host\r\n"
        );
        let text = checked(&text).unwrap();
        assert!(!text.contains(".local"));
        assert!(text.contains("127.0.0.1 9"));
    }
}
