//! A simulated machine, for tests: virtual time, and a network in memory.
//!
//! A runtime on [`Backend::Sim`](crate::Backend::Sim) has a network to itself, with `127.0.0.1` and `localhost`. Its time passes
//! only when all tasks wait, and then at once. What happens is the same in each run, as far as no other threads take part:
//!
//! ```
//! use carhop::net::{TcpListener, TcpStream};
//! use carhop::time::{Instant, sleep};
//! use carhop::{Backend, Builder, spawn};
//! use std::time::Duration;
//!
//! const HOUR: Duration = Duration::from_secs(3600);
//!
//! // In a test: `#[carhop::test(sim)]`.
//! let runtime = Builder::new().backend(Backend::Sim).build()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:80").await?;
//!     let server = spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         sleep(HOUR).await;
//!         stream.write_all(b"late").await
//!     });
//!     let start = Instant::now();
//!     let mut stream = TcpStream::connect("localhost:80").await?;
//!     let mut word = [0; 4];
//!     stream.read_exact(&mut word).await?;
//!     assert_eq!((&word, start.elapsed()), (b"late", HOUR));
//!     server.await.unwrap()
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several runtimes
//!
//! Runtimes that are to talk to each other share a [`Network`], on one thread: each has a [`SimReactor`] of it
//! ([`Builder::reactor`](crate::Builder::reactor)), and a host steps all of them, as [`run_until`] does. The network says how
//! long everything travels, and a seed decides where nothing else does.
//!
//! ```
//! use carhop::net::{TcpListener, TcpStream};
//! use carhop::{Builder, sim};
//! use std::time::Duration;
//!
//! let network = sim::Network::builder().latency(Duration::from_millis(20)).build();
//! network.add_host("server", "10.0.0.1".parse()?);
//! let [server, client] = [(); 2].map(|()| Builder::new().reactor(network.reactor()).build().unwrap());
//! let serves = server.spawn(async {
//!     let listener = TcpListener::bind("server:80").await?;
//!     let (mut stream, _) = listener.accept().await?;
//!     stream.write_all(b"hello").await
//! });
//! let asks = client.spawn(async {
//!     let mut word = [0; 5];
//!     TcpStream::connect("server:80").await?.read_exact(&mut word).await?;
//!     std::io::Result::Ok(word)
//! });
//! sim::run_until(&network, &[&server, &client], || asks.is_finished())?;
//! assert_eq!(&client.block_on(asks).unwrap()?, b"hello");
//! // There and back again to connect, and there with the answer.
//! assert_eq!(network.now().0, 60_000_000);
//! # drop(serves);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::time::Duration;

use runtime_core::reactor::Wait;

use crate::Runtime;

pub use reactor_sim::{Network, NetworkBuilder, SimReactor};

/// Steps runtimes, all those of one network, in turns until `done` says so, and lets time pass when all of them wait.
///
/// # Errors
///
/// Nothing can happen any more, and `done` does not say so: all wait, without a timer, nothing is on its way to them, and for
/// a minute of real time no other thread has woken one.
///
/// # Panics
///
/// As [`Runtime::step`].
pub fn run_until(network: &Network, runtimes: &[&Runtime], mut done: impl FnMut() -> bool) -> io::Result<()> {
    while !done() {
        let rest = runtimes.iter().fold(Wait::Forever, |rest, runtime| {
            rest.at_most(match runtime.step() {
                None => Wait::Forever,
                Some(Duration::ZERO) => Wait::No,
                Some(time) => Wait::Until(network.now().saturating_add(time)),
            })
        });
        network.wait(rest)?;
    }
    Ok(())
}
