//! Which core is whose: one for the server, one for the load.

use std::fmt;
use std::fs;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// The cores, by number. `None` where they may not be chosen.
#[derive(Serialize)]
pub struct Cores {
    pub server: Option<usize>,
    pub load: Option<usize>,
}

impl Cores {
    /// Chooses among those that this process may use, and moves this thread to the load's.
    pub fn choose() -> Self {
        let set = sched_getaffinity(None).unwrap_or_default();
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect();
        let none = Self { server: None, load: None };
        // The last one, because it is core 0 that most interrupts go to.
        let Some((&server, others)) = allowed.split_last() else { return none };
        // Two threads of one core would share its execution units; another socket is far away.
        let far = |other: &&usize| {
            (
                !same(server, **other, "physical_package_id"),
                same(server, **other, "core_id"),
                server - **other,
            )
        };
        let load = others.iter().min_by_key(far).copied().unwrap_or(server);
        if pin(server).and_then(|()| pin(load)).is_err() {
            return none;
        }
        Self { server: Some(server), load: Some(load) }
    }

    /// Whether the load disturbs nobody when it never sleeps.
    pub fn apart(&self) -> bool {
        self.server != self.load
    }
}

/// Calls `start` on `core`; processes that it starts stay there. Then goes back to the cores of before.
pub fn pinned_to<T>(core: Option<usize>, start: impl FnOnce() -> T) -> T {
    let before = core.and_then(|core| {
        let before = sched_getaffinity(None).ok()?;
        pin(core).ok().map(|()| before)
    });
    let result = start();
    if let Some(before) = before {
        // It was allowed a moment ago. If not any more, this thread stays where it is.
        let _ = sched_setaffinity(None, &before);
    }
    result
}

fn pin(core: usize) -> rustix::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
}

/// Whether a property of their place is the same for both cores.
fn same(one: usize, other: usize, property: &str) -> bool {
    let read = |core| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/{property}");
        fs::read_to_string(Path::new(&path)).ok()
    };
    read(one) == read(other)
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.server, self.load) {
            (Some(server), Some(load)) if server != load => {
                write!(f, "server on core {server}, load on core {load}, which does not sleep")
            }
            (Some(core), Some(_)) => {
                write!(f, "only core {core} may be used: server and load share it, so compare with care")
            }
            _ => f.write_str("cores may not be chosen: server and load run anywhere, so compare with care"),
        }
    }
}
