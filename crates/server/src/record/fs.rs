//! Recordings in a folder of the file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::storage::{Storage, StoredFile};

/// A folder of the file system. It is made with the first recording.
///
/// Below it no link is followed: a folder or file that is one is refused. Files that are being written are locked, so
/// that another process that uses the same folder leaves them alone.
#[derive(Debug, Clone)]
pub struct FsStorage {
    root: PathBuf,
}

impl FsStorage {
    /// Uses this folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for an empty path; what the system says when it does not know where it stands.
    pub fn new(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        Ok(Self { root })
    }

    /// Where a name lies, after a look at every folder on the way.
    fn path(&self, name: &str, make_folders: bool) -> io::Result<PathBuf> {
        if make_folders {
            fs::create_dir_all(&self.root)?;
        }
        let mut path = self.root.clone();
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() || part.starts_with('.') || part.contains(['\\', ':', '\0']) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            path.push(part);
            if parts.peek().is_none() {
                break;
            }
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound && make_folders => {
                    match fs::create_dir(&path) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(error);
                        }
                        _ => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(path),
        }
    }
}

impl Storage for FsStorage {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn rewrites(&self) -> bool {
        true
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let path = self.path(name, true)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        match hold(options.open(&path)?) {
            // Whoever looks for what a crash left takes an empty file for that, unless it is held already.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            Ok(_) if fs::symlink_metadata(&path).is_err() => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            held => held,
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let path = self.path(name, false)?;
        hold(OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name, false)?)
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        read_at(&File::open(self.path(name, false)?)?, offset, into)
    }

    fn seal(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name, true)?;
        let beside = self.path(&format!("{name}.new"), true)?;
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        drop(file);
        fs::rename(beside, path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from, false)?, self.path(to, false)?)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name, false)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let path = match folder {
            "" => self.root.clone(),
            folder => match self.path(folder, false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                path => path?,
            },
        };
        let entries = match fs::read_dir(path) {
            Err(error) if is_no_folder(&error) => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // What has no name in our letters is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn is_no_folder(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn read_at(mut file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    let wanted = u64::try_from(into.len()).unwrap_or(u64::MAX);
    let mut rest = into;
    let read = io::copy(&mut file.take(wanted), &mut rest)?;
    Ok(usize::try_from(read).unwrap_or_default())
}

fn hold(file: File) -> io::Result<Box<dyn StoredFile>> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // Some network file systems have no locks: there one process per folder is the operator's care.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Box::new(Held(file))),
    }
}

struct Held(File);

impl Drop for Held {
    /// A child that is between its fork and its exec still has our descriptor, and closing ours alone would leave the
    /// lock with it.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl StoredFile for Held {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        read_at(&self.0, offset, into)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(offset))?;
        self.0.write_all(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
