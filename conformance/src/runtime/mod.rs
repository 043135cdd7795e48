//! Trials of what programs see, against the public API of `carhop`.

mod abort;
mod attacks;
mod attacks_on_writes;
mod barriers;
mod between_threads;
mod blocking;
mod blocking_ends;
mod blocking_threads;
mod broadcasts;
mod by_hand;
mod callbacks;
mod cancel;
mod chains;
mod channels;
mod chunks;
mod cloned_wakers;
mod condvars;
mod connect;
mod eager;
mod echo;
mod endings;
mod events;
mod every_poll;
mod fairness;
mod group_ends;
mod group_sockets;
mod groups;
mod halves;
mod hostile;
mod incidents;
mod intervals;
mod join_sets;
mod listeners;
mod locals;
mod misuse;
mod mutexes;
mod oneshots;
mod order;
mod outlive;
mod panics;
mod permits;
mod policies;
mod queue_hostile;
mod queue_order;
mod queues;
mod reentry;
mod remote;
mod rude_policies;
mod rude_waker;
mod semaphores;
mod shields;
mod shutdown;
mod signals;
mod spins;
mod streams;
mod support;
mod task_list;
mod tasks;
mod threads;
mod timers;
mod tokens;
mod wakers;
mod watches;

use carhop::{Backend, Builder, Runtime};

use crate::harness::Suite;

/// What a trial runs on.
#[derive(Clone, Copy)]
struct Env {
    backend: Backend,
}

type Trials = &'static [(&'static str, fn(&Env))];

/// Names functions as trials.
macro_rules! trials {
    ($($trial:ident),+ $(,)?) => {
        pub(super) const TRIALS: super::Trials = &[$((stringify!($trial), $trial)),+];
    };
}
use trials;

const MODULES: &[(&str, Trials)] = &[
    ("order", order::TRIALS),
    ("fairness", fairness::TRIALS),
    ("tasks", tasks::TRIALS),
    ("abort", abort::TRIALS),
    ("chains", chains::TRIALS),
    ("panics", panics::TRIALS),
    ("join_sets", join_sets::TRIALS),
    ("tokens", tokens::TRIALS),
    ("groups", groups::TRIALS),
    ("group_ends", group_ends::TRIALS),
    ("group_sockets", group_sockets::TRIALS),
    ("shields", shields::TRIALS),
    ("policies", policies::TRIALS),
    ("rude_policies", rude_policies::TRIALS),
    ("eager", eager::TRIALS),
    ("incidents", incidents::TRIALS),
    ("locals", locals::TRIALS),
    ("callbacks", callbacks::TRIALS),
    ("remote", remote::TRIALS),
    ("task_list", task_list::TRIALS),
    ("wakers", wakers::TRIALS),
    ("reentry", reentry::TRIALS),
    ("cloned_wakers", cloned_wakers::TRIALS),
    ("timers", timers::TRIALS),
    ("intervals", intervals::TRIALS),
    ("events", events::TRIALS),
    ("mutexes", mutexes::TRIALS),
    ("semaphores", semaphores::TRIALS),
    ("permits", permits::TRIALS),
    ("condvars", condvars::TRIALS),
    ("barriers", barriers::TRIALS),
    ("streams", streams::TRIALS),
    ("chunks", chunks::TRIALS),
    ("halves", halves::TRIALS),
    ("endings", endings::TRIALS),
    ("listeners", listeners::TRIALS),
    ("connect", connect::TRIALS),
    ("cancel", cancel::TRIALS),
    ("threads", threads::TRIALS),
    ("spins", spins::TRIALS),
    ("blocking", blocking::TRIALS),
    ("blocking_ends", blocking_ends::TRIALS),
    ("blocking_threads", blocking_threads::TRIALS),
    ("hostile", hostile::TRIALS),
    ("echo", echo::TRIALS),
    ("signals", signals::TRIALS),
    ("shutdown", shutdown::TRIALS),
    ("outlive", outlive::TRIALS),
    ("misuse", misuse::TRIALS),
    ("queue_order", queue_order::TRIALS),
    ("queues", queues::TRIALS),
    ("queue_hostile", queue_hostile::TRIALS),
    ("channels", channels::TRIALS),
    ("oneshots", oneshots::TRIALS),
    ("broadcasts", broadcasts::TRIALS),
    ("watches", watches::TRIALS),
    ("between_threads", between_threads::TRIALS),
    ("attacks", attacks::TRIALS),
    ("attacks_on_writes", attacks_on_writes::TRIALS),
    ("every_poll", every_poll::TRIALS),
    ("every_poll::sync", every_poll::sync::TRIALS),
    ("every_poll::meetings", every_poll::meetings::TRIALS),
    ("every_poll::channels", every_poll::channels::TRIALS),
    ("every_poll::tasks", every_poll::tasks::TRIALS),
    ("every_poll::groups", every_poll::groups::TRIALS),
    ("every_poll::time", every_poll::time::TRIALS),
    ("every_poll::net", every_poll::net::TRIALS),
    ("every_poll::sockets", every_poll::sockets::TRIALS),
    ("every_poll::chunks", every_poll::chunks::TRIALS),
    ("every_poll::files", every_poll::files::TRIALS),
];

/// Everything that the runtime must do on `backend`.
pub fn suite(backend: Backend) -> Suite {
    let env = Env { backend };
    let usable = env.builder().build().map(drop).map_err(|error| error.to_string());
    let mut suite = Suite::new(backend.name(), usable);
    for (module, trials) in MODULES {
        for &(name, trial) in *trials {
            suite.add(&format!("{module}::{name}"), move || trial(&env));
        }
    }
    suite
}

impl Env {
    fn builder(&self) -> Builder {
        // Trials make tasks panic on purpose, which would be reported in the middle of the list of trials.
        Builder::new().backend(self.backend).on_incident(|_| ())
    }

    fn runtime(&self) -> Runtime {
        self.builder().build().expect("another runtime like the first")
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }
}
