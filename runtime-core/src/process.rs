//! Which process this is, known without a system call.
//!
//! The one place in this crate that talks to the kernel: nothing else tells a fork.

use std::io;
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;

/// Why nothing can be asked of a parent's runtime.
pub(crate) const FORKED: &str = "a carhop runtime does not survive fork: make a new one in the child process";

/// A process. A child that `fork` makes is another one than its parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process(u64);

impl Process {
    /// The one that runs this.
    pub(crate) fn current() -> Self {
        let Ok(mark) = &*MARK else { return Self(std::process::id().into()) };
        // Relaxed: nothing else hangs on it. A fork has one thread, which sees what the kernel has wiped.
        match mark.load(Ordering::Relaxed) {
            0 => Self(set(mark)),
            time => Self(time),
        }
    }

    /// Whether it is the one that runs this.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// # Panics
    ///
    /// In a child that `fork` made of it.
    pub(crate) fn assert_current(self) {
        assert!(self.is_current(), "{FORKED}");
    }
}

/// What tells this process from others: when it first asked, in nanoseconds, plus one. The page is wiped in a child that `fork`
/// makes (`MADV_WIPEONFORK`, Linux 4.14), so there it is zero, however the child was made. An error on older kernels.
static MARK: LazyLock<io::Result<&'static AtomicU64>> = LazyLock::new(|| {
    let len = size_of::<AtomicU64>();
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at a place of the kernel's choice.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is this function's, and nothing is in it yet. Should this fail, it is left unused.
    if unsafe { libc::madvise(page, len, libc::MADV_WIPEONFORK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page is never unmapped, aligned, zero at first, which is a valid value, and used by nothing else.
    Ok(unsafe { AtomicU64::from_ptr(page.cast()) })
});

#[cold]
fn set(mark: &AtomicU64) -> u64 {
    let time = clock::monotonic().0 + 1;
    // Another thread may have been first.
    mark.compare_exchange(0, time, Ordering::Relaxed, Ordering::Relaxed).err().unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_is_another_process() {
        let parent = Process::current();
        assert!(MARK.is_ok(), "{MARK:?}");
        assert!(parent.is_current());
        // SAFETY: the child, which has this thread alone, only reads and writes memory, and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let own = Process::current();
            let right = !parent.is_current() && own.is_current() && own == Process::current();
            // SAFETY: it ends the child without running what the parent has registered.
            unsafe { libc::_exit(if right { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: `status` is there to be written.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        assert!(parent.is_current());
    }
}
