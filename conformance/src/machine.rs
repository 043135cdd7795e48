//! What trials ask the kernel themselves, past the reactor.

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An open descriptor: its number and what it refers to, as `/proc` names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) number: RawFd,
    target: String,
}

#[cfg(feature = "runtime")]
impl Descriptor {
    /// Of an `eventfd(2)`, which a loop opens when it sleeps for the first time.
    pub(crate) fn is_eventfd(&self) -> bool {
        self.target == "anon_inode:[eventfd]"
    }
}

/// What this process has open.
pub(crate) fn descriptors() -> io::Result<Vec<Descriptor>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    // The directory that was read is among them, but closed by now.
    let target = |number| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    Ok(numbers
        .into_iter()
        .filter_map(|number| {
            target(number).map(|path| Descriptor { number, target: path.to_string_lossy().into_owned() })
        })
        .collect())
}

/// How many sockets this process has open.
#[cfg(feature = "runtime")]
pub(crate) fn sockets() -> usize {
    let open = descriptors().expect("/proc/self/fd");
    open.iter().filter(|descriptor| descriptor.target.starts_with("socket:")).count()
}

/// Lets this process open as many descriptors as it may.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let limit = descriptor_limit()?;
    set_descriptor_limit(libc::rlimit { rlim_cur: limit.rlim_max, ..limit })
}

/// While it lives, no descriptor can be opened but `spare` of them.
pub(crate) struct Shortage {
    former: libc::rlimit,
}

impl Shortage {
    pub(crate) fn with_spare(spare: usize) -> Self {
        let former = descriptor_limit().expect("getrlimit");
        // Numbers are given out lowest first, so the highest of these is the last one to allow.
        let free: Vec<_> = (0..=spare).map(|_| fs::File::open("/dev/null").expect("a descriptor")).collect();
        let first_refused = free.last().expect("at least one").as_raw_fd();
        set_descriptor_limit(libc::rlimit { rlim_cur: first_refused as libc::rlim_t, ..former })
            .expect("setrlimit");
        Self { former }
    }
}

impl Drop for Shortage {
    fn drop(&mut self) {
        set_descriptor_limit(self.former).expect("setrlimit");
    }
}

fn descriptor_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(limit)
}

fn set_descriptor_limit(limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: the kernel only reads `limit`.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }).map(drop)
}

/// Whether `execve(2)` closes this descriptor.
pub(crate) fn is_close_on_exec(number: RawFd) -> bool {
    // SAFETY: no memory is involved.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) }).expect("F_GETFD") & libc::FD_CLOEXEC != 0
}

/// The processor time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    check(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }).expect("clock_gettime");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Moves `fd` to this number, which must be free.
pub(crate) fn clone_as(fd: OwnedFd, number: u32) -> OwnedFd {
    // SAFETY: no memory is involved.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) };
    // SAFETY: the call returned a new descriptor, which nobody else owns.
    let moved = unsafe { OwnedFd::from_raw_fd(check(moved).expect("F_DUPFD_CLOEXEC")) };
    assert_eq!(moved.as_raw_fd() as u32, number, "the number was not free");
    moved
}

/// Waits until `fd` has something to read (or its end, or an error), and says whether it came in time.
pub(crate) fn readable(fd: impl AsFd, patience: Duration) -> bool {
    poll(fd, libc::POLLIN, patience)
}

/// Waits until `fd` has room for more, and says whether it came in time.
pub(crate) fn writable(fd: impl AsFd, patience: Duration) -> bool {
    poll(fd, libc::POLLOUT, patience)
}

/// How many bytes `socket` has sent and not been told to have arrived.
pub(crate) fn unacknowledged(socket: impl AsFd) -> usize {
    let queued = |request| {
        let mut bytes = 0;
        // SAFETY: `bytes` is a valid place for the result.
        check(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), request, &mut bytes) }).expect("ioctl");
        bytes
    };
    // tcp(7): what the send queue holds, and what of it has not been sent.
    let (all, unsent): (i32, i32) = (queued(libc::TIOCOUTQ), queued(SIOCOUTQNSD));
    (all - unsent).max(0) as usize
}

/// From linux/sockios.h; the libc crate has it not.
const SIOCOUTQNSD: libc::Ioctl = 0x894B;

fn poll(fd: impl AsFd, events: i16, patience: Duration) -> bool {
    let mut ask = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: `ask` is one valid entry.
    let ready = unsafe { libc::poll(&mut ask, 1, patience.as_millis() as i32) };
    check(ready).expect("poll") > 0
}

/// Counts a signal while it lives, instead of what the signal did before.
pub(crate) struct Signals {
    signal: i32,
    former: libc::sigaction,
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

impl Signals {
    pub(crate) fn catch(signal: i32) -> Self {
        extern "C" fn count(_: i32) {
            CAUGHT.fetch_add(1, Ordering::Relaxed);
        }
        CAUGHT.store(0, Ordering::Relaxed);
        // SAFETY: a `sigaction` is plain data, for which zeroes mean no flags (so system calls are
        // interrupted, not restarted) and an empty mask.
        let (mut action, mut former) = unsafe { mem::zeroed::<(libc::sigaction, libc::sigaction)>() };
        action.sa_sigaction = count as extern "C" fn(i32) as libc::sighandler_t;
        // SAFETY: both are valid for the call, and the handler does nothing but add to an atomic.
        check(unsafe { libc::sigaction(signal, &action, &mut former) }).expect("sigaction");
        Self { signal, former }
    }

    pub(crate) fn count(&self) -> usize {
        CAUGHT.load(Ordering::Relaxed)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: this is what `sigaction` has returned before.
        check(unsafe { libc::sigaction(self.signal, &self.former, ptr::null_mut()) }).expect("sigaction");
    }
}

/// A thread that can be sent signals while the trial runs.
#[derive(Clone, Copy)]
pub(crate) struct ThisThread(libc::pthread_t);

impl ThisThread {
    pub(crate) fn current() -> Self {
        // SAFETY: the call has no conditions.
        Self(unsafe { libc::pthread_self() })
    }

    pub(crate) fn signal(self, signal: i32) {
        // SAFETY: trials run on the main thread, which does not end before the process.
        let error = unsafe { libc::pthread_kill(self.0, signal) };
        assert_eq!(error, 0, "pthread_kill");
    }
}

/// Raises `SIGALRM` regularly while it lives.
pub(crate) struct Alarm;

impl Alarm {
    pub(crate) fn every(interval: Duration) -> Self {
        set_interval(interval);
        Self
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        set_interval(Duration::ZERO);
    }
}

fn set_interval(interval: Duration) {
    let interval = libc::timeval {
        tv_sec: interval.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(interval.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the kernel only reads `timer`.
    check(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) }).expect("setitimer");
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
