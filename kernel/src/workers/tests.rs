use std::fs::File;
use std::panic::resume_unwind;
use std::sync::{Barrier, mpsc};

use runtime_core::call::{Call, Job};
use runtime_core::op::{Completion, Outcome};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::*;
use crate::descriptors::Descriptors;

/// Long enough for a thread that has something to do, however busy the machine.
const LONG: Duration = Duration::from_secs(1000);

/// How many closures run at a time.
const LIMIT: usize = 4;

/// Workers, and who waits for their answers.
struct Rig {
    workers: Workers,
    table: Descriptors<()>,
    unpark: Arc<dyn Unpark>,
    unparks: mpsc::Receiver<()>,
    slots: u32,
}

struct Bell(mpsc::Sender<()>);

impl Unpark for Bell {
    fn unpark(&self) {
        _ = self.0.send(());
    }
}

impl Rig {
    fn new() -> Self {
        Self::with_patience(LONG)
    }

    fn with_patience(patience: Duration) -> Self {
        let (bell, unparks) = mpsc::channel();
        let workers = Workers::with_limits(LIMIT, LIMIT, patience);
        Self { workers, table: Descriptors::default(), unpark: Arc::new(Bell(bell)), unparks, slots: 0 }
    }

    fn submit(&mut self, call: Call) -> Token {
        self.slots += 1;
        let token = Token::new(self.slots, 7);
        let Ok(prepared) = Prepared::new(call, &mut self.table) else { panic!("what it names is open") };
        self.workers.submit(token, prepared, &self.unpark);
        token
    }

    fn run(&mut self, f: impl FnOnce() + Send + 'static) -> Token {
        self.submit(Call::Run(Job::new(f)))
    }

    /// Runs a closure that has begun, and goes on when it is told to, or when there is nobody to tell it.
    fn hold(&mut self) -> (Token, mpsc::Sender<()>) {
        let (go_on, told) = mpsc::channel::<()>();
        let begun = Arc::new(Barrier::new(2));
        let token = self.run({
            let begun = Arc::clone(&begun);
            move || {
                begun.wait();
                _ = told.recv();
            }
        });
        begun.wait();
        (token, go_on)
    }

    fn collect(&mut self) -> Vec<Completion> {
        let mut done = Vec::new();
        self.workers.collect(|token, answer| done.push(answer.into_completion(token, &mut self.table)));
        done
    }

    /// Waits until something has ended, as a reactor does.
    fn next(&mut self) -> Vec<Completion> {
        while !self.workers.any_ended() {
            self.unparks.recv().expect("a thread that has not ended");
        }
        self.collect()
    }

    /// Waits until nothing is in flight. Which operations have ended?
    fn finish(&mut self) -> Vec<Token> {
        let mut ended = Vec::new();
        while self.workers.in_flight() > 0 {
            ended.extend(self.next().iter().map(|completion| completion.token));
        }
        ended
    }

    /// Runs so many closures, each of which waits for all others.
    fn meet(&mut self, count: usize) {
        let barrier = Arc::new(Barrier::new(count));
        for _ in 0..count {
            let barrier = Arc::clone(&barrier);
            self.run(move || _ = barrier.wait());
        }
        assert_eq!(self.finish().len(), count);
    }

    fn wait_until(&self, reached: impl Fn(&mut State) -> bool) {
        while !reached(&mut self.workers.pool.lock()) {
            thread::yield_now();
        }
    }

    fn wait_until_threads_are(&self, alive: usize, idle: usize) {
        self.wait_until(|state| {
            let queue = &state.queues[Origin::Program as usize];
            (queue.alive, queue.idle) == (alive, idle)
        });
    }

    fn alive(&self) -> usize {
        self.workers.pool.lock().queues[Origin::Program as usize].alive
    }
}

/// Says when it is dropped, and on which thread.
struct Guard(mpsc::Sender<thread::ThreadId>);

impl Drop for Guard {
    fn drop(&mut self) {
        _ = self.0.send(thread::current().id());
    }
}

fn guard() -> (Guard, mpsc::Receiver<thread::ThreadId>) {
    let (sender, dropped) = mpsc::channel();
    (Guard(sender), dropped)
}

#[test]
fn what_has_ended_is_collected_once() {
    let mut rig = Rig::new();
    assert!(rig.collect().is_empty());
    let token = rig.run(|| ());
    assert_eq!(rig.workers.in_flight(), 1);
    let done = rig.next();
    assert!(matches!(&done[..], [one] if one.token == token && matches!(one.result, Ok(Outcome::Done))));
    assert!(rig.collect().is_empty() && !rig.workers.any_ended());
    assert_eq!(rig.workers.in_flight(), 0);
}

#[test]
fn answers_that_wait_together_need_one_unpark() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        drop([(); 3].map(|()| rig.hold()));
        rig.wait_until(|state| state.answers.len() == 3);
        assert_eq!(rig.collect().len(), 3);
    }
    let Rig { workers, unpark, unparks, .. } = rig;
    drop((workers, unpark));
    assert_eq!(unparks.iter().count(), 2);
}

#[test]
fn a_queued_call_that_is_cancelled_is_dropped_unmade_and_the_others_go_on() {
    let mut rig = Rig::new();
    let held = [(); LIMIT].map(|()| rig.hold());
    let (guard, dropped) = guard();
    let queued = rig.run(move || {
        let _guard = guard;
        unreachable!("it is cancelled");
    });
    let last = rig.run(|| ());
    assert!(rig.workers.cancel(queued));
    assert_eq!(dropped.recv().unwrap(), thread::current().id());
    assert!(!rig.workers.cancel(queued), "it is over");
    drop(held);
    let ended = rig.finish();
    assert!(ended.len() == LIMIT + 1 && ended.contains(&last) && !ended.contains(&queued));
}

#[test]
fn an_answer_that_nobody_wants_any_more_is_dropped() {
    let mut rig = Rig::new();
    let (running, go_on) = rig.hold();
    assert!(rig.workers.cancel(running));
    assert_eq!(rig.workers.in_flight(), 0);
    drop(go_on);
    rig.wait_until(|state| state.unwanted.is_empty());

    let answered = rig.run(|| ());
    rig.wait_until(|state| !state.answers.is_empty());
    assert!(rig.workers.cancel(answered));
    assert!(!rig.workers.any_ended() && rig.collect().is_empty());
    // The next answer unparks again.
    rig.meet(1);
}

#[test]
fn a_call_of_the_library_does_not_wait_behind_closures() {
    let mut rig = Rig::new();
    let held = [(); LIMIT].map(|()| rig.hold());
    let queued = rig.run(|| ());
    let stat = rig.submit(Call::Stat { path: "/".into() });
    assert!(
        matches!(&rig.next()[..], [one] if one.token == stat && matches!(one.result, Ok(Outcome::Stat(_))))
    );
    drop(held);
    assert!(rig.finish().contains(&queued));
}

#[test]
fn a_closure_that_unwinds_ends_nothing_but_its_own_operation() {
    let mut rig = Rig::new();
    for _ in 0..2 * LIMIT {
        // Without the panic's message, which nobody wants to see here.
        let token = rig.run(|| resume_unwind(Box::new("unwound")));
        let done = rig.next();
        assert!(matches!(&done[..], [one] if one.token == token && matches!(one.result, Err(Errno::EIO))));
    }
    rig.wait_until_threads_are(1, 1);
    rig.meet(LIMIT);
}

#[test]
fn whoever_drops_the_workers_drops_what_is_queued_and_waits_for_nothing() {
    let mut rig = Rig::new();
    let (guard, dropped) = guard();
    let (running, told) = mpsc::channel::<()>();
    rig.run(move || {
        _ = told.recv();
        drop(guard);
    });
    let mut held: Vec<_> = (1..LIMIT).map(|_| rig.hold()).collect();
    let (queued, dropped_queued) = self::guard();
    rig.run(move || drop(queued));
    let pool = Arc::clone(&rig.workers.pool);
    drop(rig);
    assert_eq!(dropped_queued.recv().unwrap(), thread::current().id());

    assert!(dropped.try_recv().is_err(), "it still runs");
    held.clear();
    drop(running);
    assert_ne!(dropped.recv().unwrap(), thread::current().id());
    while pool.lock().queues.iter().any(|queue| queue.alive > 0) {
        thread::yield_now();
    }
    assert!(pool.lock().answers.is_empty(), "dropped where they came to be");
}

#[test]
fn a_thread_is_started_only_if_all_are_busy() {
    let mut rig = Rig::new();
    assert_eq!(rig.alive(), 0);
    // Two at a time need two, though one notice may not have been heard when the next is given.
    for count in [2, 1, 2] {
        for _ in 0..100 {
            rig.meet(count);
        }
        assert_eq!(rig.alive(), 2);
    }
    rig.meet(3);
    assert_eq!(rig.alive(), 3);
    let held = [(); LIMIT].map(|()| rig.hold());
    rig.run(|| ());
    assert_eq!(rig.alive(), LIMIT);
    drop(held);
    rig.finish();
}

#[test]
fn threads_end_when_idle_and_are_started_again() {
    let mut rig = Rig::with_patience(Duration::from_millis(1));
    for _ in 0..3 {
        rig.meet(LIMIT);
        rig.wait_until_threads_are(0, 0);
    }
    // Threads that end and calls that come in, at about the same time.
    for n in 0..500 {
        rig.run(|| ());
        thread::sleep(Duration::from_micros(900 + n % 20 * 10));
    }
    assert_eq!(rig.finish().len(), 500);
}

#[test]
fn without_a_thread_calls_are_refused_and_with_one_they_wait_for_it() {
    // The filter ends with the thread.
    let alone = thread::spawn(|| {
        let mut rig = Rig::new();
        let fd = rig.table.insert(File::open("/dev/null").unwrap().into());
        let (running, go_on) = rig.hold();
        refuse_threads();
        let waiting = rig.run(|| ());

        rig.submit(Call::ReadAt { fd, offset: 0, bytes: b"mine".to_vec() });
        let done = rig.next();
        assert!(matches!(&done[..], [one] if matches!(one.result, Err(Errno::EAGAIN))));
        assert_eq!(done[0].data.as_deref(), Some(&b"mine"[..]));

        drop(go_on);
        assert_eq!(rig.finish(), [running, waiting]);
    });
    alone.join().unwrap();
}

/// From now on, this thread gets `EAGAIN` when it starts another.
fn refuse_threads() {
    let calls = [libc::SYS_clone, libc::SYS_clone3];
    let filter = SeccompFilter::new(
        calls.map(|call| (call, Vec::new())).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EAGAIN as u32),
        std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a valid filter");
    apply_filter(&filter).expect("the kernel takes the filter");
}
