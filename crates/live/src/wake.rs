//! Which readers are to be told of news: marked all at once, told one at a time.
//!
//! A reader that has read all there is lies in the waiting list. A frame does not touch it: it only marks the stream.
//! When the owner asks who has news, the lists change their roles and are emptied one by one. So a push costs the same
//! for one reader and for ten thousand.

/// The two lists of one stream.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    lists: [Vec<u32>; 2],
    /// Which of them is being told: 0 or 1.
    telling: usize,
    /// Something came since the lists last changed their roles.
    fresh: bool,
    /// The stream is in the engine's list of those that have something to tell.
    pub(crate) listed: bool,
}

/// Where a reader lies in the lists of its stream: nowhere between being told and reading to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Berth(u32);

impl Berth {
    pub(crate) const NOWHERE: Self = Self(u32::MAX);
}

impl Wake {
    /// Something came.
    pub(crate) const fn mark(&mut self) {
        self.fresh = true;
    }

    /// A reader waits for what comes next.
    pub(crate) fn wait(&mut self, reader: u32) -> Berth {
        self.put(self.telling ^ 1, reader)
    }

    /// A reader is to be told, whether or not something came.
    pub(crate) fn tell(&mut self, reader: u32) -> Berth {
        self.put(self.telling, reader)
    }

    /// The next reader to tell; it lies nowhere then.
    pub(crate) fn next(&mut self) -> Option<u32> {
        self.lists[self.telling].pop()
    }

    /// All were told; true when something came in the meantime, so that it goes on with those that wait.
    pub(crate) const fn turn(&mut self) -> bool {
        if self.fresh {
            self.telling ^= 1;
        }
        std::mem::replace(&mut self.fresh, false)
    }

    /// A reader goes. The one named instead of it now lies where it lay.
    pub(crate) fn remove(&mut self, berth: Berth) -> Option<u32> {
        if berth == Berth::NOWHERE {
            return None;
        }
        let list = &mut self.lists[(berth.0 & 1) as usize];
        let at = (berth.0 >> 1) as usize;
        if at < list.len() {
            list.swap_remove(at);
        }
        list.get(at).copied()
    }

    /// The caps on readers keep the number far below what a berth can say.
    fn put(&mut self, list: usize, reader: u32) -> Berth {
        let at = self.lists[list].len();
        self.lists[list].push(reader);
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        Berth((at as u32) << 1 | list as u32)
    }
}
