//! The client's side of WHIP and WHEP (RFC 9725), over plain HTTP/1.0: no chunks to parse.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Outcome;

/// What the server made of an offer.
#[derive(Debug)]
pub struct Resource {
    /// Its path, for `DELETE`.
    pub path: String,
    /// The answer.
    pub sdp: String,
}

/// Posts an offer to `path` of `host` and reads the answer.
///
/// # Errors
/// When the server does not say `201`.
pub fn post_offer(host: &str, path: &str, offer: &str) -> Outcome<Resource> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{offer}",
        offer.len()
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
    if !head.starts_with("HTTP/1.1 201") {
        return Err(format!("{path}: {}", head.lines().next().unwrap_or_default()).into());
    }
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.to_owned())
    });
    Ok(Resource {
        path: location.ok_or("no Location")?,
        sdp: body.to_owned(),
    })
}

const TIMEOUT: Duration = Duration::from_secs(10);
