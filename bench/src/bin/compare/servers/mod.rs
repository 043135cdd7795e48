//! The servers: those that are built in, and those that the user names.

mod carhop_echo;
mod process;
pub mod usage;

use std::io;

use carhop::Backend;
use serde::Serialize;

use crate::options::Named;
pub use process::Process;

/// A server that this program can be: it starts itself with the name and a port.
pub struct BuiltIn {
    pub name: &'static str,
    /// Whose version to report.
    pub package: &'static str,
    /// Why it cannot be used on this machine, if it cannot.
    pub refused: fn() -> Option<String>,
    /// Serves on this port of 127.0.0.1 until it is killed.
    pub serve: fn(u16) -> io::Result<()>,
}

/// All of them, in the order of the table.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "carhop-epoll",
        package: "carhop",
        refused: || carhop_echo::refused(Backend::Epoll),
        serve: |port| carhop_echo::serve(Backend::Epoll, port),
    },
    BuiltIn {
        name: "carhop-uring",
        package: "carhop",
        refused: || carhop_echo::refused(Backend::Uring),
        serve: |port| carhop_echo::serve(Backend::Uring, port),
    },
];

/// A server that takes part.
#[derive(Clone, Serialize)]
pub struct Contender {
    pub name: String,
    /// What starts it in a shell, with `{port}` in it; `None` if it is built in.
    pub command: Option<String>,
    /// The version of its package, as far as it is known.
    pub version: Option<String>,
}

/// A server that does not, and why.
#[derive(Serialize)]
pub struct Skipped {
    pub name: String,
    pub reason: String,
}

/// Runs the built-in server `name`.
pub fn serve(name: &str, port: u16) -> io::Result<()> {
    let server = BUILT_IN.iter().find(|server| server.name == name);
    server.map_or_else(|| Err(io::Error::other("there is no such server")), |server| (server.serve)(port))
}

/// Who takes part: `only` these, or all that the machine offers. An error if a name is given twice or is nobody's.
pub fn choose(own: &[Named], only: &[String]) -> Result<(Vec<Contender>, Vec<Skipped>), String> {
    let known: Vec<&str> =
        BUILT_IN.iter().map(|server| server.name).chain(own.iter().map(|own| &*own.name)).collect();
    for (index, name) in known.iter().enumerate() {
        if known[..index].contains(name) {
            return Err(format!("there are two servers `{name}`"));
        }
    }
    if let Some(unknown) = only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no server `{unknown}`; there are {}", known.join(", ")));
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);

    let (mut contenders, mut skipped) = (Vec::new(), Vec::new());
    for server in BUILT_IN.iter().filter(|server| wanted(server.name)) {
        let name = server.name.to_owned();
        match (server.refused)() {
            None => contenders.push(Contender { name, command: None, version: version(server.package) }),
            Some(reason) => skipped.push(Skipped { name, reason }),
        }
    }
    for Named { name, command } in own.iter().filter(|own| wanted(&own.name)) {
        contenders.push(Contender { name: name.clone(), command: Some(command.clone()), version: None });
    }
    Ok((contenders, skipped))
}

/// The version of `package` that this program was built with.
fn version(package: &str) -> Option<String> {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")))?;
    let version = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
    Some(version.trim_end_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, choose, version};
    use crate::options::Named;

    #[test]
    fn packages_have_versions() {
        for server in BUILT_IN {
            assert!(
                version(server.package).is_some_and(|version| version.contains('.')),
                "{}",
                server.package
            );
        }
    }

    #[test]
    fn names_are_checked() {
        let own = |name: &str| Named { name: name.to_owned(), command: "x {port}".to_owned() };
        let (contenders, skipped) = choose(&[own("mine")], &["mine".to_owned()]).unwrap();
        assert_eq!(contenders[0].name, "mine");
        assert_eq!((contenders.len(), skipped.len()), (1, 0));
        assert!(choose(&[own("mine"), own("mine")], &[]).is_err());
        assert!(choose(&[own("carhop-epoll")], &[]).is_err());
        assert!(choose(&[], &["nobody".to_owned()]).is_err());
    }
}
