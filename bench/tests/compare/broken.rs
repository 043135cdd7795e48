//! Echo servers that do something wrong, each in its own way, after having done it right for a while. They
//! are threads on the standard library's sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::thread;
use std::time::Duration;

/// A connection's bytes until it goes wrong. The load has long been running then.
const GOOD_BYTES: usize = 10_000;

/// One that naps does so after so many bytes: 50 requests of 64.
const NAP_EVERY: usize = 50 * 64;
const NAP: Duration = Duration::from_millis(50);

/// Serves on `port`, in the way that `kind` says.
pub fn serve(kind: &str, port: u16) -> ! {
    match kind {
        "deaf" => thread::sleep(Duration::MAX),
        "refuses" => {
            eprintln!("no port is good enough");
            exit(3);
        }
        _ => {}
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    for stream in listener.incoming() {
        let (kind, stream) = (kind.to_owned(), stream.expect("a client"));
        thread::spawn(move || {
            // A client that goes away is its own business.
            let _ = echo(&kind, stream);
        });
    }
    unreachable!("a listener has no end");
}

fn echo(kind: &str, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = [0; 4096];
    let mut echoed = 0;
    loop {
        let count = stream.read(&mut buf)?;
        if count == 0 {
            if kind == "adds-at-the-end" {
                stream.write_all(b"bye")?;
            }
            return Ok(());
        }
        if kind == "naps" && echoed / NAP_EVERY != (echoed + count) / NAP_EVERY {
            thread::sleep(NAP);
        }
        let mut bytes = buf[..count].to_vec();
        if (echoed..echoed + count).contains(&GOOD_BYTES) {
            let (index, last) = (GOOD_BYTES - echoed, count - 1);
            match kind {
                "corrupts" => bytes[index] ^= 1,
                "drops" => drop(bytes.remove(index)),
                "duplicates" => bytes.insert(index, bytes[index]),
                "reorders" => bytes.swap(index, if index == last { 0 } else { last }),
                "hangs-up" => return Ok(()),
                "stalls" => thread::sleep(Duration::MAX),
                "dies" => {
                    eprintln!("that was too much for me");
                    exit(4);
                }
                _ => {}
            }
        }
        echoed += count;
        stream.write_all(&bytes)?;
    }
}
