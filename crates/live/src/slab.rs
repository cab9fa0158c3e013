//! Objects by dense index, each name valid for one object only.

/// Entries keep their index; a freed one is used again under another generation.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }

    /// Index and generation of the value `make` builds from them. The caller caps how many there are.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32, u32) -> T) -> (u32, u32) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                value: None,
            });
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            generation = entry.generation;
            entry.value = Some(make(index, generation));
            self.len += 1;
        }
        (index, generation)
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(index as usize)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        self.len -= 1;
        Some(value)
    }

    #[inline]
    pub(crate) fn named(&self, index: u32, generation: u32) -> Option<&T> {
        let entry = self.entries.get(index as usize)?;
        entry
            .value
            .as_ref()
            .filter(|_| entry.generation == generation)
    }

    #[inline]
    pub(crate) fn named_mut(&mut self, index: u32, generation: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(index as usize)?;
        entry
            .value
            .as_mut()
            .filter(|_| entry.generation == generation)
    }

    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.entries.get(index as usize)?.value.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize)?.value.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_valid_for_a_successor() {
        let mut slab = Slab::new();
        let (index, generation) = slab.insert(|_, _| 'a');
        assert_eq!(slab.remove(index), Some('a'));
        assert_eq!(slab.remove(index), None);
        assert_eq!(slab.insert(|_, _| 'b'), (index, generation + 1));
        assert_eq!(slab.named(index, generation), None);
        assert_eq!(slab.named_mut(index, generation + 1), Some(&mut 'b'));
        assert_eq!((slab.len(), slab.iter().count()), (1, 1));
    }
}
