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

/// Where a reader lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    list: usize,
    at: usize,
}

impl Wake {
    /// Something came.
    pub(crate) const fn mark(&mut self) {
        self.fresh = true;
    }

    /// A reader waits for what comes next.
    pub(crate) fn wait(&mut self, reader: u32) -> Place {
        self.put(self.telling ^ 1, reader)
    }

    /// A reader is to be told, whether or not something came.
    pub(crate) fn tell(&mut self, reader: u32) -> Place {
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

    /// A reader goes. The one named instead of it now lies in its place.
    pub(crate) fn remove(&mut self, place: Place) -> Option<u32> {
        let list = &mut self.lists[place.list];
        if place.at < list.len() {
            list.swap_remove(place.at);
        }
        list.get(place.at).copied()
    }

    fn put(&mut self, list: usize, reader: u32) -> Place {
        let at = self.lists[list].len();
        self.lists[list].push(reader);
        Place { list, at }
    }
}
