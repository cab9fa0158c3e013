//! What WHIP wants of an offer and its answer beyond what every room does.

/// The offer of somebody who only sends: RFC 9725 §4.2 lets a client offer `sendrecv` and has the answer `recvonly`.
pub(super) fn sending_only(offer: &str) -> String {
    let mut text = String::with_capacity(offer.len() + 64);
    let session_says = sections(offer)
        .next()
        .is_some_and(|session| session.lines().any(is_direction));
    for (index, section) in sections(offer).enumerate() {
        for line in section.lines() {
            text += if line == "a=sendrecv" {
                "a=sendonly"
            } else {
                line
            };
            text += "\r\n";
        }
        if index > 0 && !session_says && !section.lines().any(is_direction) {
            text += "a=sendonly\r\n";
        }
    }
    text
}

/// Whether the answer rejects a section that was offered: nothing is published in part (RFC 9725 §4.4.3).
pub(super) fn is_rejected_in_part(offer: &str, answer: &str) -> bool {
    let offered = sections(offer).skip(1).map(is_open);
    let answered = sections(answer).skip(1).map(is_open);
    offered
        .zip(answered)
        .any(|(wanted, given)| wanted && !given)
}

/// Whether any section of a description is open.
pub(super) fn is_open_at_all(text: &str) -> bool {
    sections(text).skip(1).any(is_open)
}

/// The session's lines, then those of each media section.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        match all.find("\nm=") {
            Some(at) => {
                let (section, next) = all.split_at(at + 1);
                rest = Some(next);
                Some(section)
            }
            None => rest.take(),
        }
    })
}

/// Port 0 closes a section, unless it only says that its transport is another section's (RFC 9143 §6).
fn is_open(section: &str) -> bool {
    let port = section
        .lines()
        .next()
        .and_then(|line| line.split(' ').nth(1));
    port != Some("0") || section.lines().any(|line| line == "a=bundle-only")
}

fn is_direction(line: &str) -> bool {
    matches!(
        line,
        "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\ns=-\r\nm=audio 9 X 1\r\na=sendrecv\r\nm=video 9 X 2\r\na=mid:1\r\n";

    #[test]
    fn whoever_offers_both_ways_sends_only() {
        let expected = "v=0\r\ns=-\r\nm=audio 9 X 1\r\na=sendonly\r\nm=video 9 X 2\r\na=mid:1\r\na=sendonly\r\n";
        assert_eq!(sending_only(OFFER), expected);
        let of_session = "v=0\r\na=recvonly\r\nm=audio 9 X 1\r\na=mid:0\r\n";
        assert_eq!(sending_only(of_session), of_session);
    }

    #[test]
    fn a_section_that_only_the_answer_closes_is_rejected() {
        assert!(!is_rejected_in_part(OFFER, OFFER));
        let answer = OFFER.replace("video 9", "video 0");
        assert!(is_rejected_in_part(OFFER, &answer));
        assert!(!is_rejected_in_part(&answer, &answer));
        let bundled = format!("{answer}a=bundle-only\r\n");
        assert!(is_rejected_in_part(&bundled, &answer));
    }
}
