//! Calls that may block: made once, elsewhere, or not at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::call::{Call, Job, Resolved};
use runtime_core::op::{Outcome, Token};
use runtime_core::reactor::Wait;

use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver};

trials![
    an_address_is_its_own_address,
    the_name_of_this_machine,
    a_name_that_nobody_has,
    many_names,
    run_once,
    many_run_once_each,
    its_end_ends_a_wait,
    on_another_thread,
    while_another_one_blocks,
    cancelled_in_the_same_batch,
    cancelled_before_they_begin,
    cancelled_while_it_runs,
    cancelled_when_it_has_returned,
    dropped_while_they_run,
    dropped_before_the_turn,
];

/// More than a reactor of this suite makes at a time.
const MANY: usize = 200;

/// For what other threads do meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

fn an_address_is_its_own_address(env: &Env) {
    let mut driver = Driver::new(env);
    let hosts: [(&str, IpAddr); 3] = [
        ("127.0.0.1", Ipv4Addr::LOCALHOST.into()),
        ("192.0.2.7", Ipv4Addr::new(192, 0, 2, 7).into()),
        ("::1", Ipv6Addr::LOCALHOST.into()),
    ];
    for (host, ip) in hosts {
        let found = resolve(&mut driver, host, 80).expect("an address");
        assert_eq!(found, [SocketAddr::new(ip, 80)]);
    }
}

fn the_name_of_this_machine(env: &Env) {
    let mut driver = Driver::new(env);
    let found = resolve(&mut driver, "localhost", 443).expect("an address");
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 443), "{found:?}");
}

/// RFC 6761: it must not exist.
fn a_name_that_nobody_has(env: &Env) {
    let mut driver = Driver::new(env);
    let error = resolve(&mut driver, "does-not-exist.invalid", 80).expect_err("nobody has it");
    assert!(!error.to_string().is_empty());
}

fn many_names(env: &Env) {
    let mut driver = Driver::new(env);
    let calls: Vec<_> =
        (0..100).map(|port| (driver.call(Call::Resolve { host: "127.0.0.1".into(), port }), port)).collect();
    for (token, port) in calls {
        assert_eq!(resolved(&mut driver, token).expect("an address")[0].port(), port);
    }
}

fn run_once(env: &Env) {
    let mut driver = Driver::new(env);
    let runs = Counter::default();
    let token = driver.call(runs.job());
    assert_eq!(driver.end(token), DONE);
    assert_eq!(runs.count(), 1);
    driver.expect_quiet(Duration::from_millis(20));
    assert_eq!(runs.count(), 1);
}

fn many_run_once_each(env: &Env) {
    let mut driver = Driver::new(env);
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let runs = Counter::default();
            (driver.call(runs.job()), runs)
        })
        .collect();
    for (token, runs) in calls {
        assert_eq!(driver.end(token), DONE);
        assert_eq!(runs.count(), 1);
    }
}

fn its_end_ends_a_wait(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..50 {
        let token = driver.call(Call::Run(Job::new(|| ())));
        while driver.turn(Wait::Forever) == 0 {}
        assert_eq!(driver.end(token), DONE);
    }
}

fn on_another_thread(env: &Env) {
    let mut driver = Driver::new(env);
    let (say, who) = mpsc::channel();
    let job = Job::new(move || say.send(thread::current().id()).expect("the trial listens"));
    let token = driver.call(Call::Run(job));
    assert_eq!(driver.end(token), DONE);
    assert_ne!(who.recv().expect("it has run"), thread::current().id());
}

fn while_another_one_blocks(env: &Env) {
    let mut driver = Driver::new(env);
    let blocked = Blocked::new(&mut driver);
    let (ours, mut peer) = driver.pair();
    driver.expect_alive(ours, &mut *peer);
    let token = driver.call(Call::Run(Job::new(|| ())));
    assert_eq!(driver.end(token), DONE);
    assert!(resolve(&mut driver, "127.0.0.1", 80).is_ok());
    let token = blocked.token;
    blocked.release();
    assert_eq!(driver.end(token), DONE);
}

/// It may have begun already. However that is, it ends once and is not made twice.
fn cancelled_in_the_same_batch(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..100 {
        let (runs, alive) = (Counter::default(), Arc::new(()));
        let kept = Arc::clone(&alive);
        let counted = runs.clone();
        let token = driver.call(Call::Run(Job::new(move || {
            counted.add();
            drop(kept);
        })));
        driver.cancel(token);
        match driver.end(token) {
            DONE => assert_eq!(runs.count(), 1),
            end => {
                assert_eq!(end, CANCELED);
                assert!(runs.count() <= 1);
            }
        }
        until("the job is dropped", || Arc::strong_count(&alive) == 1);
    }
}

/// What waits for a thread is not made any more.
fn cancelled_before_they_begin(env: &Env) {
    let mut driver = Driver::new(env);
    let mut crowd = Crowd::new(&mut driver);
    driver.turn(Wait::No);
    crowd.tokens.iter().for_each(|&token| driver.cancel(token));
    for &token in &crowd.tokens {
        assert_eq!(driver.end(token), CANCELED);
    }
    crowd.release();
    assert!(crowd.begun() < MANY, "all of them at a time");
}

fn cancelled_while_it_runs(env: &Env) {
    let mut driver = Driver::new(env);
    let blocked = Blocked::new(&mut driver);
    driver.cancel(blocked.token);
    assert_eq!(driver.end(blocked.token), CANCELED);
    // It goes on, and nobody hears of it.
    blocked.release();
    driver.expect_quiet(Duration::from_millis(20));
}

fn cancelled_when_it_has_returned(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..20 {
        let runs = Counter::default();
        let token = driver.call(runs.job());
        driver.turn(Wait::No);
        until("it has run", || runs.count() == 1);
        driver.cancel(token);
        assert!([DONE, CANCELED].contains(&driver.end(token)));
    }
}

/// Whoever drops a reactor does not wait for what may block for ever.
fn dropped_while_they_run(env: &Env) {
    let mut driver = Driver::new(env);
    let blocked = Blocked::new(&mut driver);
    let mut crowd = Crowd::new(&mut driver);
    driver.turn(Wait::No);
    drop(driver.abandon());
    blocked.release();
    crowd.release();
    assert!(crowd.begun() < MANY, "all of them at a time");
}

fn dropped_before_the_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let runs = Counter::default();
    driver.call(runs.job());
    drop(driver.abandon());
    assert_eq!(runs.count(), 0);
}

fn resolve(driver: &mut Driver, host: &str, port: u16) -> Resolved {
    let token = driver.call(Call::Resolve { host: host.into(), port });
    resolved(driver, token)
}

fn resolved(driver: &mut Driver, token: Token) -> Resolved {
    match driver.next(token).result {
        Ok(Outcome::Addresses(found)) => *found,
        Ok(Outcome::Done | Outcome::Count(_) | Outcome::Fd(_) | Outcome::Stat(_)) => {
            unreachable!("the account has seen it")
        }
        Err(errno) => panic!("{errno:?}, where the resolver has the word"),
    }
}

/// Waits for what another thread does next.
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}: not in {} s", PATIENCE.as_secs());
        thread::yield_now();
    }
}

/// How often a job has run.
#[derive(Clone, Default)]
pub(super) struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn job(&self) -> Call {
        let counter = self.clone();
        Call::Run(Job::new(move || counter.add()))
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A job that runs until it is released.
struct Blocked {
    token: Token,
    release: mpsc::Sender<()>,
    returned: Receiver<()>,
}

impl Blocked {
    /// Returns when it runs.
    fn new(driver: &mut Driver) -> Self {
        let (begin, begun) = mpsc::channel();
        let (release, gate) = mpsc::channel();
        let (end, returned) = mpsc::channel();
        let token = driver.call(Call::Run(Job::new(move || {
            begin.send(()).expect("the trial listens");
            gate.recv().expect("the trial releases it");
            end.send(()).expect("the trial listens");
        })));
        driver.turn(Wait::No);
        begun.recv_timeout(PATIENCE).expect("it begins");
        Self { token, release, returned }
    }

    /// Returns when it has returned.
    fn release(self) {
        self.release.send(()).expect("it runs");
        self.returned.recv_timeout(PATIENCE).expect("it goes on to its end");
    }
}

/// More jobs than there are threads for, each of which runs until all are released.
struct Crowd {
    tokens: Vec<Token>,
    begun: Counter,
    release: Option<mpsc::Sender<()>>,
    gone: Receiver<()>,
}

impl Crowd {
    fn new(driver: &mut Driver) -> Self {
        let begun = Counter::default();
        let (release, gate) = mpsc::channel::<()>();
        let (alive, gone) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let job = |begun: Counter, gate: Arc<Mutex<Receiver<()>>>, alive: mpsc::Sender<()>| {
            Job::new(move || {
                begun.add();
                let released = gate.lock().expect("nobody panics").recv();
                assert!(released.is_err(), "the trial has let go of the other end");
                drop(alive);
            })
        };
        let tokens = (0..MANY)
            .map(|_| driver.call(Call::Run(job(begun.clone(), Arc::clone(&gate), alive.clone()))))
            .collect();
        Self { tokens, begun, release: Some(release), gone }
    }

    /// Returns when each has returned or is dropped.
    fn release(&mut self) {
        self.release = None;
        let gone = self.gone.recv_timeout(PATIENCE);
        assert_eq!(gone, Err(RecvTimeoutError::Disconnected), "jobs are neither made nor dropped");
    }

    fn begun(&self) -> usize {
        self.begun.count()
    }
}
