//! WHEP by the sections of draft-ietf-wish-whep-04, and its events by webrtc-http-egress-events.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "some of it is for WHIP")]
mod support;

use std::time::Duration;

use sluice_media::StreamKey;
use sluice_proto::Permission;
use sluice_proto::wish::{Action, Event, EventReader, LayerSelection, Options, Outcome, Output};
use support::{ANSWER, FRAGMENT, SDP, Server, TRICKLE, located, offer};

const ENDPOINT: &str = "live/show/whep";
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn section_4_2_head_and_get_show_a_whep_endpoint_by_its_type() {
    for method in ["HEAD", "GET"] {
        let response = Server::new().send(method, ENDPOINT, &[], "");
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some(SDP))
        );
        assert!(response.body.is_empty());
    }
}

#[test]
fn section_4_3_1_offer_is_answered() {
    let mut server = Server::new();
    let response = server.post(ENDPOINT, &offer("recvonly"));
    assert_eq!(
        (response.status, response.header("content-type")),
        (201, Some(SDP))
    );
    let Action::Authorize { permission, .. } = server.actions[0] else {
        panic!()
    };
    assert_eq!(permission, Permission::Play);
}

#[test]
fn section_4_3_2_counter_offer_is_completed_by_a_patch() {
    let mut server = Server::new();
    let (session, tag) = counter_offered(&mut server);
    let trickle = [("content-type", FRAGMENT), ("if-match", &*tag)];
    assert_eq!(
        server.send("PATCH", &session, &trickle, TRICKLE).status,
        409
    );
    let sdp = [("content-type", SDP)];
    for (answer, status) in [
        ("nonsense".to_owned(), 400),
        (offer("sendonly"), 422),
        (offer("sendrecv"), 422),
    ] {
        assert_eq!(server.send("PATCH", &session, &sdp, &answer).status, status);
    }
    let response = server.send("PATCH", &session, &sdp, &offer("recvonly"));
    assert_eq!((response.status, response.body.len()), (204, 0));
    assert!(matches!(server.actions.last(), Some(Action::Answer { .. })));
    // The credentials of the answer are the session's now.
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
    assert!(matches!(
        server.actions.last(),
        Some(Action::Trickle { .. })
    ));
    assert_eq!(
        server
            .send("PATCH", &session, &sdp, &offer("recvonly"))
            .status,
        415
    );
    server.wait(Duration::from_secs(60));
    assert_eq!(
        (server.endpoint.session_count(), server.outputs()),
        (1, vec![])
    );
}

#[test]
fn section_4_3_2_counter_offer_is_valid_for_30_seconds() {
    let mut server = Server::new();
    let (session, _) = counter_offered(&mut server);
    server.wait(Duration::from_millis(29_999));
    assert_eq!(server.send("GET", &session, &[], "").status, 204);
    server.wait(Duration::from_millis(1));
    assert_eq!(
        server.outputs(),
        [Output::Close {
            session: server.session()
        }]
    );
    let sdp = [("content-type", SDP)];
    assert_eq!(
        server
            .send("PATCH", &session, &sdp, &offer("recvonly"))
            .status,
        404
    );
}

#[test]
fn section_4_3_2_refused_answer_may_be_tried_again() {
    let mut server = Server::new();
    let (session, _) = counter_offered(&mut server);
    let sdp = [("content-type", SDP)];
    server.change = Some(Outcome::Unprocessable);
    assert_eq!(
        server
            .send("PATCH", &session, &sdp, &offer("recvonly"))
            .status,
        422
    );
    server.change = None;
    assert_eq!(
        server
            .send("PATCH", &session, &sdp, &offer("recvonly"))
            .status,
        204
    );
}

#[test]
fn section_4_3_4_other_types_and_malformed_offers_are_4xx() {
    let mut server = Server::new();
    assert_eq!(
        server
            .send("POST", ENDPOINT, &[JSON], &offer("recvonly"))
            .status,
        415
    );
    assert_eq!(server.post(ENDPOINT, "").status, 400);
}

#[test]
fn section_4_3_5_player_must_want_to_receive() {
    for (direction, status) in [
        ("recvonly", 201),
        ("sendrecv", 201),
        ("sendonly", 422),
        ("inactive", 422),
    ] {
        assert_eq!(
            Server::new().post(ENDPOINT, &offer(direction)).status,
            status,
            "{direction}"
        );
    }
}

#[test]
fn section_4_3_8_no_publisher_is_409_with_a_time() {
    let mut server = Server::new();
    server.creation = Outcome::NoPublisher;
    let response = server.post(ENDPOINT, &offer("recvonly"));
    assert_eq!(
        (response.status, response.header("retry-after")),
        (409, Some("5"))
    );
}

#[test]
fn section_4_10_extensions_are_links() {
    let mut server = Server::new();
    let response = server.post(ENDPOINT, &offer("recvonly"));
    let url = response.header("location").unwrap().to_owned();
    let links: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| *name == "Link")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(
        links[1..],
        [
            format!(
                "<{url}/sse>; rel=\"urn:ietf:params:whep:ext:core:server-sent-events\"; events=\"active,inactive,layers,reconnect,viewercount\""
            ),
            format!("<{url}/layer>; rel=\"urn:ietf:params:whep:ext:core:layer\""),
        ]
    );
    let mut options = Options::default();
    options.max_event_streams = 0;
    let mut server = Server::with(options);
    let response = server.post(ENDPOINT, &offer("recvonly"));
    assert!(
        response
            .headers
            .iter()
            .all(|(_, value)| !value.contains("core:"))
    );
    let (session, _) = located(&response);
    assert_eq!(
        server
            .send("POST", &format!("{session}/layer"), &[JSON], "{}")
            .status,
        404
    );
}

#[test]
fn events_are_created_read_and_deleted() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    server.endpoint.tell(&key(), &Event::Active);
    let stream = listen(
        &mut server,
        &session,
        r#"["active","inactive","viewercount"]"#,
    );
    let reader = read(&mut server, &stream);
    assert_eq!(server.outputs(), [Output::Events { reader }]);
    assert_eq!(
        server.endpoint.poll_events(reader).unwrap(),
        "event: active\ndata: {}\n\n"
    );
    server.endpoint.tell(&key(), &Event::ViewerCount(3));
    server.endpoint.tell(&key(), &Event::Reconnect(None));
    assert_eq!(
        server.outputs(),
        [Output::Events { reader }],
        "once until it is read"
    );
    let text = server.endpoint.poll_events(reader).unwrap();
    assert_eq!(text, "event: viewercount\ndata: {\"viewercount\":3}\n\n");
    assert_eq!(server.endpoint.poll_events(reader).unwrap(), "");

    assert_eq!(server.send("DELETE", &stream, &[], "").status, 200);
    assert_eq!(server.outputs(), [Output::Events { reader }]);
    assert_eq!(server.endpoint.poll_events(reader), None);
    assert_eq!(server.send("GET", &stream, &[], "").status, 404);
    assert_eq!(server.send("DELETE", &stream, &[], "").status, 404);
    assert_eq!(server.endpoint.deadline(), None);
}

#[test]
fn unknown_event_makes_no_stream() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    let url = format!("{session}/sse");
    for (headers, body, status) in [
        (&[JSON][..], r#"["active","scte35"]"#, 400),
        (&[JSON], "{}", 400),
        (&[], "[\"active\"]", 415),
        (&[JSON], &" ".repeat(20_000), 413),
    ] {
        assert_eq!(
            server.send("POST", &url, headers, body).status,
            status,
            "{body}"
        );
    }
    assert_eq!(
        server.send("POST", &url, &[], "").status,
        201,
        "no list means all"
    );
}

#[test]
fn session_has_event_streams_up_to_a_cap() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    for _ in 0..4 {
        listen(&mut server, &session, "[]");
    }
    assert_eq!(
        server
            .send("POST", &format!("{session}/sse"), &[], "")
            .status,
        409
    );
}

#[test]
fn late_listener_is_told_the_state_and_never_begins_with_inactive() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    server.endpoint.tell(&key(), &Event::Active);
    server.endpoint.tell(&key(), &Event::Inactive);
    server.endpoint.tell(&key(), &Event::ViewerCount(7));
    let stream = listen(
        &mut server,
        &session,
        r#"["active","inactive","viewercount"]"#,
    );
    let reader = read(&mut server, &stream);
    let text = server.endpoint.poll_events(reader).unwrap();
    assert!(text.contains('7') && !text.contains("active"), "{text}");
}

#[test]
fn silent_stream_is_kept_alive_and_a_second_reader_takes_it_over() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    let stream = listen(&mut server, &session, "[]");
    let first = read(&mut server, &stream);
    server.wait(Duration::from_secs(15));
    assert_eq!(server.outputs(), [Output::Events { reader: first }]);
    assert_eq!(server.endpoint.poll_events(first).unwrap(), ":\n\n");
    let second = read(&mut server, &stream);
    assert_eq!(server.endpoint.poll_events(first), None);
    assert_eq!(server.endpoint.poll_events(second).unwrap(), "");
    server.endpoint.detach(first);
    assert_eq!(server.endpoint.poll_events(second).unwrap(), "");
    server.endpoint.detach(second);
    assert_eq!(server.endpoint.deadline(), None);
}

#[test]
fn end_of_a_session_ends_its_event_streams() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    let stream = listen(&mut server, &session, "[]");
    let reader = read(&mut server, &stream);
    assert_eq!(server.send("DELETE", &session, &[], "").status, 200);
    assert_eq!(server.outputs(), [Output::Events { reader }]);
    assert_eq!(server.endpoint.poll_events(reader), None);
    assert_eq!(server.endpoint.deadline(), None);
}

#[test]
fn draining_server_sends_its_viewers_elsewhere() {
    let mut server = Server::new();
    let readers = ["live/show", "live/other"].map(|stream| {
        let response = server.post(&format!("{stream}/whep"), &offer("recvonly"));
        let stream = listen(&mut server, &located(&response).0, r#"["reconnect"]"#);
        read(&mut server, &stream)
    });
    let url = "https://b.example/live".to_owned();
    server.endpoint.tell_all(&Event::Reconnect(Some(url)));
    for reader in readers {
        let text = server.endpoint.poll_events(reader).unwrap();
        assert_eq!(
            text,
            "event: reconnect\ndata: {\"url\":\"https://b.example/live\"}\n\n"
        );
    }
}

#[test]
fn layer_is_selected() {
    let mut server = Server::new();
    let (session, _) = play(&mut server);
    let url = format!("{session}/layer");
    assert_eq!(
        server
            .send("POST", &url, &[JSON], r#"{"mediaId":"1","rid":"hd"}"#)
            .status,
        200
    );
    let Some(Action::SelectLayer { selection, .. }) = server.actions.last() else {
        panic!()
    };
    assert_eq!(
        (selection.media_id, selection.rid.as_deref()),
        (Some(1), Some("hd"))
    );
    assert_eq!(server.send("POST", &url, &[JSON], "{}").status, 200);
    let Some(Action::SelectLayer { selection, .. }) = server.actions.last() else {
        panic!()
    };
    assert_eq!(*selection, LayerSelection::default());
    server.change = Some(Outcome::Unprocessable);
    assert_eq!(
        server.send("POST", &url, &[JSON], r#"{"rid":"no"}"#).status,
        422
    );
    assert_eq!(server.send("POST", &url, &[JSON], "[]").status, 400);
    assert_eq!(server.send("POST", &url, &[], "{}").status, 415);
}

fn play(server: &mut Server) -> (String, String) {
    let response = server.post(ENDPOINT, &offer("recvonly"));
    assert_eq!(response.status, 201);
    located(&response)
}

fn key() -> StreamKey {
    StreamKey::new("live", "show").unwrap()
}

fn counter_offered(server: &mut Server) -> (String, String) {
    server.creation = Outcome::CounterOffer {
        offer: ANSWER.replace("recvonly", "sendonly"),
        ice_servers: Vec::new(),
    };
    let response = server.post(ENDPOINT, &offer("recvonly"));
    assert_eq!(
        (response.status, response.header("content-type")),
        (406, Some(SDP))
    );
    assert!(!response.body.is_empty());
    located(&response)
}

fn listen(server: &mut Server, session: &str, kinds: &str) -> String {
    let response = server.send("POST", &format!("{session}/sse"), &[JSON], kinds);
    assert_eq!(response.status, 201);
    response
        .header("location")
        .unwrap()
        .strip_prefix("/live/")
        .unwrap()
        .to_owned()
}

fn read(server: &mut Server, stream: &str) -> EventReader {
    let response = server.send("GET", stream, &[], "");
    assert_eq!(
        (response.status, response.header("content-type")),
        (200, Some("text/event-stream"))
    );
    response.events.unwrap()
}
