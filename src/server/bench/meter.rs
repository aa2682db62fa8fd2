//! What time it is and what the process has used. Lives here: every reading of the operating system that the benchmark
//! makes. Must not live here: what is done with the readings.

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Clock, SystemClock};

use super::figures::Spent;

/// A monotonic time, for intervals only. The engine's own clock is the wall clock, which may be set while we measure.
pub(super) fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// CPU time of all threads of this process so far, user and system.
pub(super) fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Neither clock runs before zero.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// How long each look takes whether the process still works, the share of a core that counts as rest, and how many looks in
/// a row must find it: a store's archive may wait a twentieth of a second for more work.
const REST_LOOK: Duration = Duration::from_millis(20);
const REST_SHARE: u32 = 20;
const REST_LOOKS: u32 = 4;

/// How long rest is waited for. In a test's process others are at work.
#[cfg(not(test))]
pub(super) const REST_MAX: Duration = Duration::from_secs(10);
#[cfg(test)]
pub(super) const REST_MAX: Duration = Duration::from_millis(500);

/// Waits until the process rests: what is done behind acknowledged commits belongs to whoever caused it, not to who comes
/// next. `false`: it did not, for as long as this waits.
pub(super) async fn until_at_rest() -> bool {
    until_quiet(process_cpu, REST_MAX).await
}

/// The same of whatever uses the CPU time that is told.
async fn until_quiet(cpu: impl Fn() -> Duration, patience: Duration) -> bool {
    let begun = monotonic();
    let mut quiet = 0;
    while quiet < REST_LOOKS {
        if monotonic().saturating_sub(begun) > patience {
            return false;
        }
        let before = cpu();
        wait(REST_LOOK).await;
        let rests = cpu().saturating_sub(before) * REST_SHARE < REST_LOOK;
        quiet = if rests { quiet + 1 } else { 0 };
    }
    true
}

/// CPU time that is spent between two moments of rest.
pub(super) struct CpuWatch {
    cpu: Duration,
    rested: bool,
}

impl CpuWatch {
    /// Waits for rest, and begins.
    pub(super) async fn start() -> Self {
        let rested = until_at_rest().await;
        Self {
            cpu: process_cpu(),
            rested,
        }
    }

    /// Waits for rest, and ends: what was spent on this many.
    pub(super) async fn stop(self, sagas: u64) -> Spent {
        let rested = until_at_rest().await;
        Spent {
            cpu: process_cpu().saturating_sub(self.cpu),
            sagas,
            rested: rested && self.rested,
        }
    }
}

/// Memory of this process that is in RAM, in bytes; `None` where the system does not say.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    resident_in(&status)
}

/// The most that it ever was.
pub(super) fn resident_bytes_max() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kibibytes_in(&status, "VmHWM:")
}

fn resident_in(status: &str) -> Option<u64> {
    kibibytes_in(status, "VmRSS:")
}

fn kibibytes_in(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024)
}

/// Bytes of all files in the directory, 0 if it is not there.
pub(super) fn directory_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => directory_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Whether files in this directory are only in memory, where syncing them costs nothing and keeps nothing.
pub(super) fn is_in_memory(directory: &Path) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    let found = rustix::fs::statfs(directory).ok();
    let kind = found.and_then(|found| u64::try_from(found.f_type).ok());
    matches!(kind, Some(TMPFS_MAGIC | RAMFS_MAGIC))
}

/// Lets time pass.
pub(super) async fn wait(time: Duration) {
    SystemClock.sleep_until(SystemClock.now().after(time)).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn work_takes_time_and_memory() {
        let (time, cpu) = (monotonic(), process_cpu());
        let mut sum = 0_u64;
        while process_cpu() == cpu || monotonic() == time {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_cpu() > cpu && monotonic() > time);
    }

    /// What the process used before each look and after it.
    async fn looks_until_quiet(used: &[Duration]) -> (bool, usize) {
        let (spent, readings) = (Cell::new(Duration::ZERO), Cell::new(0));
        let cpu = || {
            // Every second reading is the end of a look.
            let look = used.get(readings.get() / 2).copied().unwrap_or_default();
            if readings.get() % 2 == 1 {
                spent.set(spent.get() + look);
            }
            readings.set(readings.get() + 1);
            spent.get()
        };
        let rests = until_quiet(cpu, Duration::from_secs(60)).await;
        (rests, readings.get() / 2)
    }

    #[tokio::test]
    async fn rest_is_when_nothing_works_any_more() {
        let (work, little) = (REST_LOOK / REST_SHARE, REST_LOOK / REST_SHARE / 2);
        assert_eq!(looks_until_quiet(&[]).await, (true, 4));
        assert_eq!(
            looks_until_quiet(&[little; 9]).await,
            (true, 4),
            "a background of little"
        );
        assert_eq!(looks_until_quiet(&[work; 3]).await, (true, 7));
        let pauses = [work, little, little, little, work];
        assert_eq!(looks_until_quiet(&pauses).await, (true, 9), "a pause is no rest");
    }

    #[tokio::test]
    async fn who_never_rests_is_not_waited_for_without_end() {
        let over = Arc::new(AtomicBool::new(false));
        let working = std::thread::spawn({
            let over = Arc::clone(&over);
            move || while !over.load(Ordering::Relaxed) {}
        });
        let spent = CpuWatch::start().await.stop(2).await;
        over.store(true, Ordering::Relaxed);
        assert!(working.join().is_ok());
        assert!(!spent.rested && spent.each() > 0.0);
    }

    #[test]
    fn the_resident_set_is_found_in_the_status() {
        assert_eq!(
            resident_in("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\nThreads:\t1\n"),
            Some(12 * 1_024)
        );
        assert_eq!(resident_in("Threads:\t1\n"), None);
    }

    #[test]
    fn directories_are_counted_with_what_is_below_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("a"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("below/b"), [0; 5]).unwrap();
        assert_eq!(directory_bytes(dir.path()), 15);
        assert_eq!(directory_bytes(&dir.path().join("none")), 0);
    }
}
