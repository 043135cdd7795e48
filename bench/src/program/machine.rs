//! What to say about the machine, so that figures can be told apart later.

use std::fmt;
use std::fs;

use serde::Serialize;

/// The machine and its kernel.
#[derive(Serialize)]
pub struct Machine {
    /// What the processor calls itself.
    pub cpu: String,
    /// How many cores the kernel sees.
    pub cpus: usize,
    /// How much memory there is.
    pub memory_bytes: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The architecture that this program was built for.
    pub architecture: &'static str,
    /// How busy it was when the measurements began: the mean of a minute.
    pub load_average: f64,
}

impl Machine {
    /// Looks. What cannot be found out is "unknown" or 0.
    pub fn look() -> Self {
        let info = rustix::system::sysinfo();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let loadavg = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cpu: model.map_or("unknown", |(_, model)| model.trim()).to_owned(),
            cpus: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            memory_bytes: info.totalram as u64 * u64::from(info.mem_unit),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            architecture: std::env::consts::ARCH,
            load_average: loadavg.split(' ').next().and_then(|mean| mean.parse().ok()).unwrap_or(0.0),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cpus, kernel, load_average, .. } = self;
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        write!(f, "{cpus} x {cpu}, {gib:.1} GiB, Linux {kernel}, load average {load_average}")
    }
}
