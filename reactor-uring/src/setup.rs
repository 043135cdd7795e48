//! A ring as good as this kernel can make it.

use std::io;

use io_uring::IoUring;
use runtime_core::reactor::Wait;

use crate::buffers::Buffers;
use crate::error::SetupError;
use crate::opcodes::Supported;
use crate::ring::Ring;

/// What can be chosen about a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How many requests are submitted at once. More only take more system calls.
    pub(crate) submissions: u32,
    /// How many completions fit. More than that wait in the kernel, which costs an allocation each and ends
    /// multishot operations, which then have to be started again.
    pub(crate) completions: u32,
    pub(crate) completion_work: CompletionWork,
}

/// When the kernel does what completing takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompletionWork {
    /// Within an enter that asks for completions, so in batches and never in the middle of a task. Binds the
    /// ring to its thread. Linux 6.1.
    Deferred,
    /// Whenever the thread is in the kernel anyway, so that an event may come before the immediate results of the
    /// same turn. Linux 5.19.
    Cooperative,
}

impl Default for Options {
    fn default() -> Self {
        // 24 KiB of queues. A larger queue for completions makes the start slower (four times this one 8 us),
        // and since Linux 6.13 an enter delivers deferred work in pieces that would never fill it.
        Self { submissions: 128, completions: 1024, completion_work: CompletionWork::Deferred }
    }
}

/// A ring with these options, on Linux 6.0 without deferred completion work; and what the kernel can do with it.
pub(crate) fn ring(options: Options) -> Result<(Ring, Supported), SetupError> {
    let ring = match build(options) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            build(Options { completion_work: CompletionWork::Cooperative, ..options })
        }
        result => result,
    };
    let ring = ring.map_err(|error| SetupError::failed("io_uring_setup", &error))?;
    let supported = Supported::probe(&ring.submitter())?;
    let mut ring = Ring::new(ring);
    // A seccomp filter can forbid the one call that has not been made yet. Better learnt now than in the first
    // turn, when it is too late for another backend.
    ring.submit(Wait::No).map_err(|error| SetupError::failed("io_uring_enter", &error))?;
    // And its page is charged to RLIMIT_MEMLOCK, beside those of the queues.
    Buffers::check(&ring.submitter()).map_err(|error| SetupError::failed("io_uring_register", &error))?;
    Ok((ring, supported))
}

fn build(options: Options) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_clamp().setup_cqsize(options.completions).setup_submit_all().setup_taskrun_flag();
    match options.completion_work {
        CompletionWork::Deferred => builder.setup_single_issuer().setup_defer_taskrun(),
        CompletionWork::Cooperative => builder.setup_coop_taskrun(),
    };
    builder.build(options.submissions)
}
