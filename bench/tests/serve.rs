//! Each server that is built into `compare` echoes what it is sent, so that what is compared are echo servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const COMPARE: &str = env!("CARGO_BIN_EXE_compare");

/// A server that has lost a byte would be waited for in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that can send nothing for so long has a server that is waiting for it.
const STUCK: Duration = Duration::from_millis(50);

/// The exit status of a server that needs what the machine refuses.
const UNAVAILABLE: i32 = 69;

macro_rules! servers {
    ($($test:ident: $name:literal,)*) => {
        const TRIED: &[&str] = &[$($name),*];
        $(#[test]
        fn $test() {
            echoes($name);
        })*
    };
}

#[cfg(not(feature = "peers"))]
servers! {
    carhop_epoll: "carhop-epoll",
    carhop_uring: "carhop-uring",
    carhop_epoll_spin: "carhop-epoll-spin",
    carhop_uring_spin: "carhop-uring-spin",
    carhop_epoll_copy: "carhop-epoll-copy",
    carhop_uring_copy: "carhop-uring-copy",
}

#[cfg(feature = "peers")]
servers! {
    carhop_epoll: "carhop-epoll",
    carhop_uring: "carhop-uring",
    carhop_epoll_spin: "carhop-epoll-spin",
    carhop_uring_spin: "carhop-uring-spin",
    carhop_epoll_copy: "carhop-epoll-copy",
    carhop_uring_copy: "carhop-uring-copy",
    tokio: "tokio",
    monoio: "monoio",
    compio: "compio",
    glommio: "glommio",
    tokio_uring: "tokio-uring",
    smol: "smol",
    naive_epoll: "naive-epoll",
    naive_epoll_spin: "naive-epoll-spin",
    phased_epoll: "phased-epoll",
    multishot_uring: "multishot-uring",
}

#[test]
fn no_server_is_left_out() {
    let list = Command::new(COMPARE).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let (servers, _) = list.split_once("\n\n").expect("an empty line before the scenarios");
    // Their lines are indented; the last one may be a hint.
    let listed = servers.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    assert!(listed.filter(|name| !name.starts_with('(')).eq(TRIED.iter().copied()), "{servers}");
}

fn echoes(name: &str) {
    let Some(mut server) = Server::start(name) else { return };

    // More at once than the hand-written io_uring has buffers, and more bytes than sockets hold.
    let clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &clients {
        exchange(client, 64);
    }
    thread::scope(|scope| {
        for client in &clients[..8] {
            scope.spawn(|| exchange(client, 2_000_000));
        }
    });
    exchange_late(&clients[0], 50_000_000);
    // One that goes without a word while it is being answered.
    let impolite = server.connect();
    (&impolite).write_all(&pattern(100_000)).unwrap();
    drop(impolite);
    for mut client in clients {
        exchange(&client, 64);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server hangs up when its client does");
    }
    exchange(&server.connect(), 64);

    server.terminate();
}

/// Sends `len` bytes and receives the same, both at once.
fn exchange(client: &TcpStream, len: usize) {
    exchange_rest(client, &pattern(len), 0);
}

/// As [`exchange`], but does not read before the server is stuck, since nobody does.
fn exchange_late(client: &TcpStream, len: usize) {
    let request = pattern(len);
    let mut sent = 0;
    client.set_write_timeout(Some(STUCK)).unwrap();
    while let Ok(n) = { client }.write(&request[sent..]) {
        sent += n;
    }
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    assert!(sent < len, "{len} bytes fit into the sockets");
    exchange_rest(client, &request, sent);
}

fn exchange_rest(client: &TcpStream, request: &[u8], sent: usize) {
    let mut answer = vec![0; request.len()];
    thread::scope(|scope| {
        let sender = scope.spawn(|| { client }.write_all(&request[sent..]));
        { client }.read_exact(&mut answer).unwrap();
        sender.join().unwrap().unwrap();
    });
    assert!(answer == request, "the answer to {} bytes differs", request.len());
}

/// Bytes that differ from those a chunk further on.
fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = (0..251).collect::<Vec<u8>>().repeat(len.div_ceil(251));
    bytes.truncate(len);
    bytes
}

struct Server {
    process: Child,
    addr: SocketAddr,
}

impl Server {
    /// `None`, and a line that says so, if the machine refuses what it needs.
    fn start(name: &str) -> Option<Self> {
        let mut process = Command::new(COMPARE)
            .args(["serve", name, "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        match line.trim_end().strip_prefix("listening on ") {
            Some(addr) => {
                let addr = addr.parse().unwrap();
                Some(Self { process, addr })
            }
            None => {
                let output = process.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(UNAVAILABLE), "it printed {line:?} and {said}");
                println!("skipped: {}", said.trim_end());
                None
            }
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn terminate(&mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let status = self.process.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}");
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
