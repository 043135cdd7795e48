//! How much memory a connection takes that does nothing: a `TcpStream`, and a task that waits in `read`.
//!
//! ```text
//! cargo run --release -p bench --bin idle-memory
//! cargo run --release -p bench --bin idle-memory -- --connections 50000 --rounds 1
//! ```
//!
//! Each round is a server in a process of its own, and its clients in another. The columns, in bytes per
//! connection:
//!
//! - **resident**: by how much the server's resident memory grows. Exact: the kernel counts it page by page
//!   (`smaps_rollup`; the counters in `statm` may lag by hundreds of kilobytes). One connection has come and
//!   gone before, so what is made once and for all is not in it.
//! - **kernel, waiting**: by how much the kernel's memory grows when the tasks begin to wait: epoll's
//!   interest, or the armed receive.
//! - **kernel, sockets**: by how much it grows when the connections are made: both ends, the client's too. No
//!   byte is sent, so there are no send or receive buffers. It should be the same on each backend.
//!
//! The kernel does not say whose its memory is. Both columns are of the whole machine, with whatever else
//! happens on it: compare the rounds. With less than some thousand connections they say nothing.

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use bench::{backends, runtime};
use carhop::net::{TcpListener, TcpStream};
use carhop::time::{sleep, timeout};
use carhop::{Backend, spawn, yield_now};
use clap::Parser;

/// Descriptors that a process needs beside those of the connections.
const SPARE_DESCRIPTORS: u64 = 64;

/// The clients connect as fast as they can, so a pause this long means that they are gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures the memory of idle connections on each backend.
#[derive(Parser)]
struct Options {
    /// How many connections to open; fewer if the limit of open descriptors demands it.
    #[arg(long, default_value_t = 10_000)]
    connections: u64,

    /// How many times to measure on each backend.
    #[arg(long, default_value_t = 3)]
    rounds: u32,

    #[command(subcommand)]
    role: Option<Role>,
}

/// What the program starts itself as.
#[derive(clap::Subcommand)]
enum Role {
    #[command(hide = true)]
    Serve { backend: Backend },
    #[command(hide = true)]
    Connect { addr: SocketAddr },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.role {
        None => measure(&options),
        Some(Role::Serve { backend }) => runtime(backend).block_on(serve(backend, options.connections)),
        Some(Role::Connect { addr }) => connect(addr, options.connections),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> io::Result<()> {
    refuse_huge_pages()?;
    let limit = raise_descriptor_limit()?;
    let connections = options.connections.min(limit.saturating_sub(SPARE_DESCRIPTORS)).max(1);
    if connections < options.connections {
        eprintln!("only {connections} connections: the limit of open descriptors (RLIMIT_NOFILE) is {limit}");
    }
    println!("{connections} idle connections, bytes for each");
    println!("{:10} {:>10} {:>16} {:>16}", "backend", "resident", "kernel, waiting", "kernel, sockets");
    for backend in backends() {
        for _ in 0..options.rounds {
            let status = itself(connections).args(["serve", backend.name()]).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("the server on {backend} failed: {status}")));
            }
        }
    }
    Ok(())
}

/// One round: prints a line of the table.
async fn serve(backend: Backend, connections: u64) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    warm_up(&listener).await?;

    let mut streams = Vec::with_capacity(connections as usize);
    let before = Usage::now()?;
    let _clients = Clients::start(listener.local_addr()?, connections)?;
    for _ in 0..connections {
        streams.push(accept(&listener).await?);
    }
    let connected = Usage::now()?;
    for mut stream in streams {
        spawn(async move { stream.read(&mut [0]).await });
    }
    // All are polled before this goes on, and then once more through the reactor, which performs the reads.
    yield_now().await;
    sleep(Duration::ZERO).await;
    let waiting = Usage::now()?;

    let each = |after: i64, before: i64| (after - before) / connections as i64;
    println!(
        "{:10} {:>10} {:>16} {:>16}",
        backend.name(),
        each(waiting.resident, before.resident),
        each(waiting.slab_unreclaimable, connected.slab_unreclaimable),
        each(connected.slab, before.slab),
    );
    Ok(())
}

/// Lets one client connect, send a byte, and go.
async fn warm_up(listener: &TcpListener) -> io::Result<()> {
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let mut server = accept(listener).await?;
    client.write_all(&[0]).await?;
    server.read_exact(&mut [0]).await
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = timeout(PATIENCE, listener.accept()).await??;
    Ok(stream)
}

/// The process of the clients. It ends when this is dropped.
struct Clients(Child);

impl Clients {
    fn start(addr: SocketAddr, connections: u64) -> io::Result<Self> {
        let mut command = itself(connections);
        command.arg("connect").arg(addr.to_string()).stdin(Stdio::piped()).spawn().map(Self)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It says on stderr what goes wrong there. `wait` closes its stdin first.
        let _ = self.0.wait();
    }
}

/// Connects, and stays until stdin ends.
fn connect(addr: SocketAddr, connections: u64) -> io::Result<()> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(std::net::TcpStream::connect(addr)?);
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Memory in use, in bytes.
struct Usage {
    /// Of this process.
    resident: i64,
    /// Of the kernel's small objects.
    slab: i64,
    /// Of those without caches of the file system. Sockets have inodes, which count as such.
    slab_unreclaimable: i64,
}

impl Usage {
    fn now() -> io::Result<Self> {
        Ok(Self {
            resident: bytes("/proc/self/smaps_rollup", "Rss:")?,
            slab: bytes("/proc/meminfo", "Slab:")?,
            slab_unreclaimable: bytes("/proc/meminfo", "SUnreclaim:")?,
        })
    }
}

/// A value in a file of lines such as `Rss:   1234 kB`.
fn bytes(path: &str, key: &str) -> io::Result<i64> {
    let text = fs::read_to_string(path)?;
    let value =
        text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse().ok());
    value
        .map(|kib: i64| kib * 1024)
        .ok_or_else(|| io::Error::other(format!("{path} has no line `{key} <number> kB`")))
}

fn itself(connections: u64) -> Command {
    // Whatever became of the file since: this is the program that runs.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--connections", &connections.to_string()]);
    command
}

/// Has this process and its children get memory page by page, rather than 2 MiB where a page would do.
fn refuse_huge_pages() -> io::Result<()> {
    // SAFETY: no memory is involved.
    if unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets this process and its children have as many descriptors as the hard limit says. Returns how many.
fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is valid for the call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
