//! Instructions in user space, counted by valgrind. Unlike time, their number is the same on a busy machine.

use std::process::Command;

/// The start of a command line: the program that comes next says at its end, on stderr, how many it took.
pub fn command() -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind
}

/// Why there is no valgrind, if there is none.
pub fn missing() -> Option<String> {
    let version = Command::new("valgrind").arg("--version").output();
    version.err().map(|error| format!("valgrind: {error}"))
}

/// The number in what such a program said.
pub fn collected(said: &str) -> Option<u64> {
    said.split_once("Collected : ")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_number_is_found() {
        let said = "==7== Events    : Ir\n==7== Collected : 147229\n==7== \n==7== I   refs:      147,229\n";
        assert_eq!(collected(said), Some(147_229));
        assert_eq!(collected("==7== Process terminating with default action of signal 9\n"), None);
    }
}
