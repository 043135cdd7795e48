//! What programs should not do, and are told so.

use std::cell::Cell;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::policy::WeightedShares;
use carhop::signal::{SignalKind, signal};
use carhop::sync::{Barrier, Condvar, Event, Mutex, MutexGuard, OwnedPermit, Permit, Semaphore};
use carhop::task::spawn_blocking;
use carhop::time::{Instant, interval, sleep, timeout};
use carhop::{JoinHandle, Runtime, spawn, yield_now};

use super::support::{OnDrop, pair, panic_of, place_of, text_of, try_quietly};
use super::{Env, trials};

trials![
    block_on_within_block_on,
    block_on_within_a_task,
    outside_of_a_runtime,
    the_place_of_the_mistake,
    what_needs_no_runtime,
    from_destructors_of_thread_locals,
    receive_buffers_beyond_all_bounds,
    a_forked_child,
    a_child_forked_within_block_on,
];

const NESTED: &str = "block_on inside of a running carhop runtime: it would stop every task of that runtime; await \
                      the future instead, or spawn it";

fn block_on_within_block_on(env: &Env) {
    let (outer, other) = (env.runtime(), env.runtime());
    let dropped = Cell::new(false);
    outer.block_on(async {
        let guard = OnDrop(|| dropped.set(true));
        assert_eq!(panic_of(|| outer.block_on(async move { drop(guard) })), NESTED);
        assert!(dropped.get());
        assert_eq!(panic_of(|| other.block_on(async {})), NESTED);
        assert_eq!(panic_of(|| carhop::run(async {})), NESTED);
        // The outer one is none the worse for it.
        spawn(sleep(Duration::from_micros(1))).await.unwrap();
        let (mut near, mut far) = pair().await;
        near.write_all(b"x").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
    });
    other.block_on(yield_now());
}

fn block_on_within_a_task(env: &Env) {
    let other = env.runtime();
    let text = panic_of(|| {
        let error = env.run(async { spawn(async move { other.block_on(async {}) }).await.unwrap_err() });
        std::panic::resume_unwind(error.into_panic().unwrap())
    });
    assert_eq!(text, NESTED);
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn needs_a_runtime(what: &str, text: &str) {
    let expected = format!(
        "{what} needs a running carhop runtime on this thread, and there is none: call it from within carhop::run, \
         Runtime::block_on, #[carhop::main] or #[carhop::test]"
    );
    assert_eq!(text, expected);
}

fn outside_of_a_runtime(env: &Env) {
    // One that exists is not enough, it must run.
    let runtime = env.runtime();
    runtime.block_on(yield_now());
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    needs_a_runtime("spawn", &panic_of(|| spawn(async {})));
    needs_a_runtime("spawn_blocking", &panic_of(|| spawn_blocking(|| ())));
    needs_a_runtime("a timer", &panic_of(|| poll(sleep(Duration::ZERO))));
    needs_a_runtime("a timer", &panic_of(|| poll(timeout(Duration::ZERO, pending::<()>()))));
    needs_a_runtime("a timer", &panic_of(|| poll(interval(Duration::from_secs(1)).tick())));
    needs_a_runtime("a socket", &panic_of(|| poll(TcpStream::connect(addr))));
    needs_a_runtime("a socket", &panic_of(|| poll(TcpListener::bind(addr))));
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    needs_a_runtime("a socket", &panic_of(|| TcpListener::from_std(listener)));
    runtime.block_on(async { spawn(yield_now()).await.unwrap() });
}

/// What is no future panics where the program calls it, and not within the library.
fn the_place_of_the_mistake(_: &Env) {
    carhop::task_local! {
        static UNSET: u8;
    }
    let socket = || std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = std::net::TcpStream::connect(socket().local_addr().unwrap());
    let places = [
        place_of(|| spawn(async {})),
        place_of(|| carhop::defer(|| ())),
        place_of(|| spawn_blocking(|| ())),
        place_of(|| TcpListener::from_std(socket())),
        place_of(|| TcpStream::from_std(stream.unwrap())),
        place_of(|| signal(SignalKind::user_defined2())),
        place_of(|| interval(Duration::ZERO)),
        place_of(|| Barrier::new(0)),
        place_of(|| Semaphore::new(1).add_permits(usize::MAX)),
        place_of(|| WeightedShares::new([(1, 0)])),
        place_of(|| UNSET.get()),
        place_of(|| UNSET.set(1)),
    ];
    for (call, place) in places.iter().enumerate() {
        assert_eq!(place, file!(), "call {call}");
    }
}

fn what_needs_no_runtime(_: &Env) {
    assert!(Instant::now() <= Instant::now());
    let mut sleep = sleep(Duration::from_secs(1));
    sleep.reset(Instant::now());
    drop(sleep);
    assert_eq!(
        futures::executor::block_on(async {
            yield_now().await;
            1
        }),
        1
    );
    assert!(poll(carhop::time::sleep(Duration::MAX)).is_pending());
}

/// Spawns and sleeps when the thread ends.
struct Late(mpsc::Sender<(String, String)>);

impl Drop for Late {
    fn drop(&mut self) {
        let spawned = panic_of(|| spawn(async {}));
        let slept = panic_of(|| poll(sleep(Duration::from_millis(1))));
        self.0.send((spawned, slept)).unwrap();
    }
}

fn from_destructors_of_thread_locals(env: &Env) {
    thread_local! {
        static EARLY: Cell<Option<Late>> = const { Cell::new(None) };
        static LATE: Cell<Option<Late>> = const { Cell::new(None) };
    }
    let env = *env;
    let (sender, texts) = mpsc::channel();
    let end_of_thread = move || {
        // Locals are destroyed in reverse: carhop's own come between these two.
        EARLY.set(Some(Late(sender.clone())));
        env.run(async { spawn(sleep(Duration::from_micros(1))).await.unwrap() });
        LATE.set(Some(Late(sender)));
    };
    std::thread::spawn(end_of_thread).join().unwrap();
    let texts: Vec<_> = texts.iter().collect();
    assert_eq!(texts.len(), 2);
    for (spawned, slept) in texts {
        needs_a_runtime("spawn", &spawned);
        needs_a_runtime("a timer", &slept);
    }
}

fn receive_buffers_beyond_all_bounds(env: &Env) {
    let assert_refused = |count, bytes_each, why: &str| {
        let error = env.builder().receive_buffers(count, bytes_each).build().expect_err("no such buffers");
        assert_eq!(error.to_string(), format!("{count} receive buffers of {bytes_each} bytes: {why}"));
    };
    // The product of the first two wraps around to a size that could be had.
    for (count, bytes_each) in
        [(1 << 15, usize::MAX / (1 << 15) + 2), (2, usize::MAX / 2 + 2), (1, usize::MAX), (1, 1 << 32)]
    {
        assert_refused(count, bytes_each, "more than one receive can fill");
    }
    for (count, bytes_each) in [(0, 1), (1, 0)] {
        assert_refused(count, bytes_each, "at least one of at least one byte is needed");
    }
    // It is refused here, and not when the first bytes arrive.
    assert_refused(u16::MAX, u32::MAX as usize, "the system has not so much memory");
}

pub(super) const FORKED: &str = "a carhop runtime does not survive fork: make a new one in the child process";

/// Runs `child` in a child process, which ends with what it returns, and returns that.
pub(super) fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs code that needs no other thread, for those are not there; it takes no lock that one of
    // them may hold, as glibc sees to for malloc, and this harness runs one trial at a time.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        // SAFETY: no memory is involved. A child that hangs is ended by the signal; nothing of the parent's runs at
        // its exit.
        unsafe {
            libc::alarm(20);
            libc::_exit(child())
        }
    }
    wait_for(pid)
}

fn wait_for(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child ended by signal {}", libc::WTERMSIG(status));
    libc::WEXITSTATUS(status)
}

async fn exchange(near: &mut TcpStream, far: &mut TcpStream) {
    near.write_all(b"hello").await.unwrap();
    far.read_exact(&mut [0; 5]).await.unwrap();
}

fn a_forked_child(env: &Env) {
    let runtime = env.runtime();
    let (near, mut far) = runtime.block_on(pair());
    let task = runtime.spawn(async {
        let parent = process::id();
        let _guard =
            OnDrop(move || assert_eq!(process::id(), parent, "the child dropped a task of its parent"));
        pending::<()>().await
    });
    // It waits, and so does a read.
    runtime.block_on(async {
        yield_now().await;
        assert!(futures::poll!(Box::pin(far.read(&mut [0]))).is_pending());
    });
    let mut kept = Some((runtime, task, near, far));
    let code = fork(|| {
        let (runtime, task, near, far) = kept.take().unwrap();
        let text = panic_of(|| runtime.block_on(async {}));
        drop((near, runtime, task, far));
        // A runtime of its own is none of the parent's business.
        env.run(async {
            let (mut near, mut far) = pair().await;
            exchange(&mut near, &mut far).await;
        });
        if text.contains(FORKED) { 7 } else { 1 }
    });
    assert_eq!(code, 7);
    let (runtime, task, mut near, mut far) = kept.take().unwrap();
    runtime.block_on(async {
        exchange(&mut near, &mut far).await;
        exchange(&mut far, &mut near).await;
    });
    drop(task);
}

fn a_child_forked_within_block_on(env: &Env) {
    let runtime = env.runtime();
    let parent = process::id();
    let in_child = move || process::id() != parent;
    let (mut near, mut far) = runtime.block_on(pair());
    let pid = Cell::new(0);
    let block_on = || {
        runtime.block_on(async {
            // SAFETY: as in `fork`.
            pid.set(unsafe { libc::fork() });
            if in_child() {
                // SAFETY: as in `fork`.
                unsafe { libc::alarm(20) };
            }
            // The loop must not ask the kernel on behalf of the child.
            exchange(&mut near, &mut far).await;
            sleep(Duration::from_millis(1)).await;
            assert!(!in_child(), "the child went on with its parent's runtime");
        })
    };
    let outcome = try_quietly(block_on);
    if in_child() {
        let refused = outcome.is_err_and(|payload| text_of(&*payload).contains(FORKED));
        // SAFETY: as in `fork`.
        unsafe { libc::_exit(if refused { 7 } else { 1 }) }
    }
    outcome.unwrap();
    assert_eq!(wait_for(pid.get()), 7);
    runtime.block_on(exchange(&mut near, &mut far));
}

/// Does not compile if one of the types is `Send`: then both implementations apply, and which is meant is unclear.
macro_rules! assert_not_send {
    ($($type:ty),+ $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Sent;
            impl<T: ?Sized + Send> Ambiguous<Sent> for T {}
            <$type as Ambiguous<_>>::check()
        };
    )+};
}
assert_not_send!(Runtime, JoinHandle<()>, TcpStream, TcpListener);
assert_not_send!(MutexGuard<'static, ()>, Permit<'static>, OwnedPermit);
// Nor is what is shared by those who wait: that would take them to other threads.
assert_not_send!(&'static Event, &'static Mutex<()>, &'static Semaphore, &'static Condvar, &'static Barrier);

/// Timers are plain data, for those who need them to be.
const _: fn() = || {
    fn check<T: Send + Sync + Unpin>() {}
    check::<carhop::time::Sleep>();
    check::<carhop::time::Interval>();
};
