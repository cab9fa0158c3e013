//! Operating system threads for shards.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts `body` on a thread of its own that debuggers and `top` show as `name`.
///
/// Linux shows at most 15 bytes of the name (`sluice-shard-0`).
///
/// # Errors
///
/// What the operating system says when it has no thread to give, or
/// [`io::ErrorKind::InvalidInput`] when `name` holds a NUL.
pub fn spawn<T, F>(name: &str, body: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if name.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Builder::new().name(name.to_owned()).spawn(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_carries_its_name() {
        let thread = spawn("sluice-shard-0", || {
            std::thread::current().name().map(str::to_owned)
        });
        let name = thread.unwrap().join().unwrap();
        assert_eq!(name.as_deref(), Some("sluice-shard-0"));
    }

    #[test]
    fn name_with_a_nul_is_refused() {
        let refused = spawn("a\0b", || ()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
