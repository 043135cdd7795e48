//! Unix signals, which tasks wait for. asyncio's `add_signal_handler`.
//!
//! ```
//! use carhop::signal::{SignalKind, signal};
//!
//! carhop::run(async {
//!     let mut hangup = signal(SignalKind::hangup())?;
//!     # signal_hook::low_level::raise(SignalKind::hangup().as_raw())?;
//!     hangup.recv().await?;
//!     println!("reading the configuration again");
//!     std::io::Result::Ok(())
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::Poll;

use runtime_core::socket::Stream;
use signal_hook::SigId;
use signal_hook::consts;
use signal_hook::low_level;

/// Which signal. See signal(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// `SIGINT`: ctrl-C at the terminal.
    pub const fn interrupt() -> Self {
        Self(consts::SIGINT)
    }

    /// `SIGTERM`: a polite request to end, as `kill` and service managers send it.
    pub const fn terminate() -> Self {
        Self(consts::SIGTERM)
    }

    /// `SIGHUP`: the terminal is gone, or, by custom, "read your configuration again".
    pub const fn hangup() -> Self {
        Self(consts::SIGHUP)
    }

    /// `SIGQUIT`: ctrl-\ at the terminal.
    pub const fn quit() -> Self {
        Self(consts::SIGQUIT)
    }

    /// `SIGUSR1`, free for the program's own use.
    pub const fn user_defined1() -> Self {
        Self(consts::SIGUSR1)
    }

    /// `SIGUSR2`, free for the program's own use.
    pub const fn user_defined2() -> Self {
        Self(consts::SIGUSR2)
    }

    /// `SIGCHLD`: a child process has ended or stopped.
    pub const fn child() -> Self {
        Self(consts::SIGCHLD)
    }

    /// Any other, by its number.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The signal's number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// Starts listening for a signal. From now on, and also after the [`Signal`] is dropped, the signal's default action
/// (to end the process, in most cases) does not happen any more.
///
/// # Errors
///
/// `InvalidInput` for a signal that cannot be caught (`SIGKILL`, `SIGSTOP`), that reports a fault of the program
/// itself (`SIGSEGV`, `SIGILL`, `SIGFPE`), or whose number does not exist; those of `socketpair(2)`, when there is
/// no descriptor left.
///
/// # Panics
///
/// Outside of a running runtime.
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    if consts::FORBIDDEN.contains(&kind.0) {
        let what = format!("signal {} cannot be caught, or reports a fault of the program itself", kind.0);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    // A signal handler may do little more than write a byte. The loop reads it as it reads any socket.
    let (reader, writer) = UnixStream::pair()?;
    let stream = Stream::from_fd(OwnedFd::from(reader))?;
    let registration = low_level::pipe::register(kind.0, writer)?;
    Ok(Signal { stream, registration })
}

/// Waits for ctrl-C (`SIGINT`), once. See [`signal`]: from the first poll on, ctrl-C no longer ends the process, not
/// even after the future is dropped. A ctrl-C that comes while no such future waits is lost; keep a [`Signal`] to
/// receive each.
///
/// # Errors
///
/// As [`signal`].
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await
}

/// Receives a signal, any number of times. Made by [`signal`].
#[must_use = "while it exists, the signal goes to it and nowhere else"]
pub struct Signal {
    stream: Stream,
    registration: SigId,
}

impl Signal {
    /// Waits until the signal has come at least once since the last time. Dropping the future loses no signal.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped.
    pub async fn recv(&mut self) -> io::Result<()> {
        let mut bytes = [0; 64];
        let mut came = false;
        // Reads all bytes, one for each time: all that have come so far count as one.
        poll_fn(|cx| {
            loop {
                match self.stream.poll_read(cx, &mut bytes) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
                    Poll::Ready(Ok(_)) => came = true,
                    Poll::Pending if came => return Poll::Ready(Ok(())),
                    other => return other.map_ok(drop),
                }
            }
        })
        .await
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        low_level::unregister(self.registration);
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signal({:?})", self.registration)
    }
}
