//! `epoll(7)`: which descriptors to watch, and the wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use runtime_core::op::Fd;

/// How many events one wait can bring. What does not fit comes with the next one: epoll rotates its list.
const EVENTS: usize = 256;

/// From here on the kernel may end a wait late by a thousandth of it rather than by the usual timer slack of
/// 50 us (`select_estimate_accuracy` in fs/select.c).
const LONG_WAIT: Duration = Duration::from_millis(50);

/// An epoll instance.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Box<[libc::epoll_event; EVENTS]>,
    /// Whether there is `epoll_pwait2(2)`: since Linux 5.11.
    waits_in_nanoseconds: bool,
}

/// What one wait says of one descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    /// The word that the descriptor is watched with.
    pub(crate) data: u64,
    flags: u32,
}

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Interest {
    #[default]
    Nothing,
    Reading,
    ReadingAndWriting,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self {
            // SAFETY: the call returned a new descriptor, which nobody else owns.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            events: Box::new([libc::epoll_event { events: 0, u64: 0 }; EVENTS]),
            waits_in_nanoseconds: true,
        })
    }

    /// Watches a descriptor that is not watched yet.
    ///
    /// It may be, if it was closed behind the reactor's back and came back: then that watch goes on with a new word.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, interest: Interest, data: u64) -> io::Result<()> {
        match self.control(libc::EPOLL_CTL_ADD, fd.as_raw_fd(), interest, data) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => self.modify(fd, interest, data),
            result => result,
        }
    }

    /// Changes a watch. What is ready now is reported again: `EPOLL_CTL_MOD` looks, edge-triggered or not.
    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, interest: Interest, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_raw_fd(), interest, data)
    }

    /// Ends a watch.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd.as_raw_fd(), Interest::Nothing, 0)
    }

    fn control(&self, action: i32, fd: RawFd, interest: Interest, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.flags(), u64: data };
        // SAFETY: `event` is valid for the call, which only reads it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), action, fd, &mut event) }).map(drop)
    }

    /// Waits for events, forever if `timeout` is `None`, and says how many there are; [`Poller::event`] has them.
    ///
    /// None may mean a signal, or the end of most of the timeout: it never ends noticeably late, but a long one
    /// may end a thousandth early.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map(|t| if t < LONG_WAIT { t } else { t - t / 1000 });
        let result = match timeout {
            Some(timeout) if !timeout.is_zero() && self.waits_in_nanoseconds => {
                match self.wait_nanoseconds(timeout) {
                    // Older kernels say ENOSYS, seccomp filters older than the call EPERM.
                    Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                        self.waits_in_nanoseconds = false;
                        self.wait_milliseconds(round_up_to_ms(timeout))
                    }
                    result => result,
                }
            }
            Some(timeout) => self.wait_milliseconds(round_up_to_ms(timeout)),
            None => self.wait_milliseconds(-1),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            result => result,
        }
    }

    /// One of the events of the last wait.
    pub(crate) fn event(&self, index: usize) -> Event {
        let libc::epoll_event { events: flags, u64: data } = self.events[index];
        Event { data, flags }
    }

    fn wait_nanoseconds(&mut self, timeout: Duration) -> io::Result<usize> {
        // The kernel's own layout, 64 bits on every architecture, unlike libc's.
        #[repr(C)]
        struct Timespec {
            seconds: i64,
            nanoseconds: i64,
        }
        let timeout = Timespec {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: i64::from(timeout.subsec_nanos()),
        };
        // Not through libc's function, which glibc has since 2.35 only.
        // SAFETY: the kernel writes at most `EVENTS` events to `self.events`, reads `timeout`, and with a null
        // signal mask nothing else.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS as i32,
                &timeout,
                ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        check(count as i32).map(|count| count as usize)
    }

    fn wait_milliseconds(&mut self, timeout_ms: i32) -> io::Result<usize> {
        let events = self.events.as_mut_ptr();
        // SAFETY: the kernel writes at most `EVENTS` events to `self.events`.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events, EVENTS as i32, timeout_ms) };
        check(count).map(|count| count as usize)
    }
}

/// Readable while there are events to wait for.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The word that a descriptor is watched with: which use of its number it is, and the number.
#[inline]
pub(crate) fn word(fd: Fd) -> u64 {
    u64::from(fd.generation()) << 32 | u64::from(fd.number())
}

impl Event {
    /// The descriptor that it is about, by the name that it was watched under.
    #[inline]
    pub(crate) fn fd(self) -> Fd {
        Fd::new(self.data as u32, (self.data >> 32) as u32)
    }

    /// A receive or an accept would not have to wait.
    pub(crate) fn readable(self) -> bool {
        self.has(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR)
    }

    /// A short receive does not mean that nothing is left: the end of the stream or an error is still to come,
    /// for which there will be no other event, or bytes behind a mark of urgent data, at which a receive stops.
    pub(crate) fn says_read_on(self) -> bool {
        self.has(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLPRI)
    }

    /// An attempt to write would not have to wait, and an attempt to connect is decided.
    pub(crate) fn writable(self) -> bool {
        self.has(libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR)
    }

    fn has(self, flags: i32) -> bool {
        self.flags & flags as u32 != 0
    }
}

impl Interest {
    fn flags(self) -> u32 {
        let reading = libc::EPOLLET | libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI;
        let flags = match self {
            Interest::Nothing => 0,
            Interest::Reading => reading,
            Interest::ReadingAndWriting => reading | libc::EPOLLOUT,
        };
        flags as u32
    }
}

fn round_up_to_ms(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_wait_is_not_early_with_or_without_nanoseconds() {
        for waits_in_nanoseconds in [true, false] {
            let mut poller = Poller { waits_in_nanoseconds, ..Poller::new().unwrap() };
            let timeout = Duration::from_micros(1_200);
            let start = Instant::now();
            assert_eq!(poller.wait(Some(timeout)).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
        }
    }

    #[test]
    fn milliseconds_are_rounded_up_and_end() {
        assert_eq!(round_up_to_ms(Duration::ZERO), 0);
        assert_eq!(round_up_to_ms(Duration::from_nanos(1)), 1);
        assert_eq!(round_up_to_ms(Duration::from_millis(7)), 7);
        assert_eq!(round_up_to_ms(Duration::MAX), i32::MAX);
    }
}
