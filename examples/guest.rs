//! An echo server as a guest: a plain `poll(2)` loop drives it, and has something else to do as well.
//!
//! ```text
//! cargo run --release --example guest
//! nc 127.0.0.1 7000
//! ```
//!
//! A program that has a loop already (a window system's, a game's, another library's) need not give it up. It watches one
//! descriptor of the runtime's beside its own, and takes a step when that is readable, or when the time is over that the
//! last step named. Between steps nothing runs, and while nothing happens the program sleeps.
//!
//! What this host does beside is read lines from stdin: `tasks` shows the tasks, `quit` or the end of stdin ends the
//! program, which says then how often it looked. The exit code is 0; 1 if it cannot serve; 2 after a mistake on the command
//! line.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::{Backend, Builder, Runtime};
use examples::{complain, say};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Sends back whatever each TCP client sends, within a loop of its own.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7000", value_parser = examples::host_and_port)]
    addr: String,

    /// auto, epoll or uring; auto asks the environment variable CARHOP_BACKEND, then the machine.
    #[arg(long, default_value = "auto")]
    backend: Backend,
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

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new().backend(options.backend).build()?;
    let addr = options.addr.clone();
    let bound = runtime.spawn(async move { TcpListener::bind(addr).await });
    let listener =
        runtime.block_on(bound)?.map_err(|error| format!("cannot listen on {}: {error}", options.addr))?;
    say(format_args!("guest on {}, backend {}", listener.local_addr()?, runtime.backend()));
    runtime.spawn(accept(listener));
    host(&runtime)
}

/// The host's loop. It would be there without the guest, too.
fn host(runtime: &Runtime) -> Result<(), Box<dyn Error>> {
    let stdin = io::stdin();
    let (mut typed, mut looks) = (Vec::new(), 0_u64);
    loop {
        let patience = runtime.step();
        let mut watched = [PollFd::new(runtime, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut watched, timespec(patience).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => looks += 1,
            Err(error) => return Err(error.into()),
        }
        // With data, or at the end.
        let has_input = !watched[1].revents().is_empty();
        if has_input && !obey(runtime, &mut typed)? {
            say(format_args!("looked {looks} times"));
            return Ok(());
        }
    }
}

/// Reads what was typed, and does what each line says. `false` if the program is to end.
fn obey(runtime: &Runtime, typed: &mut Vec<u8>) -> io::Result<bool> {
    let mut buf = [0; 256];
    // Not through `Stdin`'s buffer, of which poll(2) knows nothing.
    let count = rustix::io::read(io::stdin().as_fd(), &mut buf)?;
    typed.extend_from_slice(&buf[..count]);
    while let Some(end) = typed.iter().position(|&byte| byte == b'\n') {
        let line: Vec<u8> = typed.drain(..=end).collect();
        match line.trim_ascii() {
            b"quit" => return Ok(false),
            b"tasks" => say(format_args!("tasks:\n{}", runtime.tasks())),
            b"" => {}
            other => complain(format_args!("`{}`? There are `tasks` and `quit`", other.escape_ascii())),
        }
    }
    Ok(count > 0)
}

/// Welcomes clients.
async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(carhop::spawn(echo(stream))),
            Err(error) => {
                // Most likely there is no descriptor left. Some will be given back.
                complain(format_args!("accept: {error}"));
                carhop::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Sends back what `stream` brings until it ends.
async fn echo(mut stream: TcpStream) {
    while let Ok(Some(chunk)) = stream.read_chunk().await {
        if stream.write_chunk(chunk).await.is_err() {
            break;
        }
    }
}

/// For `poll(2)`, which waits for ever without one.
fn timespec(patience: Option<Duration>) -> Option<Timespec> {
    patience.map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() })
}
