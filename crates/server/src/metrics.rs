//! Prometheus text (exposition format 0.0.4) from the shards' counters.

use std::fmt::Write;
use std::time::Instant;

use sluice_net::UdpCounters;
use sluice_sfu::{ClientStats, Registry, RegistryCounters};

use crate::live::{Live, LiveCounters};
use crate::rooms::{Rooms, Strangers};
use crate::shard::Io;

/// What one shard, or all of them together, counted: absolute since the start.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) shards: usize,
    rooms: usize,
    clients: Vec<ClientStats>,
    counters: RegistryCounters,
    strangers: Strangers,
    udp: UdpCounters,
    tcp_dropped: u64,
    misrouted: u64,
    panics: u64,
    events_dropped: u64,
    live: LiveCounters,
}

impl Snapshot {
    pub(crate) fn of(rooms: &Rooms, live: &Live, io: &Io) -> Self {
        let now = Instant::now();
        Self {
            shards: 1,
            rooms: rooms.registries().count(),
            clients: rooms
                .registries()
                .flat_map(|r: &Registry| r.stats(now))
                .collect(),
            counters: rooms.counters(),
            strangers: rooms.strangers,
            udp: io.udp_counters(),
            tcp_dropped: io.tcp_counters().dropped,
            misrouted: io.misrouted,
            panics: rooms.room_panics,
            events_dropped: rooms.events.dropped(),
            live: live.counters(),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.rooms += other.rooms;
        self.clients.extend(other.clients);
        self.counters += other.counters;
        self.strangers.unknown_protocol += other.strangers.unknown_protocol;
        self.strangers.malformed_stun += other.strangers.malformed_stun;
        self.strangers.unknown_ufrag += other.strangers.unknown_ufrag;
        self.strangers.unknown_address += other.strangers.unknown_address;
        self.udp += other.udp;
        self.tcp_dropped += other.tcp_dropped;
        self.misrouted += other.misrouted;
        self.panics += other.panics;
        self.events_dropped += other.events_dropped;
        self.live += other.live;
    }
}

pub(crate) fn render(all: &Snapshot) -> String {
    let mut text = Text::default();
    people(&mut text, all);
    media(&mut text, &all.counters);
    transport(&mut text, all);
    sockets(&mut text, all);
    live(&mut text, &all.live);
    per_client(&mut text, &all.clients);
    text.0
}

fn people(text: &mut Text, all: &Snapshot) {
    let c = &all.counters;
    text.gauge("sfu_shards", "Shard threads.", all.shards as u64);
    text.gauge("sfu_rooms", "Open rooms.", all.rooms as u64);
    text.gauge(
        "sfu_active_participants",
        "Clients in all rooms.",
        all.clients.len() as u64,
    );
    text.counter(
        "sfu_client_insert_total",
        "Clients inserted.",
        c.client_inserts,
    );
    text.counter(
        "sfu_client_connect_total",
        "Clients that connected.",
        c.client_connects,
    );
    text.counter(
        "sfu_client_disconnect_total",
        "Clients gone.",
        c.client_disconnects,
    );
}

fn live(text: &mut Text, live: &LiveCounters) {
    for (name, help, value) in [
        ("live_active_streams", "Live streams.", live.streams),
        (
            "live_publishers",
            "Publishers of live streams.",
            live.publishers,
        ),
        (
            "live_subscribers",
            "Readers of live streams.",
            live.subscribers,
        ),
        ("live_viewers", "Clients that play by WHEP.", live.viewers),
        (
            "live_calls",
            "Foreign servers that streams are pushed to or pulled from.",
            live.calls,
        ),
        (
            "live_playlists",
            "Streams that are cut for HLS.",
            live.playlists,
        ),
        (
            "live_waiting_requests",
            "HLS requests that wait for a part.",
            live.waiting,
        ),
        (
            "live_sessions",
            "WHIP and WHEP sessions that have a URL.",
            live.sessions,
        ),
        (
            "live_ring_bytes",
            "Bytes that the rings of live streams keep.",
            live.ring_bytes,
        ),
    ] {
        text.gauge(name, help, value);
    }
    text.counter(
        "live_events_dropped_total",
        "Telemetry of live streams dropped.",
        live.events_dropped,
    );
}

fn media(text: &mut Text, c: &RegistryCounters) {
    text.labelled(
        "sfu_forwarded_packets_total",
        "counter",
        "RTP packets written towards subscribers.",
        &[
            ("kind=\"audio\"", c.forwarded_audio),
            ("kind=\"video\"", c.forwarded_video),
        ],
    );
    text.labelled(
        "sfu_track_bytes_total",
        "counter",
        "Payload bytes by direction and kind.",
        &[
            ("direction=\"in\",kind=\"audio\"", c.bytes_in_audio),
            ("direction=\"in\",kind=\"video\"", c.bytes_in_video),
            ("direction=\"out\",kind=\"audio\"", c.bytes_out_audio),
            ("direction=\"out\",kind=\"video\"", c.bytes_out_video),
        ],
    );
    let [q, h, f, other] = c.layer_selections;
    text.labelled(
        "sfu_layer_selection_total",
        "counter",
        "Switches by the rank of the layer chosen, of three.",
        &[
            ("layer=\"q\"", q),
            ("layer=\"h\"", h),
            ("layer=\"f\"", f),
            ("layer=\"other\"", other),
        ],
    );
    text.labelled(
        "sfu_rtcp_pli_total",
        "counter",
        "Keyframe requests from subscribers and to publishers.",
        &[
            ("direction=\"in\"", c.pli_in),
            ("direction=\"out\"", c.pli_out),
        ],
    );
    text.counter(
        "sfu_pli_merged_total",
        "Keyframe requests that rode on another.",
        c.pli_merged,
    );
    text.counter(
        "sfu_ring_start_total",
        "Joins and repairs served from a ring.",
        c.ring_starts,
    );
}

fn transport(text: &mut Text, all: &Snapshot) {
    let c = &all.counters;
    let [cm, gcm128, gcm256] = c.srtp_profiles;
    text.labelled(
        "sfu_srtp_profile_total",
        "counter",
        "Handshakes by the SRTP profile agreed on.",
        &[
            ("profile=\"SRTP_AES128_CM_HMAC_SHA1_80\"", cm),
            ("profile=\"SRTP_AEAD_AES_128_GCM\"", gcm128),
            ("profile=\"SRTP_AEAD_AES_256_GCM\"", gcm256),
        ],
    );
    text.labelled(
        "sfu_unclaimed_datagrams_total",
        "counter",
        "Datagrams that were nobody's, by cause.",
        &[
            ("cause=\"unknown_protocol\"", all.strangers.unknown_protocol),
            ("cause=\"malformed_stun\"", all.strangers.malformed_stun),
            ("cause=\"unknown_ufrag\"", all.strangers.unknown_ufrag),
            ("cause=\"unknown_address\"", all.strangers.unknown_address),
        ],
    );
    text.labelled(
        "sfu_inbound_dropped_total",
        "counter",
        "RTP packets not forwarded, by cause.",
        &[
            ("cause=\"oversized\"", c.oversized_dropped),
            ("cause=\"unmapped\"", c.inbound_dropped),
        ],
    );
}

fn sockets(text: &mut Text, all: &Snapshot) {
    let c = &all.counters;
    text.labelled(
        "sfu_udp_datagrams_total",
        "counter",
        "Datagrams at the sockets.",
        &[
            ("direction=\"in\"", all.udp.datagrams_in),
            ("direction=\"out\"", all.udp.datagrams_out),
        ],
    );
    text.labelled(
        "sfu_udp_bytes_total",
        "counter",
        "Bytes at the sockets, without IP and UDP headers.",
        &[
            ("direction=\"in\"", all.udp.bytes_in),
            ("direction=\"out\"", all.udp.bytes_out),
        ],
    );
    text.counter(
        "sfu_udp_send_calls_total",
        "System calls that sent.",
        all.udp.send_calls,
    );
    text.counter(
        "sfu_udp_gso_runs_total",
        "Sends of more than one segment.",
        all.udp.gso_runs,
    );
    text.labelled(
        "sfu_send_dropped_total",
        "counter",
        "Datagrams not sent, by cause.",
        &[
            ("cause=\"would_block\"", all.udp.would_block_dropped),
            ("cause=\"error\"", all.udp.send_errors),
            ("cause=\"tcp_buffer\"", all.tcp_dropped),
        ],
    );
    text.counter(
        "sfu_misrouted_datagrams_total",
        "Handed to their owner shard.",
        all.misrouted,
    );
    text.counter(
        "sfu_events_dropped_total",
        "Events JavaScript was too slow for.",
        all.events_dropped,
    );
    text.counter(
        "sfu_panics_total",
        "Panics contained.",
        all.panics + c.client_panics,
    );
}

/// A family's value for one client; none while it is unknown.
type Gauge = fn(&ClientStats) -> Option<f64>;

#[expect(clippy::cast_precision_loss, reason = "a gauge of bits a second")]
fn per_client(text: &mut Text, clients: &[ClientStats]) {
    let families: [(&str, &str, Gauge); 4] = [
        (
            "sfu_peer_loss_fraction",
            "Lost share of what was sent, 0 to 1.",
            |c| c.fraction_lost.map(f64::from),
        ),
        ("sfu_peer_rtt_ms", "Round trip.", |c| {
            c.round_trip_time.map(|t| t.as_secs_f64() * 1e3)
        }),
        (
            "sfu_peer_jitter_ms",
            "Interarrival jitter of what the client sends.",
            |c| Some(c.jitter.as_secs_f64() * 1e3),
        ),
        (
            "sfu_bandwidth_estimate_bps",
            "What can be sent to the client.",
            |c| c.available_outgoing_bitrate.map(|bits| bits as f64),
        ),
    ];
    for (name, help, value) in families {
        text.head(name, "gauge", help);
        for client in clients.iter().take(MAX_SERIES) {
            if let Some(value) = value(client) {
                text.line(format_args!(
                    "{name}{{peer_id=\"{}\"}} {value}",
                    client.client_id
                ));
            }
        }
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(format_args!("{name} {value}"));
    }

    fn labelled(&mut self, name: &str, kind: &str, help: &str, values: &[(&str, u64)]) {
        self.head(name, kind, help);
        for (labels, value) in values {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }
}

/// Series per family with a label per client.
const MAX_SERIES: usize = 10_000;
