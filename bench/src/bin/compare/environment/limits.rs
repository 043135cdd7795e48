//! How many descriptors a process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process, and of the servers that it starts, so that `connections` fit.
pub fn allow_descriptors(connections: usize) -> Result<(), String> {
    /// What there is beside connections: pipes, epoll, files.
    const SPARE: u64 = 64;
    let needed = connections as u64 + SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    // Root may exceed the hard limit; others may not.
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).map_err(|_| {
        let hard = limit.maximum.unwrap_or(u64::MAX);
        format!(
            "{connections} connections need {needed} descriptors, and the limit is {hard}: see `ulimit -Hn`"
        )
    })
}
