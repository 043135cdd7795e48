//! What a server uses: CPU time and memory of all its processes and threads.

use std::fs;

/// The processes of a group, which the server and whatever it starts are in.
pub fn processes(group: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|&id: &u32| stat(&format!("/proc/{id}/stat"), PROCESS_GROUP) == Some(u64::from(group)))
        .collect()
}

/// CPU time until now, in nanoseconds. That of threads which have ended is missing.
pub fn cpu_ns(processes: &[u32]) -> Option<u64> {
    let threads =
        processes.iter().flat_map(|id| fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten());
    let times: Vec<u64> = threads.flatten().filter_map(|thread| thread_ns(thread.path().to_str()?)).collect();
    (!times.is_empty()).then(|| times.iter().sum())
}

/// Resident memory, in bytes. Exact: the counters elsewhere may lag by hundreds of kilobytes.
pub fn resident_bytes(processes: &[u32]) -> Option<u64> {
    let rollup = |id: &u32| {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        let kib = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
        kib?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let sizes: Vec<u64> = processes.iter().filter_map(rollup).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum())
}

/// CPU time of one thread: to the nanosecond, or in ticks of 10 ms from a kernel without CONFIG_SCHED_INFO.
fn thread_ns(path: &str) -> Option<u64> {
    if let Ok(schedstat) = fs::read_to_string(format!("{path}/schedstat")) {
        return schedstat.split(' ').next()?.parse().ok();
    }
    let stat_path = format!("{path}/stat");
    let ticks = stat(&stat_path, USER_TIME)? + stat(&stat_path, SYSTEM_TIME)?;
    Some(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}

// Fields of /proc/PID/stat after the name: see proc_pid_stat(5).
const PROCESS_GROUP: usize = 2;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// A number in /proc/PID/stat. The name, in parentheses, may contain anything; what comes after it is counted.
fn stat(path: &str, field: usize) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(field)?.parse().ok()
}
