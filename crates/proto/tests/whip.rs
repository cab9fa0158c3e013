//! WHIP by the sections of RFC 9725.

mod support;

use std::time::Duration;

use sluice_proto::Permission;
use sluice_proto::wish::{
    Action, BearerToken, Options, Outcome, Output, Request, SessionAccess, Step,
};
use support::{ANSWER, FRAGMENT, RESTART, SDP, Server, TRICKLE, located, offer, restarted};

const ENDPOINT: &str = "live/show/whip";

#[test]
fn section_4_1_get_and_head_have_no_content() {
    let mut server = Server::new();
    let (session, _) = server.publish();
    for path in [ENDPOINT, &session] {
        for method in ["GET", "HEAD"] {
            let response = server.send(method, path, &[], "");
            assert_eq!(
                (response.status, response.body.len()),
                (204, 0),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn rfc_9110_section_9_3_2_head_never_has_content() {
    let mut server = Server::new();
    let response = server.send("HEAD", "live/show/nothing", &[], "");
    assert_eq!((response.status, response.body.len()), (404, 0));
}

#[test]
fn section_4_1_refusals_are_problem_statements() {
    let response = Server::new().post(ENDPOINT, "nonsense");
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(problem["status"], 400);
}

#[test]
fn section_4_2_post_makes_a_session_with_a_url_and_a_tag() {
    let mut server = Server::new();
    let response = server.post(ENDPOINT, &offer("sendonly"));
    assert_eq!(response.status, 201);
    assert_eq!(response.header("content-type"), Some(SDP));
    assert_eq!(response.body, ANSWER.as_bytes());
    assert_eq!(response.header("accept-patch"), Some(FRAGMENT));
    let id = server.session().to_string();
    assert_eq!(
        response.header("location"),
        Some(&*format!("/live/{ENDPOINT}/{id}"))
    );
    let tag = response.header("etag").unwrap();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10);
    let Action::Create {
        offer: handed, key, ..
    } = &server.actions[1]
    else {
        panic!()
    };
    assert_eq!((handed, key.as_str()), (&offer("sendonly"), "live/show"));
}

#[test]
fn section_4_2_another_type_is_415_and_malformed_is_400() {
    let mut server = Server::new();
    let response = server.send(
        "POST",
        ENDPOINT,
        &[("content-type", "text/plain")],
        &offer("sendonly"),
    );
    assert_eq!(
        (response.status, response.header("accept-post")),
        (415, Some(SDP))
    );
    let response = server.send("POST", ENDPOINT, &[], &offer("sendonly"));
    assert_eq!(response.status, 415);
    let parameters = [("Content-type", "Application/SDP; charset=utf-8")];
    assert_eq!(
        server
            .send("POST", ENDPOINT, &parameters, &offer("sendonly"))
            .status,
        201
    );
    for broken in [
        String::new(),
        "v=0".to_owned(),
        offer("sendonly").replace("v=0\r\n", ""),
        offer("sendonly").replace("s=-\r\n", ""),
        offer("sendonly").replace("a=ice-ufrag:EsAw\r\n", ""),
        offer("sendonly").replace("a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n", "a=ice-pwd:x\r\n"),
        offer("sendonly").replace("a=fingerprint:sha-256 DA:7B:57:DC\r\n", ""),
    ] {
        let status = server.post(ENDPOINT, &broken).status;
        assert!(matches!(status, 400 | 422), "{status} {broken}");
    }
}

#[test]
fn section_4_2_client_must_want_to_send() {
    for (direction, status) in [
        ("sendonly", 201),
        ("sendrecv", 201),
        ("recvonly", 422),
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
fn section_4_2_delete_ends_the_session_whatever_the_tag() {
    let mut server = Server::new();
    let (session, _) = server.publish();
    let stale = [("If-Match", "\"stale\"")];
    assert_eq!(server.send("DELETE", &session, &stale, "").status, 200);
    assert_eq!(
        server.actions.last(),
        Some(&Action::Close {
            session: server.session()
        })
    );
    assert_eq!(server.send("DELETE", &session, &[], "").status, 404);
    assert_eq!(server.patch(&session, "*", RESTART).status, 404);
    assert_eq!(server.endpoint.session_count(), 0);
}

#[test]
fn section_4_2_options_tell_what_may_be_posted_and_by_whom() {
    let mut server = Server::new();
    let (session, _) = server.publish();
    for path in [ENDPOINT, &session] {
        let response = server.send("OPTIONS", path, &[("Origin", "https://example.com")], "");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("accept-post"), Some(SDP));
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        let allowed = response.header("access-control-allow-headers").unwrap();
        assert!(
            ["Authorization", "Content-Type", "If-Match"]
                .iter()
                .all(|name| allowed.contains(name))
        );
        assert_eq!(
            response.header("access-control-allow-methods"),
            response.header("allow")
        );
    }
    let exposed = server.send("GET", ENDPOINT, &[], "");
    let exposed = exposed.header("access-control-expose-headers").unwrap();
    assert!(
        ["Location", "ETag", "Link"]
            .iter()
            .all(|name| exposed.contains(name))
    );
}

#[test]
fn section_4_3_1_patch_without_or_with_a_stale_tag() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    let headers = [("content-type", FRAGMENT)];
    assert_eq!(
        server.send("PATCH", &session, &headers, TRICKLE).status,
        428
    );
    assert_eq!(server.patch(&session, "\"other\"", TRICKLE).status, 412);
    assert_eq!(
        server.patch(&session, &format!("W/{tag}"), TRICKLE).status,
        412
    );
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
}

#[test]
fn section_4_3_1_patch_of_another_type_or_malformed() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    for media_type in ["application/json", SDP] {
        let headers = [("content-type", media_type), ("if-match", &*tag)];
        let response = server.send("PATCH", &session, &headers, TRICKLE);
        assert_eq!(
            (response.status, response.header("accept-patch")),
            (415, Some(FRAGMENT))
        );
    }
    assert_eq!(server.patch(&session, &tag, "").status, 400);
    assert_eq!(server.patch(&session, &tag, "hello").status, 400);
    assert_eq!(
        server
            .patch(&session, &tag, "m=audio 9 X 0\r\na=candidate:1\r\n")
            .status,
        400
    );
    assert_eq!(
        server.patch(&session, &tag, &"a=x\r\n".repeat(5000)).status,
        413
    );
}

#[test]
fn section_4_3_1_unsupported_half_is_422() {
    let mut options = Options::default();
    options.trickle = false;
    let mut server = Server::with(options.clone());
    let (session, tag) = server.publish();
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 422);
    assert_eq!(server.patch(&session, "*", RESTART).status, 200);
    options.trickle = true;
    options.ice_restart = false;
    let mut server = Server::with(options);
    let (session, tag) = server.publish();
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
    assert_eq!(server.patch(&session, "*", RESTART).status, 422);
}

#[test]
fn section_4_3_2_trickle_is_204_without_a_tag() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    for if_match in [&*tag, "*"] {
        let response = server.patch(&session, if_match, TRICKLE);
        assert_eq!((response.status, response.header("etag")), (204, None));
        assert!(response.body.is_empty());
        let Some(Action::Trickle { fragment, .. }) = server.actions.last() else {
            panic!()
        };
        assert_eq!(fragment.candidates().count(), 1);
    }
    // The tag says which ICE session is meant, `*` does not.
    let bare = "m=audio 9 X 0\r\na=mid:0\r\na=end-of-candidates\r\n";
    assert_eq!(server.patch(&session, &tag, bare).status, 204);
    assert_eq!(server.patch(&session, "*", bare).status, 400);
}

#[test]
fn section_4_3_2_candidates_of_no_use_are_left_out_in_silence() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    let hidden = TRICKLE.replace("192.0.2.1", "4d7e0c1b.local");
    assert_eq!(server.patch(&session, &tag, &hidden).status, 204);
    let sctp = TRICKLE.replace(" udp ", " sctp ");
    assert_eq!(server.patch(&session, &tag, &sctp).status, 204);
}

#[test]
fn section_4_3_3_restart_gives_a_new_tag_and_our_lines() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    // In quotes it stands in the RFC's own example.
    for if_match in ["*", "\"*\""] {
        let new = RESTART.replace("ysXw", if if_match == "*" { "ysXw" } else { "ysXx" });
        let response = server.patch(&session, if_match, &new);
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some(FRAGMENT))
        );
        assert_ne!(response.header("etag"), Some(&*tag));
        let text = String::from_utf8(response.body).unwrap();
        for line in [
            "a=ice-lite",
            "a=ice-options:trickle ice2",
            "a=group:BUNDLE 0 1",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "a=mid:0",
            "a=ice-ufrag:289b31b754eaa438",
            "a=ice-pwd:0b66f472495ef0ccac7bda65",
            "a=candidate:1 1 udp 2130706431 198.51.100.1 39132 typ host",
            "a=end-of-candidates",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}

#[test]
fn section_4_3_3_tag_before_the_restart_is_stale_after_it() {
    let mut server = Server::new();
    let (session, old) = server.publish();
    let new = server
        .patch(&session, "*", RESTART)
        .header("etag")
        .unwrap()
        .to_owned();
    assert_eq!(server.patch(&session, &old, TRICKLE).status, 412);
    assert_eq!(server.patch(&session, &new, RESTART).status, 204);
    // The credentials of the first ICE session are new ones now.
    assert_eq!(server.patch(&session, "*", TRICKLE).status, 200);
}

#[test]
fn section_4_3_3_failed_restart_keeps_the_session_and_its_tag() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    for (outcome, status) in [
        (Outcome::Busy, 503),
        (Outcome::Unprocessable, 422),
        (Outcome::Failed, 500),
    ] {
        server.change = Some(outcome);
        assert_eq!(server.patch(&session, "*", RESTART).status, status);
    }
    server.change = None;
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
}

#[test]
fn section_4_4_1_everything_is_bundled_and_muxed() {
    for broken in [
        offer("sendonly").replace("a=group:BUNDLE 0 1\r\n", ""),
        offer("sendonly").replace("a=group:BUNDLE 0 1\r\n", "a=group:BUNDLE 0\r\n"),
        offer("sendonly").replace("a=rtcp-mux\r\na=rtcp-mux-only\r\n", ""),
    ] {
        assert_eq!(
            Server::new().post(ENDPOINT, &broken).status,
            422,
            "{broken}"
        );
    }
    let rejected = offer("sendonly")
        .replace("BUNDLE 0 1", "BUNDLE 0")
        .replace("m=video 9", "m=video 0");
    assert_eq!(Server::new().post(ENDPOINT, &rejected).status, 201);
}

#[test]
fn section_4_4_2_one_stream_of_one_audio_and_one_video() {
    let second = offer("sendonly").replacen("a=msid:stream", "a=msid:other", 1);
    assert_eq!(Server::new().post(ENDPOINT, &second).status, 422);
    let two_audios = offer("sendonly").replace("m=video", "m=audio");
    assert_eq!(Server::new().post(ENDPOINT, &two_audios).status, 422);
    let data_only = offer("sendonly")
        .replace("m=video", "m=application")
        .replace("m=audio", "m=application");
    assert_eq!(Server::new().post(ENDPOINT, &data_only).status, 422);
    let data_too = offer("sendonly")
        .replace("m=video", "m=application")
        .replace("a=sendonly\r\na=msid", "a=msid");
    assert_eq!(Server::new().post(ENDPOINT, &data_too).status, 201);
}

#[test]
fn section_4_4_3_what_cannot_be_had_refuses_the_whole_offer() {
    let mut server = Server::new();
    for (outcome, status) in [(Outcome::Unprocessable, 422), (Outcome::Malformed, 400)] {
        server.creation = outcome;
        assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, status);
    }
    assert_eq!(server.endpoint.session_count(), 0);
}

#[test]
fn section_4_4_4_dtls_role_is_one_that_the_rules_allow() {
    for (setup, by_default, strict) in [
        ("actpass", 201, 201),
        ("active", 201, 201),
        ("passive", 201, 422),
        ("holdconn", 422, 422),
    ] {
        let offer = offer("sendonly").replace("setup:actpass", &format!("setup:{setup}"));
        assert_eq!(Server::new().post(ENDPOINT, &offer).status, by_default);
        let mut options = Options::default();
        options.offer_rules.passive_clients = false;
        assert_eq!(Server::with(options).post(ENDPOINT, &offer).status, strict);
    }
}

#[test]
fn section_4_5_redirect_keeps_the_method() {
    let mut server = Server::new();
    for (permanent, status) in [(false, 307), (true, 308)] {
        let url = "https://b.example/live/live/show/whip".to_owned();
        server.creation = Outcome::Redirect {
            url: url.clone(),
            permanent,
        };
        let response = server.post(ENDPOINT, &offer("sendonly"));
        assert_eq!(
            (response.status, response.header("location")),
            (status, Some(&*url))
        );
    }
    let url = "https://b.example/\r\nX: y".to_owned();
    server.creation = Outcome::Redirect {
        url,
        permanent: false,
    };
    assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 500);
}

#[test]
fn section_4_5_draining_server_takes_no_session_and_keeps_those_it_has() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    server.endpoint.set_draining(true);
    let response = server.post(ENDPOINT, &offer("sendonly"));
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("5"))
    );
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
    assert_eq!(server.send("DELETE", &session, &[], "").status, 200);
}

#[test]
fn section_4_6_ice_servers_are_links() {
    let response = Server::new().post(ENDPOINT, &offer("sendonly"));
    assert_eq!(
        response.header("link"),
        Some("<stun:stun.example.net>; rel=\"ice-server\"")
    );
}

#[test]
fn section_4_7_refusals_name_the_bearer_scheme() {
    let mut server = Server::new();
    server.authorization = Outcome::Unauthenticated;
    let response = server.post(ENDPOINT, &offer("sendonly"));
    assert_eq!(
        (response.status, response.header("www-authenticate")),
        (401, Some("Bearer realm=\"live\""))
    );
    let headers = [("content-type", SDP), ("authorization", "Bearer old")];
    let response = server.send("POST", ENDPOINT, &headers, &offer("sendonly"));
    assert!(
        response
            .header("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
    server.authorization = Outcome::Forbidden;
    let response = server.send("POST", ENDPOINT, &headers, &offer("sendonly"));
    assert_eq!(response.status, 403);
    assert!(
        server
            .actions
            .iter()
            .all(|action| matches!(action, Action::Authorize { .. }))
    );
}

#[test]
fn section_4_7_1_token_of_the_header_reaches_the_authorizer_and_that_of_the_query_does_not() {
    let mut server = Server::new();
    let headers = [("content-type", SDP), ("authorization", "Bearer a.b.c")];
    server.send("POST", ENDPOINT, &headers, &offer("sendonly"));
    let Action::Authorize {
        permission, token, ..
    } = &server.actions[0]
    else {
        panic!()
    };
    assert_eq!(
        (*permission, token.as_ref().map(BearerToken::as_str)),
        (Permission::Publish, Some("a.b.c"))
    );
    server.actions.clear();
    server.publish();
    assert!(matches!(
        &server.actions[0],
        Action::Authorize { token: None, .. }
    ));

    let mut options = Options::default();
    options.query_token = Some("token".to_owned());
    let mut server = Server::with(options);
    server.publish();
    assert!(
        matches!(&server.actions[0], Action::Authorize { token: Some(token), .. } if token.as_str() == "from-the-query")
    );
}

#[test]
fn section_4_7_1_session_requests_are_authorized_where_that_is_asked() {
    let mut options = Options::default();
    options.session_access = SessionAccess::Authorize;
    let mut server = Server::with(options);
    let (session, tag) = server.publish();
    server.authorization = Outcome::Unauthenticated;
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 401);
    assert_eq!(server.send("DELETE", &session, &[], "").status, 401);
    server.authorization = Outcome::Allowed;
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
    assert_eq!(server.send("DELETE", &session, &[], "").status, 200);
}

#[test]
fn section_4_9_whip_has_no_extensions() {
    let mut server = Server::new();
    let (session, _) = server.publish();
    assert_eq!(
        server
            .send("POST", &format!("{session}/sse"), &[], "")
            .status,
        404
    );
}

#[test]
fn section_5_posts_and_session_requests_are_limited_by_address() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    let limited = (0..30)
        .map(|_| server.post(ENDPOINT, "x"))
        .find(|response| response.status == 429)
        .unwrap();
    assert_eq!(limited.header("retry-after"), Some("1"));
    let mut statuses = (0..100).map(|_| server.patch(&session, &tag, TRICKLE).status);
    assert!(statuses.any(|status| status == 429));
    server.peer = [192, 0, 2, 2].into();
    assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 201);
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
    server.peer = [192, 0, 2, 1].into();
    server.wait(Duration::from_secs(1));
    assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 201);
}

#[test]
fn section_5_guessing_an_id_finds_nothing() {
    let mut server = Server::new();
    let (session, _) = server.publish();
    let foreign = session.replace("live/show", "live/other");
    assert_eq!(server.send("DELETE", &foreign, &[], "").status, 404);
    assert_eq!(
        server
            .send("DELETE", &session.replace("whip", "whep"), &[], "")
            .status,
        404
    );
    let (head, tail) = session.split_at(session.len() - 1);
    let other = if tail == "0" { "1" } else { "0" };
    assert_eq!(
        server
            .send("DELETE", &format!("{head}{other}"), &[], "")
            .status,
        404
    );
    assert_eq!(server.endpoint.session_count(), 1);
}

#[test]
fn rfc_9110_section_15_5_6_other_methods_are_told_what_is_allowed() {
    let mut server = Server::new();
    let (session, _) = server.publish();
    for (path, methods, allow) in [
        (
            ENDPOINT,
            ["PUT", "DELETE", "PATCH"],
            "POST, GET, HEAD, OPTIONS",
        ),
        (
            &session,
            ["PUT", "POST", "TRACE"],
            "PATCH, DELETE, GET, HEAD, OPTIONS",
        ),
    ] {
        for method in methods {
            let response = server.send(method, path, &[], "");
            assert_eq!(
                (response.status, response.header("allow")),
                (405, Some(allow)),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn rfc_9110_section_15_5_14_long_offer_is_413() {
    let long = format!("{}{}", offer("sendonly"), "a=x\r\n".repeat(20_000));
    assert_eq!(Server::new().post(ENDPOINT, &long).status, 413);
}

#[test]
fn second_publisher_is_told_to_come_later() {
    let mut server = Server::new();
    server.creation = Outcome::AlreadyPublishing;
    let response = server.post(ENDPOINT, &offer("sendonly"));
    assert_eq!(
        (response.status, response.header("retry-after")),
        (409, Some("5"))
    );
}

#[test]
fn silent_authorizer_has_not_consented() {
    let mut server = Server::new();
    let headers = [("content-type", SDP)];
    let Step::Act { ticket, .. } = server.start("POST", ENDPOINT, &headers, &offer("sendonly"))
    else {
        panic!()
    };
    assert!(server.endpoint.deadline().is_some());
    server.wait(Duration::from_secs(10));
    let outputs = server.outputs();
    assert!(
        matches!(&outputs[..], [Output::Respond { ticket: told, response }] if *told == ticket && response.status == 503)
    );
    assert_eq!(
        server.endpoint.resume(server.now, ticket, Outcome::Allowed),
        None
    );
    assert_eq!(server.endpoint.deadline(), None);
}

#[test]
fn session_that_comes_too_late_or_for_nobody_is_closed() {
    let headers = [("content-type", SDP)];
    for late in [true, false] {
        let mut server = Server::new();
        let Step::Act { ticket, action } =
            server.start("POST", ENDPOINT, &headers, &offer("sendonly"))
        else {
            panic!()
        };
        let Step::Act {
            ticket,
            action: Action::Create { session, .. },
        } = server.act(ticket, action)
        else {
            panic!()
        };
        if late {
            server.wait(Duration::from_secs(10));
        } else {
            server.endpoint.abandon(ticket);
        }
        assert!(server.outputs().contains(&Output::Close { session }));
        let outcome = server.creation.clone();
        assert_eq!(server.endpoint.resume(server.now, ticket, outcome), None);
        assert_eq!(server.endpoint.session_count(), 0);
    }
}

#[test]
fn outcome_that_does_not_fit_is_our_failure_and_leaves_no_session() {
    let counter_offer = Outcome::CounterOffer {
        offer: ANSWER.to_owned(),
        ice_servers: Vec::new(),
    };
    let nonsense = Outcome::Answered {
        answer: "nonsense".to_owned(),
        ice_servers: Vec::new(),
    };
    for outcome in [counter_offer, nonsense, Outcome::Done, restarted()] {
        let mut server = Server::new();
        server.creation = outcome;
        assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 500);
        assert_eq!(
            server.outputs(),
            [Output::Close {
                session: server.session()
            }]
        );
        assert_eq!(server.endpoint.session_count(), 0);
    }
}

#[test]
fn session_that_ended_on_its_own_is_not_found() {
    let mut server = Server::new();
    let (session, tag) = server.publish();
    assert!(server.endpoint.closed(server.session()));
    assert!(!server.endpoint.closed(server.session()));
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 404);
    let (session, tag) = server.publish();
    server.change = Some(Outcome::Gone);
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 404);
    assert_eq!(server.endpoint.session_count(), 0);
}

#[test]
fn tables_are_full_at_their_caps() {
    let mut options = Options::default();
    options.max_sessions = 2;
    options.max_pending = 3;
    let mut server = Server::with(options);
    let first = server.publish();
    server.publish();
    assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 503);
    server.send("DELETE", &first.0, &[], "");
    // One in the making takes the place.
    let headers = [("content-type", SDP)];
    assert!(matches!(
        server.start("POST", ENDPOINT, &headers, &offer("sendonly")),
        Step::Act { .. }
    ));
    assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 503);
}

#[test]
fn authorizer_that_hangs_takes_no_session_the_means_to_end() {
    let mut options = Options::default();
    options.max_pending = 2;
    let mut server = Server::with(options);
    let (session, tag) = server.publish();
    let headers = [("content-type", SDP)];
    for _ in 0..2 {
        let step = server.start("POST", ENDPOINT, &headers, &offer("sendonly"));
        assert!(matches!(step, Step::Act { .. }));
    }
    assert_eq!(server.post(ENDPOINT, &offer("sendonly")).status, 503);
    assert_eq!(server.patch(&session, &tag, TRICKLE).status, 204);
    assert_eq!(server.send("DELETE", &session, &[], "").status, 200);
}

#[test]
fn section_5_id_is_all_entropy_and_the_tag_does_not_tell_it() {
    let mut server = Server::new();
    let offer = offer("sendonly");
    let mut request = Request {
        prefix: "/live",
        method: "POST",
        path: ENDPOINT,
        query: "",
        headers: &[("content-type", SDP)],
        body: offer.as_bytes(),
        peer: server.peer,
        entropy: std::array::from_fn(|at| u8::try_from(at).unwrap()),
    };
    for path in [ENDPOINT, "live/other/whip"] {
        request.path = path;
        let mut step = server.endpoint.handle(server.now, &request);
        while let Step::Act { ticket, action } = step {
            step = server.act(ticket, action);
        }
        let Step::Respond(response) = step else {
            panic!()
        };
        let (path, tag) = located(&response);
        let first = *request.entropy.first().unwrap();
        assert!(path.ends_with(&format!("{first:02x}0102030405060708090a0b0c0d0e0f")));
        assert_eq!(tag, "\"1011121314151617-0\"");
        request.entropy[0] = 0xff;
    }
}

#[test]
fn entropy_that_repeats_makes_no_second_session() {
    let mut server = Server::new();
    server.publish();
    let offer = offer("sendonly");
    let request = Request {
        prefix: "/live",
        method: "POST",
        path: ENDPOINT,
        query: "",
        headers: &[("content-type", SDP)],
        body: offer.as_bytes(),
        peer: server.peer,
        entropy: [1; 24],
    };
    let step = server.endpoint.handle(server.now, &request);
    assert!(matches!(step, Step::Respond(response) if response.status == 500));
}
