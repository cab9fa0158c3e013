//! Holds the crates to the floors of `ARCHITECTURE.md`: which crate may use which, where each
//! foreign dependency lives, and that `unsafe` has one address.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every crate with the crates below it that it may name. A crate missing here has no floor.
const ARROWS: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("rtp", &["media"]),
    ("mux", &["media"]),
    ("sfu", &["rtp", "media"]),
    ("live", &["media"]),
    ("proto", &["rtp", "mux", "media"]),
    ("net", &[]),
    (
        "server",
        &["net", "sfu", "live", "proto", "rtp", "mux", "media"],
    ),
    ("node", &["server"]),
    ("sim", &["sfu", "live", "proto", "rtp", "mux", "media"]),
    ("bench", &["sfu", "live", "proto", "rtp", "mux", "media"]),
];

/// Rooms that never ship: they play the browser's side, or measure.
const DEVELOPMENT: &[&str] = &["sim", "bench"];

/// Foreign crates with an address: only these rooms may depend on them.
const ADDRESSES: &[(&str, &[&str])] = &[
    ("str0m", &["sfu", "sim", "bench"]),
    ("mio", &["net"]),
    ("quinn-udp", &["net", "bench"]),
    ("socket2", &["net"]),
    ("nix", &["net", "bench"]),
    ("napi", &["node"]),
    ("napi-derive", &["node"]),
    // In `live` only the bench has it, to measure against.
    ("tokio", &["server", "node", "live"]),
];

#[test]
fn arrows_point_down_only() {
    for (name, room) in rooms() {
        let allowed = allowed(&name);
        let wrong: Vec<_> = room.rooms.difference(&allowed).collect();
        assert!(wrong.is_empty(), "{name} may not use {wrong:?}");
    }
}

#[test]
fn the_table_itself_has_no_cycle() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<_> = ARROWS.to_vec();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(name, uses)| {
            let placed = uses.iter().all(|used| below.contains(used));
            if placed {
                below.insert(name);
            }
            !placed
        });
        assert!(left.len() < before, "a cycle among {left:?}");
    }
}

#[test]
fn foreign_crates_stay_at_their_address() {
    for (name, room) in rooms() {
        for (foreign, homes) in ADDRESSES {
            assert!(
                homes.contains(&name.as_str()) || !room.foreign.contains(*foreign),
                "{name} may not depend on {foreign}: it lives in {homes:?}"
            );
        }
    }
}

#[test]
fn str0m_is_named_in_sfu_only() {
    for (name, room) in rooms() {
        if name != "sfu" && !DEVELOPMENT.contains(&name.as_str()) {
            for (file, line, code) in code_of(&room.folder.join("src")) {
                let named = words(&code).any(|word| word == "str0m");
                assert!(!named, "{}:{line} names str0m", file.display());
            }
        }
    }
}

#[test]
fn unsafe_has_one_address() {
    for (name, room) in rooms() {
        // `forbid` would reject what napi's macros expand to; `deny` rejects only what is written.
        let level = match name.as_str() {
            "net" => continue,
            "node" => "#![deny(unsafe_code)]",
            _ => "#![forbid(unsafe_code)]",
        };
        let crate_root = fs::read_to_string(room.folder.join("src/lib.rs")).unwrap();
        assert!(crate_root.contains(level), "{name}: lib.rs lacks {level}");
        for (file, line, code) in code_of(&room.folder.join("src")) {
            let found = words(&code).any(|word| word == "unsafe");
            assert!(!found, "{}:{line} is unsafe outside net", file.display());
        }
    }
}

#[test]
fn code_scan_sees_words_but_not_comments() {
    assert!(words(&strip("unsafe { f() } // why")).any(|word| word == "unsafe"));
    assert!(!words(&strip("/// str0m is fed here")).any(|word| word == "str0m"));
    assert!(!words("unsafe_code").any(|word| word == "unsafe"));
}

/// One workspace member as `cargo metadata` tells of it.
struct Room {
    folder: PathBuf,
    rooms: BTreeSet<String>,
    foreign: BTreeSet<String>,
}

fn rooms() -> BTreeMap<String, Room> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() >= 7, "the workspace lost its members");
    packages.iter().map(room).collect()
}

fn room(package: &Value) -> (String, Room) {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let (mut rooms, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    for dependency in package["dependencies"].as_array().unwrap() {
        let name = dependency["name"].as_str().unwrap();
        match name.strip_prefix("sluice-") {
            // Tests of any core may run in the simulator.
            Some("sim") if dependency["kind"] == "dev" => continue,
            Some(room) => rooms.insert(room.to_owned()),
            None => foreign.insert(name.to_owned()),
        };
    }
    let name = package["name"].as_str().unwrap();
    let room = Room {
        folder: manifest.parent().unwrap().to_owned(),
        rooms,
        foreign,
    };
    (name.trim_start_matches("sluice-").to_owned(), room)
}

fn allowed(name: &str) -> BTreeSet<String> {
    let row = ARROWS.iter().find(|(room, _)| *room == name);
    let (_, uses) = row.unwrap_or_else(|| panic!("{name} has no floor: add it to the table"));
    uses.iter().map(|used| (*used).to_owned()).collect()
}

/// Every line of code below a folder: file, line number, text without comments.
fn code_of(folder: &Path) -> Vec<(PathBuf, usize, String)> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines.extend(code_of(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let numbered = text.lines().zip(1..);
            lines.extend(numbered.map(|(line, n)| (path.clone(), n, strip(line))));
        }
    }
    lines
}

/// Cuts a line comment off. A `//` inside a string cuts too much, which only hides a URL.
fn strip(line: &str) -> String {
    line.split("//").next().unwrap_or_default().to_owned()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}
