//! Echo servers on other runtimes, each as its users would write it, and loops written by hand as the limit of
//! what an echo server can be. To compare with ours.
//!
//! ```text
//! cargo run --release -p bench --features peers --bin peer-server -- tokio --port 7000
//! ```
//!
//! One thread each, `TCP_NODELAY`, and reads of 16 KiB.

mod compio;
mod connections;
mod glommio;
mod monoio;
mod multishot_uring;
mod naive_epoll;
mod phased_epoll;
mod smol;
mod tokio;
mod tokio_uring;

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How much a server asks for in one read.
const READ_BUFFER: usize = 16 * 1024;

/// Serves until the process is ended, or returns why it cannot.
type Serve = fn(SocketAddr) -> io::Result<()>;

const PEERS: [(&str, Serve); 9] = [
    ("tokio", tokio::serve),
    ("monoio", monoio::serve),
    ("compio", compio::serve),
    ("glommio", glommio::serve),
    ("tokio-uring", tokio_uring::serve),
    ("smol", smol::serve),
    ("naive-epoll", naive_epoll::serve),
    ("phased-epoll", phased_epoll::serve),
    ("multishot-uring", multishot_uring::serve),
];

/// The exit status if the machine refuses what a server needs (`EX_UNAVAILABLE` of `sysexits.h`).
const UNAVAILABLE: u8 = 69;

/// Runs the echo server of another runtime.
#[derive(Parser)]
struct Options {
    /// Whose.
    #[arg(value_parser = PossibleValuesParser::new(PEERS.map(|(name, _)| name)))]
    name: String,

    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// The address, if it is another.
    #[arg(long, conflicts_with = "port")]
    addr: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    raise_descriptor_limit();
    let addr = options.addr.unwrap_or((Ipv4Addr::LOCALHOST, options.port).into());
    let (name, serve) =
        PEERS.into_iter().find(|(name, _)| *name == options.name).expect("clap knows the names");
    let Err(error) = serve(addr) else { return ExitCode::SUCCESS };
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::OutOfMemory => {
            eprintln!("error: {name} cannot run on this machine: {error}");
            ExitCode::from(UNAVAILABLE)
        }
        _ => {
            eprintln!("error: {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// To what this process is allowed: the usual limit is 1024, which is a limit of connections. If that fails, there
/// are fewer.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Tells whoever started the server that it can be connected to.
fn ready(addr: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {addr}")?;
    stdout.flush()
}
