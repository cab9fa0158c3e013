//! What real clients offer passes the rules: Chromium 156, Firefox 153, werift 0.25 and wrtc 0.10, each captured.

use std::path::Path;

use sluice_proto::wish::{OfferError, OfferRules, Protocol};

#[test]
fn offers_of_real_clients_pass_the_rules_of_their_protocol_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/offers");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let offer = std::fs::read(&path).unwrap();
        let check = |protocol| OfferRules::default().check_offer(protocol, &offer);
        let (own, other) = if name.contains("whip") {
            (Protocol::Whip, Protocol::Whep)
        } else {
            (Protocol::Whep, Protocol::Whip)
        };
        assert!(check(own).is_ok(), "{name}: {:?}", check(own));
        // Tracks that were just added are sendrecv, which either protocol takes.
        let both = name.ends_with("addtrack");
        assert_eq!(
            check(other).err(),
            (!both).then_some(OfferError::Direction),
            "{name}"
        );
        seen += 1;
    }
    assert_eq!(seen, 10);
}
