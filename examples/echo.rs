//! An echo server: sends back whatever each client sends.
//!
//! ```text
//! cargo run --release --example echo
//! cargo run --release --example echo -- --addr 127.0.0.1:7001 --backend epoll
//! nc 127.0.0.1 7000
//! ```
//!
//! It shows the shape of a carhop server: one task that accepts, one task for each client, and an orderly
//! end. Nothing in it depends on the backend.
//!
//! The first line that it prints says where it listens, on which backend, and why on that one. Ctrl-C or
//! SIGTERM ends it: it stops accepting, gives its clients time to finish, and says how many it served. The
//! exit code is then 0; after a second signal, which ends it at once, 128 + the signal's number; 1 if it
//! cannot serve at all; 2 after a mistake on the command line.
//!
//! SIGUSR1 has it print its tasks, who spawned whom, and what each waits for: `kill -USR1 $(pgrep -x echo)`.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::process::{ExitCode, exit};
use std::rc::Rc;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::signal::{Signal, SignalKind, signal};
use carhop::task;
use carhop::time::{sleep, timeout};
use carhop::{Backend, BackendReport, Builder};
use examples::{complain, say};
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::{Either, select};

/// Sends back whatever each TCP client sends.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7000", value_parser = examples::host_and_port)]
    addr: String,

    /// auto, epoll or uring; auto asks the environment variable CARHOP_BACKEND, then the machine.
    #[arg(long, default_value = "auto")]
    backend: Backend,

    /// How long connections may go on after ctrl-C or SIGTERM, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    grace: u64,
}

fn main() -> ExitCode {
    let options: Options = examples::parse_or_exit();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// `#[carhop::main]` is shorter, but panics if no backend can be had. This says why in one line.
fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new().backend(options.backend).build()?;
    runtime.block_on(serve(options, runtime.backend()))
}

/// The server's life, from its first line to its last.
async fn serve(options: &Options, backend: &BackendReport) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(&options.addr).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", options.addr))?;

    // Before the first line, so that whoever waits for that line may send a signal at once.
    let listen_for = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let inspect = listen_for(SignalKind::user_defined1())?;
    let mut stop = async || match select(pin!(interrupt.recv()), pin!(terminate.recv())).await {
        Either::Left((received, _)) => received.map(|()| SignalKind::interrupt()),
        Either::Right((received, _)) => received.map(|()| SignalKind::terminate()),
    };
    say(format_args!("echo on {}, backend {backend}", listener.local_addr()?));

    // Each client's task holds a ticket. Nothing is ever sent on this channel: its end, when the last ticket
    // is dropped, is the news.
    let (ticket, mut tickets) = mpsc::unbounded::<Infallible>();
    let clients = Rc::new(Clients::default());
    let accepting = named("accept").spawn(accept(listener, Rc::clone(&clients), ticket));
    named("inspect").spawn(show_tasks(inspect));

    stop().await?;
    // The listener goes with its task, and the port with the listener.
    accepting.abort();
    let _ = accepting.await;
    let (open, grace) = (clients.open.get(), options.grace);
    say(format_args!("stopping: {open} still connected, {grace} s to finish, ctrl-C again to stop at once"));

    let all_gone = timeout(Duration::from_secs(grace), tickets.next());
    let again = match select(pin!(all_gone), pin!(stop())).await {
        Either::Left(_) => None,
        Either::Right((signal, _)) => Some(signal?),
    };
    say(format_args!("clients served: {}, cut off: {}", clients.served.get(), clients.open.get()));
    if let Some(signal) = again {
        // Not even the runtime is taken down.
        exit(128 + signal.as_raw());
    }
    Ok(())
}

fn named(name: &'static str) -> task::Builder {
    task::Builder::new().name(name)
}

/// Prints the tasks at each signal.
async fn show_tasks(mut signal: Signal) -> io::Result<()> {
    loop {
        signal.recv().await?;
        say(format_args!("tasks:\n{}", task::tasks()));
    }
}

/// How many clients there are and were. One thread runs all tasks, so a `Cell` will do.
#[derive(Default)]
struct Clients {
    open: Cell<u64>,
    served: Cell<u64>,
}

/// Welcomes clients until it is aborted.
async fn accept(listener: TcpListener, clients: Rc<Clients>, ticket: mpsc::UnboundedSender<Infallible>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (clients, ticket) = (Rc::clone(&clients), ticket.clone());
                clients.open.update(|open| open + 1);
                task::Builder::new().name(peer.to_string()).spawn(async move {
                    // A client that goes away in the middle is its own business.
                    let _ = echo(stream).await;
                    clients.open.update(|open| open - 1);
                    clients.served.update(|served| served + 1);
                    drop(ticket);
                });
            }
            Err(error) => {
                // Most likely there is no descriptor left. Some will be given back.
                complain(format_args!("accept: {error}"));
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Sends back what `stream` brings until it ends.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(chunk) = stream.read_chunk().await? {
        stream.write_chunk(chunk).await?;
    }
    Ok(())
}
