//! What the example programs share: their command lines, and how they talk.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::process::exit;

/// Reads the command line. `--help` is printed; a mistake is one line on stderr, and exit code 2.
pub fn parse_or_exit<T: clap::Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        // clap explains over several lines; the first says what is wrong.
        let text = error.to_string();
        complain(format_args!("{} (try --help)", text.lines().next().unwrap_or_default()));
        exit(2);
    })
}

/// Accepts `HOST:PORT` as clap's `value_parser`. A host that is a name is looked up later.
///
/// # Errors
///
/// The text of a mistake in its form.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let with_name = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains([':', '[', ']']) && port.parse::<u16>().is_ok()
    });
    if with_name || text.parse::<SocketAddr>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not HOST:PORT, like 127.0.0.1:7000 or [::1]:7000"))
    }
}

/// Prints a line. `println!` would panic if nobody reads any more, as in `echo | head -1`.
pub fn say(line: impl Display) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a line on stderr, and does not panic either.
pub fn complain(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:7000", "localhost:0", "[::1]:65535", "a-name.example:1"] {
            assert_eq!(host_and_port(good).as_deref(), Ok(good));
        }
        for bad in ["", ":", "7000", ":7000", "localhost", "localhost:", "localhost:65536", "::1:7000"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
        for bad in ["[::1]", "[::zz]:7000", "[localhost]:7000", "tcp://localhost:7000", "localhost:-1"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
