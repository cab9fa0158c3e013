//! What an endpoint can be told.

use std::time::Duration;

use super::offer::OfferRules;
use super::rate_limit::RateLimit;

/// The knobs of an [`Endpoint`](super::Endpoint).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Sessions at most, those in the making included; then 503. Default 10 000.
    pub max_sessions: usize,
    /// Requests at most that wait for an outcome, each with its content; then 503. As many POSTs of offers and, apart
    /// from them, requests to sessions. Default 256.
    pub max_pending: usize,
    /// How long a request waits for an outcome; then 504. Default 10 s.
    pub outcome_timeout: Duration,
    /// Bytes of an offer or answer; then 413. Default 64 KiB.
    pub max_offer_bytes: usize,
    /// Bytes of an SDP fragment or a JSON body; then 413. Default 16 KiB.
    pub max_fragment_bytes: usize,
    /// What offers must look like.
    pub offer_rules: OfferRules,
    /// Whether a PATCH may add candidates. Default true.
    pub trickle: bool,
    /// Whether a PATCH may restart ICE. Default true.
    pub ice_restart: bool,
    /// How long a counter-offer waits for its answer. Default 30 s, which is what clients assume (draft §4.3.2).
    pub counter_offer_valid: Duration,
    /// POST requests per address. Default 20 at once, then 2 a second.
    pub posts: RateLimit,
    /// Requests to sessions per address. Default 60 at once, then 10 a second.
    pub session_requests: RateLimit,
    /// Addresses that the rate limits remember. Default 10 000; at the cap the one that asked least is forgotten.
    pub max_addresses: usize,
    /// `Retry-After` of 409 and 503. Default 5 s.
    pub retry_after: Duration,
    /// Who may change or end a session. Default [`SessionAccess::Url`].
    pub session_access: SessionAccess,
    /// The query parameter that may carry a token where the header cannot; it ends up in logs. Default none.
    pub query_token: Option<String>,
    /// `Access-Control-Allow-Origin`; none answers no cross-origin request. Default `*`: credentials of browsers are
    /// not used.
    pub allow_origin: Option<String>,
    /// Event streams of one WHEP session; then 409. Default 4; 0 does not offer the extension.
    pub max_event_streams: usize,
    /// After this long without an event a comment is sent, so that a dead reader is noticed. Default 15 s.
    pub keep_alive: Duration,
    /// Whether viewers may choose a layer; needs event streams. Default true.
    pub layer_selection: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            max_pending: 256,
            outcome_timeout: Duration::from_secs(10),
            max_offer_bytes: 64 * 1024,
            max_fragment_bytes: 16 * 1024,
            offer_rules: OfferRules::default(),
            trickle: true,
            ice_restart: true,
            counter_offer_valid: Duration::from_secs(30),
            posts: RateLimit {
                burst: 20,
                interval: Duration::from_millis(500),
            },
            session_requests: RateLimit {
                burst: 60,
                interval: Duration::from_millis(100),
            },
            max_addresses: 10_000,
            retry_after: Duration::from_secs(5),
            session_access: SessionAccess::Url,
            query_token: None,
            allow_origin: Some("*".to_owned()),
            max_event_streams: 4,
            keep_alive: Duration::from_secs(15),
            layer_selection: true,
        }
    }
}

/// Who may change or end a session (RFC 9725 §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionAccess {
    /// Whoever knows its URL, which cannot be guessed: a token that expires does not take the means to hang up.
    Url,
    /// Whoever knows its URL and is authorized anew.
    Authorize,
}
