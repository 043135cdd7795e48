//! The servers: those that are built in, and those that the user names.

mod built_in;
mod carhop_echo;
#[cfg(feature = "peers")]
mod peers;
mod process;
pub mod usage;

use std::process::{Command, Stdio};

use serde::Serialize;

use crate::options::Named;
pub use built_in::{BuiltIn, Kind, all, parser};
use built_in::{Serve, TakesPart, ready};
pub use process::Process;

/// A server that takes part.
#[derive(Clone, Serialize)]
pub struct Contender {
    pub name: String,
    pub kind: Kind,
    /// What starts it in a shell, with `{port}` in it; `None` if it is built in.
    pub command: Option<String>,
    /// The version of its package, as far as it is known.
    pub version: Option<String>,
}

impl Contender {
    /// What starts it on `port`.
    pub fn command_for(&self, port: u16) -> Command {
        let Some(line) = &self.command else { return BuiltIn::command(&self.name, port) };
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(line.replace("{port}", &port.to_string())).stdout(Stdio::piped());
        shell
    }
}

/// A server that does not, and why.
#[derive(Serialize)]
pub struct Skipped {
    pub name: String,
    pub kind: Kind,
    pub reason: String,
}

/// Who takes part: `only` these, or all that always do and that the machine offers, with those that spin if `spin` says
/// so. An error if a name is given twice or is nobody's.
pub fn choose(own: &[Named], only: &[String], spin: bool) -> Result<(Vec<Contender>, Vec<Skipped>), String> {
    let known: Vec<&str> = all().map(|server| server.name).chain(own.iter().map(|own| &*own.name)).collect();
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
    let invited = |server: &BuiltIn| match server.takes_part {
        TakesPart::Always => true,
        TakesPart::WithSpin => spin || !only.is_empty(),
        TakesPart::Never => !only.is_empty(),
    };
    for server in all().filter(|server| wanted(server.name) && invited(server)) {
        let (name, kind) = (server.name.to_owned(), server.kind);
        match server.refused() {
            None => {
                let version = server.version().map(str::to_owned);
                contenders.push(Contender { name, kind, command: None, version });
            }
            Some(reason) => skipped.push(Skipped { name, kind, reason }),
        }
    }
    for Named { name, command } in own.iter().filter(|own| wanted(&own.name)) {
        let (name, command) = (name.clone(), Some(command.clone()));
        contenders.push(Contender { name, kind: Kind::Given, command, version: None });
    }
    Ok((contenders, skipped))
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::options::Named;

    #[test]
    fn names_are_checked() {
        let own = |name: &str| Named { name: name.to_owned(), command: "x {port}".to_owned() };
        let (contenders, skipped) = choose(&[own("mine")], &["mine".to_owned()], false).unwrap();
        assert_eq!(contenders[0].name, "mine");
        assert_eq!((contenders.len(), skipped.len()), (1, 0));
        assert!(choose(&[own("mine"), own("mine")], &[], false).is_err());
        assert!(choose(&[own("carhop-epoll")], &[], false).is_err());
        assert!(choose(&[], &["nobody".to_owned()], false).is_err());
    }

    #[test]
    fn those_that_spin_are_asked_for() {
        let names = |only: &[String], spin| {
            let (contenders, skipped) = choose(&[], only, spin).unwrap();
            let names = contenders.into_iter().map(|contender| contender.name);
            names.chain(skipped.into_iter().map(|skipped| skipped.name)).collect::<Vec<_>>()
        };
        let name = "carhop-uring-spin".to_owned();
        assert!(!names(&[], false).contains(&name));
        assert!(names(&[], true).contains(&name));
        assert_eq!(names(std::slice::from_ref(&name), false), [name]);
    }
}
