//! What the system says about a process. Linux alone says it; elsewhere the figures are missing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Failure;

/// The cores of the function and of its store, so that neither runs on the other's.
#[derive(Clone, Copy)]
pub(super) struct Cores {
    pub(super) function: usize,
    pub(super) store: usize,
}

impl Cores {
    /// Two cores, if this machine has them and can pin processes.
    pub(super) fn of_this_machine() -> Option<Self> {
        let cores = Self { function: 0, store: 1 };
        let pins = |core: usize| {
            let mut probe = Command::new("taskset");
            probe.args(["-c", &core.to_string(), "true"]).stderr(Stdio::null());
            probe.status().is_ok_and(|status| status.success())
        };
        (cfg!(target_os = "linux") && pins(cores.function) && pins(cores.store)).then_some(cores)
    }
}

/// Moves all threads of a process to a core.
pub(super) fn pin(id: u32, core: usize) -> Result<(), Failure> {
    let mut pin = Command::new("taskset");
    pin.args(["-a", "-c", "-p", &core.to_string(), &id.to_string()]).stdout(Stdio::null());
    if pin.status()?.success() { Ok(()) } else { Err("taskset can't move a process".into()) }
}

/// The processor time of a process: the sum of its threads, in nanoseconds, as the scheduler counts it.
pub(super) fn cpu(id: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).ok()?;
    let time = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let times: Vec<u64> = threads.filter_map(|thread| time(thread.ok()?)).collect();
    (!times.is_empty()).then(|| Duration::from_nanos(times.iter().sum()))
}

/// The largest resident size that a process had, in bytes.
pub(super) fn peak_memory(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The size of a binary without symbols, as it is deployed; with them if there is no `strip`.
pub(super) fn stripped_size(binary: &Path) -> Result<u64, Failure> {
    let stripped = binary.with_extension("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(binary).status();
    let measured = if strip.is_ok_and(|status| status.success()) { &stripped } else { binary };
    let size = std::fs::metadata(measured)?.len();
    // It is of no more use, and may not exist.
    let _ = std::fs::remove_file(&stripped);
    Ok(size)
}
