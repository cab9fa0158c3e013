//! Recording through a running server: what a disk does never reaches the stream.
#![expect(clippy::unwrap_used, reason = "a test fails so")]

use std::future::Future;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use sluice_server::stream::{
    Bytes, Codec, FinishReason, Frame, FsStorage, LiveEvent, PublishWish, PublisherId,
    RecordOptions, RecordedFile, RecordingEventKind, Storage, StoredFile, StreamEventKind,
    StreamKey, Timestamp, TrackCoding, TrackId,
};
use sluice_server::{Event, EventSink, Server, ServerError, ServerOptions, Undelivered};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

struct Listener(mpsc::Sender<LiveEvent>);

impl EventSink for Listener {
    fn try_deliver(&self, batch: Vec<Event>) -> Result<(), Undelivered> {
        for event in batch {
            if let Event::Live(event) = event {
                let _ = self.0.send(event);
            }
        }
        Ok(())
    }
}

/// A server with one stream, and a folder that is gone with it.
struct Stage {
    server: Server,
    events: mpsc::Receiver<LiveEvent>,
    publisher: PublisherId,
    folder: PathBuf,
    next: i64,
}

impl Stage {
    fn new(name: &str) -> Self {
        let (sender, events) = mpsc::channel();
        let mut options = ServerOptions::default();
        options.udp_port = 0;
        options.bind_address = [127, 0, 0, 1].into();
        options.shards = 1;
        let server = Server::start(options, Arc::new(Listener(sender))).unwrap();
        let wish = PublishWish::Own {
            key: key(),
            identity: None,
        };
        let publisher = wait(server.publish(wish)).unwrap();
        let record = Bytes::from_static(&[0, 2, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0]);
        let coding = TrackCoding::parse(Codec::Opus, record).unwrap();
        wait(server.configure_track(publisher, TrackId::AUDIO, coding)).unwrap();
        let folder = format!("sluice-server-record-{name}-{}", std::process::id());
        let mut stage = Self {
            server,
            events,
            publisher,
            folder: std::env::temp_dir().join(folder),
            next: 0,
        };
        stage.publish(1, 100);
        stage
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(FsStorage::new(&self.folder).unwrap())
    }

    /// So many seconds of sound, a packet of so many bytes each 20 ms.
    fn publish(&mut self, seconds: i64, bytes: usize) {
        let rate = NonZeroU32::new(48_000).unwrap();
        for _ in 0..seconds {
            let frames = (0..50).map(|number| {
                let at = Timestamp::new((self.next * 50 + number) * 960, rate);
                Frame {
                    track: TrackId::AUDIO,
                    codec: Codec::Opus,
                    pts: at,
                    dts: at,
                    duration: Some(960),
                    keyframe: true,
                    discardable: false,
                    discontinuity: false,
                    captured_micros: None,
                    data: vec![0xf8; bytes].into(),
                }
            });
            wait(self.server.push_frames(self.publisher, frames.collect())).unwrap();
            self.next += 1;
        }
    }

    fn next_recording_event(&self) -> RecordingEventKind {
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(20)).unwrap();
            if let LiveEvent::Recording(event) = event {
                assert_eq!(event.key, key());
                return event.kind;
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = wait(self.server.close());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn key() -> StreamKey {
    "live/show".parse().unwrap()
}

fn lasts(files: &[RecordedFile]) -> u64 {
    files.iter().map(|file| file.duration_ms).sum()
}

#[test]
fn a_recording_has_all_that_was_published_in_files_of_their_length() {
    let mut stage = Stage::new("whole");
    let mut options = RecordOptions::default();
    options.segment = Duration::from_secs(3);
    let recording = wait(stage.server.record(key(), stage.storage(), &options)).unwrap();
    let second = wait(stage.server.record(key(), stage.storage(), &options));
    assert!(matches!(second, Err(ServerError::InvalidOption(_))));
    assert!(
        wait(stage.server.streams()).unwrap()[0]
            .activities
            .recording
    );
    stage.publish(9, 100);
    let files = wait(stage.server.stop_recording(recording))
        .unwrap()
        .unwrap();
    assert!(
        !wait(stage.server.streams()).unwrap()[0]
            .activities
            .recording
    );
    // It began with the newest packet of the second before.
    assert!((9000..10_100).contains(&lasts(&files)), "{files:?}");
    assert!(files.len() >= 3 && lasts(&files[..1]) >= 3000, "{files:?}");
    assert!(matches!(
        stage.next_recording_event(),
        RecordingEventKind::Ended { files: told, .. } if told == files
    ));
    assert_eq!(wait(stage.server.stop_recording(recording)).unwrap(), None);
    let listed = wait(Server::recordings(stage.storage(), None, None)).unwrap();
    assert_eq!(listed, files);
}

#[test]
fn a_stream_that_ends_and_a_server_that_closes_finish_the_file() {
    let mut stage = Stage::new("ends");
    let options = RecordOptions::default();
    wait(stage.server.record(key(), stage.storage(), &options)).unwrap();
    stage.publish(3, 100);
    let publisher = stage.publisher;
    wait(
        stage
            .server
            .finish_publisher(publisher, FinishReason::Completed),
    )
    .unwrap();
    let RecordingEventKind::Ended { files, .. } = stage.next_recording_event() else {
        panic!("it ended in order");
    };
    assert_eq!(files.len(), 1);
    let gone = wait(stage.server.record(key(), stage.storage(), &options));
    assert!(matches!(gone, Err(ServerError::Stream(_))), "{gone:?}");

    let mut stage = Stage::new("closes");
    wait(stage.server.record(key(), stage.storage(), &options)).unwrap();
    stage.publish(3, 100);
    wait(stage.server.close()).unwrap();
    let files = wait(Server::recordings(stage.storage(), None, None)).unwrap();
    assert!(lasts(&files) >= 3000, "{files:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_the_stream_goes_on() {
    let mut stage = Stage::new("denied");
    std::fs::write(&stage.folder, b"a file, no folder").unwrap();
    let options = RecordOptions::default();
    let recording = wait(stage.server.record(key(), stage.storage(), &options)).unwrap();
    stage.publish(3, 100);
    let RecordingEventKind::Failed(error) = stage.next_recording_event() else {
        panic!("it cannot be written");
    };
    assert!(error.to_string().contains("denied"), "{error}");
    assert!(matches!(
        stage.next_recording_event(),
        RecordingEventKind::Ended { files, .. } if files.is_empty()
    ));
    assert_eq!(wait(stage.server.stop_recording(recording)).unwrap(), None);
    let before = wait(stage.server.streams()).unwrap()[0].qos.frames;
    stage.publish(1, 100);
    let stream = &wait(stage.server.streams()).unwrap()[0];
    assert_eq!(stream.qos.frames, before + 50);
    assert!(!stream.activities.recording);
    std::fs::remove_file(&stage.folder).unwrap();
    // The same place can be tried again.
    wait(stage.server.record(key(), stage.storage(), &options)).unwrap();
}

/// A disk that stands still until it is let go.
#[derive(Debug)]
struct Stuck {
    disk: FsStorage,
    free: Arc<(Mutex<bool>, Condvar)>,
}

impl Storage for Stuck {
    fn place(&self) -> String {
        self.disk.place()
    }
    fn rewrites(&self) -> bool {
        self.disk.rewrites()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let (free, changed) = &*self.free;
        let stuck = changed.wait_while(free.lock().unwrap(), |free| !*free);
        drop(stuck.unwrap());
        self.disk.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        self.disk.open(name)
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(name, offset, into)
    }
    fn seal(&self, name: &str) -> io::Result<()> {
        self.disk.seal(name)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.put(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        self.disk.delete(name)
    }
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }
}

#[test]
fn a_disk_that_stands_still_makes_a_gap_and_never_holds_the_stream() {
    let mut stage = Stage::new("stuck");
    let free = Arc::new((Mutex::new(false), Condvar::new()));
    let storage = Arc::new(Stuck {
        disk: FsStorage::new(&stage.folder).unwrap(),
        free: Arc::clone(&free),
    });
    let options = RecordOptions::default();
    let recording = wait(stage.server.record(key(), storage, &options)).unwrap();
    // 1 MB each second: 16 of them wait, the others are lost.
    stage.publish(40, 20_000);
    let RecordingEventKind::Gap { parts: 1, .. } = stage.next_recording_event() else {
        panic!("the first lost part is told at once");
    };
    let mut watched = Vec::new();
    for event in stage.events.try_iter() {
        if let LiveEvent::Stream(event) = event {
            watched.push(event.kind);
        }
    }
    let lagged = |kind: &StreamEventKind| matches!(kind, StreamEventKind::SubscriberLagged { .. });
    assert!(!watched.iter().any(lagged), "{watched:?}");
    *free.0.lock().unwrap() = true;
    free.1.notify_all();
    // What waits is written sooner or later; then recording goes on, perhaps with another gap.
    let (mut published, mut parts_lost) = (41, 1);
    while parts_lost == 1 {
        stage.publish(1, 20_000);
        published += 1;
        let told = stage.events.recv_timeout(Duration::from_millis(20));
        if let Ok(LiveEvent::Recording(event)) = told {
            let RecordingEventKind::Gap { parts, .. } = event.kind else {
                panic!("{event:?}");
            };
            parts_lost += parts;
        }
    }
    let files = wait(stage.server.stop_recording(recording))
        .unwrap()
        .unwrap();
    let lost = loop {
        match stage.next_recording_event() {
            RecordingEventKind::Gap { parts, .. } => parts_lost += parts,
            RecordingEventKind::Ended { lost, .. } => break lost,
            event => panic!("{event:?}"),
        }
    };
    assert!(parts_lost > 20, "{parts_lost}");
    assert!(lost > Duration::from_secs(20), "{lost:?}");
    assert_eq!(files.len(), 1);
    // The gap is in the file's time, not in its bytes.
    assert!(files[0].duration_ms >= 40_000, "{files:?}");
    assert!(
        files[0].bytes < (published - parts_lost) * 1_100_000,
        "{files:?}"
    );
    assert!(Path::new(&stage.folder).join(&files[0].name).exists());
}
