//! What a subscriber's receiver notices of the rewritten sequence numbers.

mod seeded;

use std::collections::{HashMap, HashSet};

use seeded::Seeded;
use sluice_rtp::SequenceRewriter;

#[test]
fn first_number_is_in_the_lower_half_of_roll_over_zero() {
    for first_out in [0, 1, 0x7fff, 0x8000, 0xffff, u64::MAX] {
        let out = SequenceRewriter::new(first_out).map(900_000).unwrap();
        assert_eq!(out, first_out & 0x7fff);
    }
}

#[test]
fn network_loss_stays_visible_and_our_own_drops_do_not() {
    let mut rewriter = SequenceRewriter::new(100);
    rewriter.switch(1_000);
    let out: Vec<_> = [1_000, 1_001, 1_003].map(|seq| rewriter.map(seq)).into();
    assert_eq!(out, [Some(100), Some(101), Some(103)]);
    rewriter.drop(1_004);
    rewriter.drop(1_004);
    rewriter.drop(1_005);
    assert_eq!(rewriter.map(1_006), Some(104));
    assert_eq!(rewriter.map(1_002), Some(102), "late, and in its own place");
    assert_eq!(rewriter.map(1_005), None);
}

#[test]
fn switch_goes_on_after_the_highest_number_given_out() {
    let mut rewriter = SequenceRewriter::new(0);
    rewriter.switch(50);
    assert_eq!(rewriter.map(53), Some(3));
    assert_eq!(rewriter.map(51), Some(1));
    rewriter.switch(7);
    assert_eq!(rewriter.map(6), None, "before the switch point");
    assert_eq!(rewriter.map(9), Some(6));
    assert_eq!(rewriter.map(7), Some(4));
    rewriter.switch(1_000_000);
    rewriter.switch(2_000_000);
    assert_eq!(
        rewriter.map(2_000_000),
        Some(7),
        "a switch that sent nothing leaves no trace"
    );
}

#[test]
fn drop_behind_a_sent_packet_leaves_its_gap_open() {
    let mut rewriter = SequenceRewriter::new(0);
    rewriter.switch(0);
    assert_eq!(rewriter.map(0), Some(0));
    assert_eq!(rewriter.map(2), Some(2));
    rewriter.drop(1);
    assert_eq!(
        rewriter.map(3),
        Some(3),
        "closing the gap now would give 2 twice"
    );
    assert_eq!(rewriter.map(1), None);
    rewriter.drop(2);
    assert_eq!(rewriter.map(2), Some(2), "what was sent cannot be dropped");
}

#[test]
fn packets_older_than_the_window_get_no_number() {
    let mut rewriter = SequenceRewriter::new(0);
    rewriter.switch(0);
    assert_eq!(rewriter.map(1_000), Some(1_000));
    assert_eq!(rewriter.map(489), Some(489));
    assert_eq!(rewriter.map(488), None);
    rewriter.drop(1_000_000);
    assert_eq!(
        rewriter.map(1_000_001),
        Some(1_000_000),
        "a jump forgets the window, not the count"
    );
}

/// One source as a lossy, reordering network delivers it: each number at most twice.
fn delivery(random: &mut Seeded, first: u64, count: u64) -> Vec<u64> {
    let mut packets: Vec<(u64, u64)> = Vec::new();
    for seq in first..first + count {
        match random.below(20) {
            0 => {}
            1 => packets.push((seq + random.below(400), seq)),
            2 => packets.extend([(seq, seq), (seq + random.below(100), seq)]),
            _ => packets.push((seq, seq)),
        }
    }
    packets.sort_unstable();
    packets.into_iter().map(|(_, seq)| seq).collect()
}

#[test]
fn no_two_inputs_ever_share_an_output_and_order_is_kept() {
    let (mut mapped, mut closed) = (0, 0);
    for seed in 1..=60 {
        let mut random = Seeded::new(seed);
        let mut rewriter = SequenceRewriter::new(random.below(65_536));
        let mut owners: HashMap<u64, (u64, u64)> = HashMap::new();
        for source in 0..20 {
            let first = random.below(1 << 40);
            let from = rewriter.next_out();
            rewriter.switch(first);
            let mut unwanted: HashSet<u64> = HashSet::new();
            let share = random.below(4);
            for seq in first..first + 1_500 {
                if random.below(8) < share {
                    unwanted.insert(seq);
                }
            }
            let mut outputs: Vec<(u64, u64)> = Vec::new();
            for seq in delivery(&mut random, first, 1_500) {
                if unwanted.contains(&seq) {
                    rewriter.drop(seq);
                    assert_eq!(rewriter.map(seq), None, "seed {seed}");
                    closed += 1;
                    continue;
                }
                let Some(out) = rewriter.map(seq) else {
                    continue;
                };
                assert!(out >= from, "seed {seed}: below the switch");
                let owner = *owners.entry(out).or_insert((source, seq));
                assert_eq!(owner, (source, seq), "seed {seed}: {out} given twice");
                outputs.push((seq, out));
                mapped += 1;
            }
            outputs.sort_unstable();
            for pair in outputs.windows(2) {
                let [(a, out_a), (b, out_b)] = pair else {
                    unreachable!()
                };
                assert!(
                    out_b - out_a <= b - a && (a == b || out_a < out_b),
                    "seed {seed}"
                );
            }
        }
    }
    assert!(mapped > 1_000_000 && closed > 100_000, "{mapped} {closed}");
}

#[test]
fn in_order_delivery_shows_exactly_the_gaps_of_the_network() {
    for seed in 1..=50 {
        let mut random = Seeded::new(seed);
        let mut rewriter = SequenceRewriter::new(random.below(0x8000));
        let mut expected = rewriter.next_out();
        for _ in 0..60 {
            let first = random.below(1 << 48);
            rewriter.switch(first);
            let mut lost = 0;
            for seq in first..first + random.below(3_000) {
                match random.below(10) {
                    0 if seq > first => lost += 1,
                    1 => rewriter.drop(seq),
                    _ => {
                        expected += std::mem::take(&mut lost);
                        assert_eq!(rewriter.map(seq), Some(expected), "seed {seed}");
                        expected += 1;
                    }
                }
            }
        }
        assert!(expected > 65_536, "the sixteen bits wrap: {expected}");
    }
}
