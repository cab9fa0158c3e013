//! What a process has used so far, from `/proc` (Linux).

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use crate::Outcome;

/// Absolute since the process began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Times a media thread went to sleep by itself.
    pub shard_wakeups: u64,
}

impl Usage {
    /// Reads process `pid`, or this one by `"self"`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: &str) -> Outcome<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold spaces.
        let (_, fields) = stat.rsplit_once(") ").ok_or("odd stat")?;
        let mut fields = fields.split(' ');
        let user: u64 = fields.nth(UTIME).ok_or("no utime")?.parse()?;
        let system: u64 = fields.next().ok_or("no stime")?.parse()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = field(&status, "VmRSS:").unwrap_or_default();
        let mut shard_wakeups = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while we look.
            let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            if status.contains("sluice-shard") {
                shard_wakeups += field(&status, "voluntary_ctxt_switches:").unwrap_or_default();
            }
        }
        Ok(Self {
            cpu: Duration::from_millis((user + system) * MILLIS_PER_TICK),
            resident_bytes: resident * 1024,
            shard_wakeups,
        })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            resident_bytes: self.resident_bytes.saturating_sub(earlier.resident_bytes),
            shard_wakeups: self.shard_wakeups.saturating_sub(earlier.shard_wakeups),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields between the name and utime, proc(5).
const UTIME: usize = 11;
/// Linux tells user space 100 ticks a second on every platform it runs on.
const MILLIS_PER_TICK: u64 = 10;
