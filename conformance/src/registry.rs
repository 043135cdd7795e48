//! Which trials there are, and what they need: named in one place, run by the backends, and listed in the documentation.
//!
//! `E` is what a trial runs in: each suite has a type of its own for it, named `Env` where these macros are used.

use crate::harness::Suite;

/// A backend that runs the suites.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// Whether what it runs on is the kernel of this machine.
    pub(crate) has_kernel: bool,
}

/// Those in this repository.
pub(crate) const BACKENDS: [Backend; 3] = [
    Backend { name: "epoll", has_kernel: true },
    Backend { name: "uring", has_kernel: true },
    Backend { name: "sim", has_kernel: false },
];

impl Backend {
    /// The backend of that name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn named(name: &str) -> &'static Backend {
        let found = BACKENDS.iter().find(|backend| backend.name == name);
        found.unwrap_or_else(|| {
            panic!("no backend {name}: add it to `BACKENDS` in the registry of conformance")
        })
    }

    /// Why it skips what needs that, if it does.
    pub(crate) fn lacks(&self, needs: Option<Kernel>) -> Option<&'static str> {
        needs.filter(|_| !self.has_kernel).map(Kernel::reason)
    }
}

/// What only a kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Descriptors that come from elsewhere, go there, or are counted.
    Descriptors,
    /// Peers that are no part of the runtime: sockets of `std`, or of another runtime.
    #[cfg(feature = "runtime")]
    Strangers,
    /// Sockets of the family `AF_UNIX`.
    UnixSockets,
    /// Urgent data.
    OutOfBand,
    /// Connections that are ended with a reset at will (`SO_LINGER`).
    #[cfg(feature = "runtime")]
    Linger,
    /// A limit of open descriptors.
    Limits,
    /// Other threads.
    Threads,
    /// Signals.
    Signals,
    /// Time that passes by itself.
    Time,
    /// Look-ups that take a thread.
    #[cfg(feature = "runtime")]
    LookUps,
    /// Buffers outside of this process.
    #[cfg(feature = "runtime")]
    Memory,
    /// Files.
    Files,
    /// Child processes.
    Exec,
}

impl Kernel {
    /// Why a trial that needs it cannot run without a kernel.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Kernel::Descriptors => "there are no descriptors to import, export, share, watch or count",
            #[cfg(feature = "runtime")]
            Kernel::Strangers => "each runtime has a network of its own, unless the program gives it one",
            Kernel::UnixSockets => "there are no Unix sockets",
            Kernel::OutOfBand => "there is no urgent data",
            #[cfg(feature = "runtime")]
            Kernel::Linger => "programs cannot ask for a reset",
            Kernel::Limits => "there is no limit of open descriptors",
            Kernel::Threads => "peers are on the thread of the reactor",
            Kernel::Signals => "there are no signals",
            Kernel::Time => "time is virtual, and costs nothing",
            #[cfg(feature = "runtime")]
            Kernel::LookUps => "names are looked up at once, without a thread",
            #[cfg(feature = "runtime")]
            Kernel::Memory => "what is under way is in the memory of this process",
            Kernel::Files => "there are no files",
            Kernel::Exec => "there are no child processes",
        }
    }
}

/// A function that asks a question of a backend, and panics if the answer is wrong.
pub(crate) struct Trial<E: 'static> {
    pub(crate) name: &'static str,
    pub(crate) body: fn(&E),
    pub(crate) needs: Option<Kernel>,
}

/// Something that one backend does differently, and that a trial allows it.
pub(crate) struct Difference {
    /// By module and name.
    pub(crate) trial: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) what: &'static str,
}

/// A file of trials.
pub(crate) struct Module<E: 'static> {
    pub(crate) name: &'static str,
    pub(crate) trials: &'static [Trial<E>],
    /// Those below it.
    pub(crate) modules: &'static [Module<E>],
}

/// Names functions as trials; with what only a kernel has, where they need that:
///
/// ```text
/// trials![one, many, unix: UnixSockets];
/// ```
macro_rules! trials {
    ($($trial:ident $(: $needs:ident)?),+ $(,)?) => {
        pub(super) const TRIALS: &[$crate::registry::Trial<Env>] = &[$($crate::registry::Trial {
            name: stringify!($trial),
            body: $trial,
            needs: $crate::registry::needs!($($needs)?),
        }),+];
    };
}

macro_rules! needs {
    () => {
        None
    };
    ($needs:ident) => {
        Some($crate::registry::Kernel::$needs)
    };
}

/// Declares modules of trials, and lists them in the order in which they run. A module in parentheses has a list of its
/// own of those below it:
///
/// ```text
/// modules![accept, connect, (every_poll)];
/// ```
macro_rules! modules {
    ($($module:tt),+ $(,)?) => {
        $($crate::registry::module!(declare $module);)+

        pub(super) const MODULES: &[$crate::registry::Module<Env>] =
            &[$($crate::registry::module!(list $module)),+];
    };
}

macro_rules! module {
    (declare ($module:ident)) => {
        mod $module;
    };
    (declare $module:ident) => {
        mod $module;
    };
    (list ($module:ident)) => {
        $crate::registry::Module {
            name: stringify!($module),
            trials: $module::TRIALS,
            modules: $module::MODULES,
        }
    };
    (list $module:ident) => {
        $crate::registry::Module { name: stringify!($module), trials: $module::TRIALS, modules: &[] }
    };
}

pub(crate) use {module, modules, needs, trials};

/// All trials of `modules`, each in an environment of its own.
pub(crate) fn suite<E: 'static>(
    backend: &'static Backend,
    modules: &'static [Module<E>],
    make: impl Fn() -> Result<E, String> + Copy + Send + 'static,
) -> Suite {
    let mut suite = Suite::new(backend.name, make().map(drop));
    for_each(modules, &mut |path, trial| match backend.lacks(trial.needs) {
        Some(why) => suite.skip(path, why),
        None => {
            let body = trial.body;
            suite.add(path, move || body(&make().expect("another one like the first")));
        }
    });
    suite
}

/// Calls `f` with each trial and its path.
pub(crate) fn for_each<E>(modules: &'static [Module<E>], f: &mut impl FnMut(&str, &'static Trial<E>)) {
    for_each_module(modules, &mut |path, module| {
        module.trials.iter().for_each(|trial| f(&format!("{path}::{}", trial.name), trial));
    });
}

/// Calls `f` with each module and its path.
pub(crate) fn for_each_module<E>(
    modules: &'static [Module<E>],
    f: &mut impl FnMut(&str, &'static Module<E>),
) {
    within("", modules, f);
}

fn within<E>(above: &str, modules: &'static [Module<E>], f: &mut impl FnMut(&str, &'static Module<E>)) {
    for module in modules {
        let path = format!("{above}{}", module.name);
        f(&path, module);
        within(&format!("{path}::"), module.modules, f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Env;

    const MODULES: &[Module<Env>] = &[module!(list(outer))];

    mod outer {
        use super::Env;

        trials![everywhere, with_files: Files];

        pub(super) const MODULES: &[crate::registry::Module<Env>] = &[module!(list inner)];

        fn everywhere(_: &Env) {}

        fn with_files(_: &Env) {}

        mod inner {
            use super::Env;

            trials![inside];

            fn inside(_: &Env) {}
        }
    }

    #[test]
    fn trials_are_named_by_their_modules() {
        let mut trials = Vec::new();
        for_each(MODULES, &mut |path, trial| trials.push((path.to_owned(), trial.needs)));
        let expected = [
            ("outer::everywhere".to_owned(), None),
            ("outer::with_files".to_owned(), Some(Kernel::Files)),
            ("outer::inner::inside".to_owned(), None),
        ];
        assert_eq!(trials, expected);
    }

    #[test]
    fn only_what_needs_a_kernel_is_skipped_and_only_where_there_is_none() {
        assert_eq!(Backend::named("sim").lacks(None), None);
        assert_eq!(Backend::named("sim").lacks(Some(Kernel::Files)), Some("there are no files"));
        assert_eq!(Backend::named("epoll").lacks(Some(Kernel::Files)), None);
    }
}
