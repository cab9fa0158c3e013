use std::io::{self, BufRead as _, BufReader};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use sluice_media::{Codec, CodecConfig, Frame, StreamKey, Timestamp, TrackId};
use sluice_mux::fmp4::Track;
use sluice_mux::{Output, Segmenter, SegmenterOptions};
use tokio::sync::watch;

use super::archive::Archive;
use super::error::RecordError;
use super::take::Take;
use super::tape::MAX_OWN;
use super::*;
use crate::error::ServerError;

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice-record-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(FsStorage::new(&self.0).unwrap())
    }

    fn archive(&self) -> Archive {
        Archive::new(self.storage(), &key())
    }

    fn names(&self) -> Vec<String> {
        self.storage().list("live/show").unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn finish(take: Take, archive: &Archive) -> Result<Option<RecordedFile>, RecordError> {
    take.finish(archive, false)?.whole(archive)
}

fn key() -> StreamKey {
    "live/show".parse().unwrap()
}

/// An init segment and parts of one second each, of Opus packets of 1200 bytes.
fn parts(count: usize) -> (Bytes, Vec<Bytes>) {
    let rate = NonZeroU32::new(48_000).unwrap();
    let record = Bytes::from_static(&[0, 2, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0]);
    let config = CodecConfig::parse(Codec::Opus, record).unwrap();
    let mut options = SegmenterOptions::default();
    options.part_target = Duration::from_secs(1);
    options.reference_times = true;
    let mut segmenter = Segmenter::new(options);
    let id = TrackId::AUDIO;
    segmenter.set_tracks(&[Track { id, config, rate }]).unwrap();
    let mut data = vec![0x7a; 1200];
    data[0] = 0xf8;
    let data = Bytes::from(data);
    for number in 0..i64::try_from(count).unwrap() * 50 {
        let at = Timestamp::new(number * 960, rate);
        let frame = Frame {
            track: id,
            codec: Codec::Opus,
            pts: at,
            dts: at,
            duration: Some(960),
            keyframe: true,
            discardable: false,
            discontinuity: false,
            captured_micros: None,
            data: data.clone(),
        };
        segmenter.handle_frame(&frame, START_MS * 1000 + number * 20_000);
    }
    segmenter.end_segment();
    let (mut init, mut parts) = (Bytes::new(), Vec::new());
    while let Some(output) = segmenter.poll_output() {
        match output {
            Output::Init(found) => init = found.bytes,
            Output::Part(part) => parts.push(part.bytes),
            _ => {}
        }
    }
    assert_eq!(parts.len(), count);
    (init, parts)
}

/// How long ffprobe says a file lasts, which must give it no reason to complain.
fn probed(file: &Path) -> Duration {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_entries"])
        .args(["format=duration", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.is_empty(),
        "{}: {said}",
        file.display()
    );
    let seconds = String::from_utf8_lossy(&output.stdout);
    Duration::from_secs_f64(seconds.trim().parse().unwrap())
}

fn assert_lasts(folder: &Folder, file: &RecordedFile) {
    let told = Duration::from_millis(file.duration_ms);
    let read = probed(&folder.file(&file.name));
    assert!(
        read.abs_diff(told) <= Duration::from_millis(1),
        "{read:?} of {told:?}"
    );
}

#[test]
fn finished_recording_is_a_plain_file_of_the_right_length() {
    let folder = Folder::new();
    let archive = folder.archive();
    let (init, parts) = parts(7);
    let mut take = Take::begin(&archive, &init, START_MS).unwrap();
    for part in &parts {
        take.append(&archive, part).unwrap();
    }
    assert_eq!(folder.names(), ["20261121T191654.123Z.mp4.part"]);
    let file = finish(take, &archive).unwrap().unwrap();
    assert_eq!(folder.names(), ["20261121T191654.123Z.mp4", "index.jsonl"]);
    assert_eq!(file.name, "live/show/20261121T191654.123Z.mp4");
    assert_eq!((file.start_ms, file.duration_ms), (START_MS, 7000));
    assert_eq!(file.end_ms, START_MS + 7000);
    let path = folder.file(&file.name);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), file.bytes);
    assert_lasts(&folder, &file);
    assert_eq!(list(&folder.storage(), None, None).unwrap(), [file]);
}

#[test]
fn two_recordings_of_one_moment_have_two_names() {
    let folder = Folder::new();
    let archive = folder.archive();
    let (init, parts) = parts(1);
    for _ in 0..2 {
        let mut take = Take::begin(&archive, &init, START_MS).unwrap();
        take.append(&archive, &parts[0]).unwrap();
        finish(take, &archive).unwrap();
    }
    assert_eq!(archive.files().unwrap().len(), 2);
}

#[test]
fn recording_without_a_part_leaves_no_file() {
    let folder = Folder::new();
    let archive = folder.archive();
    let take = Take::begin(&archive, &parts(1).0, START_MS).unwrap();
    assert_eq!(finish(take, &archive).unwrap(), None);
    assert!(folder.names().is_empty());
}

#[test]
fn a_file_that_is_being_written_is_left_alone_by_others() {
    let folder = Folder::new();
    let archive = folder.archive();
    let (init, parts) = parts(2);
    let mut take = Take::begin(&archive, &init, START_MS).unwrap();
    take.append(&archive, &parts[0]).unwrap();
    assert!(list(&folder.storage(), None, None).unwrap().is_empty());
    take.append(&archive, &parts[1]).unwrap();
    let file = finish(take, &archive).unwrap().unwrap();
    assert_eq!(file.duration_ms, 2000);
}

#[test]
fn oldest_files_go_beyond_what_is_kept() {
    let (init, parts) = parts(4);
    let day = Duration::from_secs(24 * 3600);
    for (keep, left) in [
        (Keep::default(), 4),
        (
            Keep {
                bytes: Some(140_000),
                ..Keep::default()
            },
            2,
        ),
        (
            Keep {
                bytes: Some(1),
                ..Keep::default()
            },
            1,
        ),
        (
            Keep {
                age: Some(Duration::from_millis(1500)),
                ..Keep::default()
            },
            2,
        ),
        (
            Keep {
                age: Some(day),
                ..Keep::default()
            },
            4,
        ),
    ] {
        let folder = Folder::new();
        let archive = folder.archive();
        for part in &parts {
            let mut take = Take::begin(&archive, &init, START_MS).unwrap();
            take.append(&archive, part).unwrap();
            finish(take, &archive).unwrap();
        }
        std::fs::write(folder.file("live/show/mine.mp4"), b"kept").unwrap();
        let newest = archive.files().unwrap().pop();
        archive.retain(keep).unwrap();
        let files = archive.files().unwrap();
        assert_eq!(
            (files.len(), files.last()),
            (left, newest.as_ref()),
            "{keep:?}"
        );
        let media = folder
            .names()
            .iter()
            .filter(|n| n.contains("Z.mp4"))
            .count();
        assert_eq!(media, left);
        assert!(folder.file("live/show/mine.mp4").exists());
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_not_followed() {
    let (folder, outside) = (Folder::new(), Folder::new());
    std::fs::create_dir_all(folder.file("live")).unwrap();
    std::fs::create_dir_all(&outside.0).unwrap();
    std::os::unix::fs::symlink(&outside.0, folder.file("live/show")).unwrap();
    let refused = Take::begin(&folder.archive(), &parts(1).0, START_MS);
    assert!(matches!(refused, Err(RecordError::Storage { .. })));
    let storage = folder.storage();
    for name in [
        "../x",
        "/x",
        "live/../../x",
        ".x",
        "a//b",
        "",
        "a\\b",
        "c:x",
    ] {
        assert!(storage.create(name).is_err(), "{name}");
    }
    assert_eq!(std::fs::read_dir(&outside.0).unwrap().count(), 0);
}

/// Breaks down at its `left`th change, as a process does that is killed there.
#[derive(Debug)]
struct Mortal {
    inner: Arc<dyn Storage>,
    left: Arc<AtomicU64>,
}

impl Mortal {
    fn change(left: &AtomicU64) -> io::Result<()> {
        let used = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        used.map(drop)
            .map_err(|_| io::ErrorKind::StorageFull.into())
    }
}

impl Storage for Mortal {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn rewrites(&self) -> bool {
        self.inner.rewrites()
    }
    fn seal(&self, name: &str) -> io::Result<()> {
        self.inner.seal(name)
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        Self::change(&self.left)?;
        let file = self.inner.create(name)?;
        Ok(Box::new(MortalFile(file, Arc::clone(&self.left))))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let file = self.inner.open(name)?;
        Ok(Box::new(MortalFile(file, Arc::clone(&self.left))))
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(name, offset, into)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        Self::change(&self.left)?;
        self.inner.put(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Self::change(&self.left)?;
        self.inner.rename(from, to)
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        Self::change(&self.left)?;
        self.inner.delete(name)
    }
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.inner.list(folder)
    }
}

struct MortalFile(Box<dyn StoredFile>, Arc<AtomicU64>);

impl StoredFile for MortalFile {
    fn bytes(&self) -> io::Result<u64> {
        self.0.bytes()
    }
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = Mortal::change(&self.1) {
            // Half of it is there, as with a disk that is full.
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            if bytes.len() > 16 {
                self.0.write_at(offset, half)?;
            }
            return Err(error);
        }
        self.0.write_at(offset, bytes)
    }
    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        Mortal::change(&self.1)?;
        self.0.truncate(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        Mortal::change(&self.1)?;
        self.0.sync()
    }
}

#[test]
fn whatever_change_is_the_last_one_all_whole_parts_are_found_again() {
    let (init, parts) = parts(3);
    let mut last = 0;
    for changes in 0.. {
        let folder = Folder::new();
        let left = Arc::new(AtomicU64::new(changes));
        let storage = Mortal {
            inner: folder.storage(),
            left,
        };
        let archive = Archive::new(Arc::new(storage), &key());
        let mut whole = 0;
        let done = (|| -> Result<(), RecordError> {
            let mut take = Take::begin(&archive, &init, START_MS)?;
            for part in &parts {
                take.append(&archive, part)?;
                whole += 1;
            }
            finish(take, &archive).map(drop)
        })();
        let files = list(&folder.storage(), None, None).unwrap();
        let found: u64 = files.iter().map(|file| file.duration_ms / 1000).sum();
        assert_eq!(found, whole, "after {changes} changes");
        for file in &files {
            assert_lasts(&folder, file);
        }
        // A second look finds the same.
        assert_eq!(list(&folder.storage(), None, None).unwrap(), files);
        last = changes;
        if done.is_ok() {
            break;
        }
    }
    assert!(last > 8, "{last} changes are fewer than a recording makes");
}

/// What the test below kills: records into the folder it is given, file after file, until it dies.
#[test]
#[ignore = "the child of the test that kills it"]
fn child_that_records_until_it_is_killed() {
    let Some(root) = std::env::var_os("SLUICE_RECORD_INTO") else {
        return;
    };
    let storage: Arc<dyn Storage> = Arc::new(FsStorage::new(root).unwrap());
    let archive = Archive::new(storage, &key());
    let (init, parts) = parts(5);
    let mut told = io::stderr().lock();
    for number in 0.. {
        let mut take = Take::begin(&archive, &init, START_MS + number * 5000).unwrap();
        for part in &parts {
            take.append(&archive, part).unwrap();
            io::Write::write_all(&mut told, b"part\n").unwrap();
        }
        finish(take, &archive).unwrap();
    }
}

#[test]
fn a_killed_process_loses_at_most_the_part_it_was_writing() {
    let mut random = 0x2026_u64;
    for round in 0..100 {
        let folder = Folder::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .arg("record::tests::child_that_records_until_it_is_killed")
            .env("SLUICE_RECORD_INTO", &folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // So many parts, then so many microseconds into whatever it does next.
        let (whole, micros) = ((random >> 33) % 23 + 1, (random >> 40) % 4000);
        let mut told = 0;
        while told < whole {
            assert_eq!(lines.next().unwrap().unwrap(), "part");
            told += 1;
        }
        std::thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
        told += lines.map_while(Result::ok).filter(|l| l == "part").count() as u64;
        let files = list(&folder.storage(), None, None).unwrap();
        let found: u64 = files.iter().map(|file| file.duration_ms / 1000).sum();
        // One more may have been whole when it could not say so any more.
        assert!(
            found == told || found == told + 1,
            "round {round}: {found} of {told}"
        );
        let left = folder
            .names()
            .iter()
            .filter(|n| n.contains(".part"))
            .count();
        assert_eq!(left, 0, "round {round}");
        assert_lasts(&folder, files.last().unwrap());
    }
}

/// Stands still until it is let go.
#[derive(Debug)]
struct Gate {
    inner: Arc<dyn Storage>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Storage for Gate {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn rewrites(&self) -> bool {
        self.inner.rewrites()
    }
    fn seal(&self, name: &str) -> io::Result<()> {
        self.inner.seal(name)
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let (open, changed) = &*self.open;
        let mut open = open.lock().unwrap();
        while !*open {
            open = changed.wait(open).unwrap();
        }
        self.inner.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        self.inner.open(name)
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(name, offset, into)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.inner.put(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        self.inner.delete(name)
    }
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.inner.list(folder)
    }
}

#[test]
fn a_storage_that_stands_still_holds_a_bounded_number_of_parts() {
    let folder = Folder::new();
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let storage = Arc::new(Gate {
        inner: folder.storage(),
        open: Arc::clone(&open),
    });
    let (running, _) = watch::channel(0);
    let writer = Writer::new(running.clone());
    let (tell, told) = mpsc::channel();
    let listener = Box::new(move |what| drop(tell.send(what)));
    let tape = writer
        .tape(storage, &key(), Finishing::default(), listener)
        .unwrap();
    let (init, parts) = parts(1000);
    let begin = Begin {
        init,
        start_ms: START_MS,
    };
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    assert!(bytes > 3 * MAX_OWN);
    let mut taken = 0;
    for part in &parts {
        let begin = (taken == 0).then_some(&begin);
        taken += u64::from(tape.try_write(begin, part));
        assert!(tape.credit.under_way() <= MAX_OWN);
    }
    assert!((200..300).contains(&taken), "{taken} parts were taken");
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    let credit = tape.credit.clone();
    drop(tape);
    let Told::Closed(files) = told.recv().unwrap() else {
        panic!("the storage was slow, not broken");
    };
    assert_eq!(files[0].duration_ms, taken * 1000);
    assert_eq!(credit.under_way(), 0);
    writer.close();
    while *running.borrow() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_full_storage_is_told_and_keeps_what_it_has() {
    let folder = Folder::new();
    let storage = Mortal {
        inner: folder.storage(),
        // The file, its init segment, two parts.
        left: Arc::new(AtomicU64::new(4)),
    };
    let (running, _) = watch::channel(0);
    let writer = Writer::new(running);
    let (tell, told) = mpsc::channel();
    let listener = Box::new(move |what| drop(tell.send(what)));
    let tape = writer
        .tape(Arc::new(storage), &key(), Finishing::default(), listener)
        .unwrap();
    let (init, parts) = parts(6);
    let begin = Begin {
        init,
        start_ms: START_MS,
    };
    for (number, part) in parts.iter().enumerate() {
        let begin = (number == 0).then_some(&begin);
        assert!(tape.try_write(begin, part));
    }
    let Told::Failed(error) = told.recv().unwrap() else {
        panic!("nothing failed");
    };
    assert!(error.is_full(), "{error}");
    drop(tape);
    assert!(matches!(told.recv().unwrap(), Told::Closed(files) if files.is_empty()));
    let files = list(&folder.storage(), Some("live"), Some("show")).unwrap();
    assert_eq!(files[0].duration_ms, 2000);
    assert!(
        list(&folder.storage(), Some("vod"), None)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_storage_that_hangs_delays_no_other_and_not_the_end() {
    let (hung, fine) = (Folder::new(), Folder::new());
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = Arc::new(Gate {
        inner: hung.storage(),
        open: Arc::clone(&open),
    });
    let (running, mut counted) = watch::channel(0);
    let writer = Writer::new(running);
    let (init, parts) = parts(2);
    let begin = Begin {
        init,
        start_ms: START_MS,
    };
    let (tell, told) = mpsc::channel();
    let mut tapes = Vec::new();
    for (number, storage) in [gate as Arc<dyn Storage>, fine.storage()]
        .into_iter()
        .enumerate()
    {
        let tell = tell.clone();
        let listener = Box::new(move |what| drop(tell.send((number, what))));
        let finishing = Finishing::default();
        let tape = writer.tape(storage, &key(), finishing, listener).unwrap();
        for (number, part) in parts.iter().enumerate() {
            assert!(tape.try_write((number == 0).then_some(&begin), part));
        }
        tapes.push(tape);
    }
    drop(tapes);
    let (number, Told::Closed(files)) = told.recv().unwrap() else {
        panic!("it failed");
    };
    assert_eq!((number, files[0].duration_ms), (1, 2000));
    writer.close();
    assert!(matches!(
        writer.tape(fine.storage(), &key(), Finishing::default(), Box::new(drop)),
        Err(ServerError::Closed)
    ));
    while *counted.borrow_and_update() > 0 {
        std::thread::yield_now();
    }
    assert!(told.try_recv().is_err(), "the other stands still");
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    let (number, Told::Closed(files)) = told.recv().unwrap() else {
        panic!("it failed");
    };
    assert_eq!((number, files.len()), (0, 1));
    assert_eq!(*counted.borrow(), 0, "nobody is counted out twice");
}

#[test]
fn threads_are_bounded_and_end_with_their_last_recording() {
    let folders: Vec<Folder> = (0..20).map(|_| Folder::new()).collect();
    let (running, counted) = watch::channel(0);
    let writer = Writer::new(running);
    let (tell, told) = mpsc::channel();
    let tapes: Vec<Tape> = folders
        .iter()
        .map(|folder| {
            let tell = tell.clone();
            let listener = Box::new(move |what| drop(tell.send(what)));
            let finishing = Finishing::default();
            let tape = writer.tape(folder.storage(), &key(), finishing, listener);
            tape.unwrap()
        })
        .collect();
    assert_eq!(*counted.borrow(), 16);
    drop(tapes);
    for _ in &folders {
        assert!(matches!(told.recv().unwrap(), Told::Closed(_)));
    }
    while *counted.borrow() > 0 {
        std::thread::yield_now();
    }
    let storage = folders[0].storage();
    let again = writer.tape(storage, &key(), Finishing::default(), Box::new(drop));
    assert_eq!(*counted.borrow(), 1);
    drop(again);
}

/// Records files through a writer, the parts of each after the other.
fn record(storage: Arc<dyn Storage>, finishing: Finishing, files: usize) -> Vec<RecordedFile> {
    let (running, _) = watch::channel(0);
    let writer = Writer::new(running);
    let (tell, told) = mpsc::channel();
    let listener = Box::new(move |what| drop(tell.send(what)));
    let tape = writer.tape(storage, &key(), finishing, listener).unwrap();
    let (init, parts) = parts(7);
    for number in 0..i64::try_from(files).unwrap() {
        let begin = Begin {
            init: init.clone(),
            start_ms: START_MS + number * 7000,
        };
        for (number, part) in parts.iter().enumerate() {
            assert!(tape.try_write((number == 0).then_some(&begin), part));
        }
    }
    drop(tape);
    match told.recv().unwrap() {
        Told::Closed(files) => files,
        Told::Failed(error) => panic!("{error}"),
    }
}

#[test]
fn faststart_puts_the_index_in_front() {
    let folder = Folder::new();
    let finishing = Finishing {
        front: true,
        ..Finishing::default()
    };
    let files = record(folder.storage(), finishing, 3);
    assert_eq!(files.len(), 3);
    for file in &files {
        let bytes = std::fs::read(folder.file(&file.name)).unwrap();
        let at = |kind: &[u8]| bytes.windows(4).position(|four| four == kind).unwrap();
        assert!(at(b"moov") < at(b"mdat"));
        assert_eq!(bytes.len() as u64, file.bytes);
        assert_lasts(&folder, file);
    }
    assert_eq!(folder.names().len(), 4, "{:?}", folder.names());
    assert_eq!(list(&folder.storage(), None, None).unwrap(), files);
}

/// A storage that only appends, in a folder; says what it was asked.
#[derive(Debug)]
struct Appending {
    root: PathBuf,
    finished: Mutex<Vec<String>>,
    /// Appends that succeed still.
    left: AtomicU64,
}

impl Appending {
    fn storage(folder: &Folder, left: u64) -> Arc<dyn Storage> {
        Arc::new(Appended::new(Arc::new(Self {
            root: folder.0.clone(),
            finished: Mutex::default(),
            left: AtomicU64::new(left),
        })))
    }
}

impl AppendStorage for Appending {
    fn place(&self) -> String {
        self.root.display().to_string()
    }
    fn append(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Mortal::change(&self.left)?;
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap())?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(offset == 0).open(path)?;
        assert_eq!(file.metadata()?.len(), offset, "{name}");
        io::Write::write_all(&mut file, bytes)
    }
    fn finish(&self, name: &str) -> io::Result<()> {
        self.finished.lock().unwrap().push(name.to_owned());
        Ok(())
    }
    fn read(&self, name: &str, range: std::ops::Range<u64>) -> io::Result<Vec<u8>> {
        let bytes = std::fs::read(self.root.join(name))?;
        let end = bytes.len().min(usize::try_from(range.end).unwrap());
        Ok(bytes[usize::try_from(range.start).unwrap()..end].to_vec())
    }
    fn list(&self, folder: &str) -> io::Result<Vec<StoredEntry>> {
        let Ok(entries) = std::fs::read_dir(self.root.join(folder)) else {
            return Ok(Vec::new());
        };
        entries
            .map(|entry| {
                let entry = entry?;
                Ok(StoredEntry {
                    name: entry.file_name().into_string().unwrap(),
                    bytes: entry.metadata()?.len(),
                })
            })
            .collect()
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_storage_that_only_appends_gets_plain_files() {
    let folder = Folder::new();
    let storage = Appending::storage(&folder, u64::MAX);
    let files = record(Arc::clone(&storage), Finishing::default(), 2);
    assert_eq!(files.len(), 2);
    for file in &files {
        assert_lasts(&folder, file);
    }
    assert_eq!(list(&storage, None, None).unwrap(), files);
    let names = folder.names();
    assert_eq!(names.len(), 3, "{names:?}");
    let keep = Keep {
        bytes: Some(1),
        ..Keep::default()
    };
    let archive = Archive::new(Arc::clone(&storage), &key());
    archive.retain(keep).unwrap();
    assert_eq!(list(&storage, None, None).unwrap(), files[1..]);
}

#[test]
fn whatever_append_is_the_last_one_all_whole_parts_are_found_again() {
    let (init, parts) = parts(3);
    for appends in 0.. {
        let folder = Folder::new();
        let storage = Appending::storage(&folder, appends);
        let archive = Archive::new(storage, &key());
        let mut whole = 0;
        let done = (|| -> Result<(), RecordError> {
            let mut take = Take::begin(&archive, &init, START_MS)?;
            for part in &parts {
                take.append(&archive, part)?;
                whole += 1;
            }
            finish(take, &archive).map(drop)
        })();
        let again = Appending::storage(&folder, u64::MAX);
        let files = list(&again, None, None).unwrap();
        let found: u64 = files.iter().map(|file| file.duration_ms / 1000).sum();
        assert_eq!(found, whole, "after {appends} appends");
        for file in &files {
            assert_lasts(&folder, file);
        }
        if done.is_ok() {
            assert!(appends > 5);
            break;
        }
    }
}

const START_MS: i64 = 1_795_288_614_123;
