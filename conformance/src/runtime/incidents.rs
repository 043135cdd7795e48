//! What is reported where nobody waits to be told, and how often.

use std::fs::File;
use std::future::{pending, poll_fn};
use std::io::{Read, Seek};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use carhop::incident::Incident;
use carhop::task;
use carhop::time::{Instant, sleep};
use carhop::{Builder, Handle, JoinHandle, Runtime, call_later, defer, spawn, yield_now};

use super::rude_waker::{Manners, RudeWaker};
use super::support::{OnDrop, cancelled, panic_quietly};
use super::{Env, trials};

trials![
    a_detached_task,
    it_says_who_and_where,
    a_handle_dropped_after_the_panic,
    a_handle_dropped_outside_of_the_runtime,
    a_handle_dropped_within_another_runtime,
    what_somebody_hears_is_not_reported,
    aborts_are_not_reported,
    a_handle_kept_by_the_task_itself,
    panics_at_the_shutdown,
    panics_in_drops,
    panics_in_wakers,
    panics_in_callbacks,
    a_hook_that_panics,
    a_hook_that_spawns,
    a_hook_that_brings_about_incidents,
    slow_polls,
    a_hook_of_each_runtime,
    without_a_hook_it_is_on_stderr,
];

/// What was reported, in order.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    fn take(&self) -> Vec<String> {
        mem::take(&mut self.0.lock().unwrap())
    }
}

/// A runtime, and what it reports; places in the program are left out.
fn runtime(env: &Env) -> (Runtime, Reports) {
    let reports = Reports::default();
    let told = reports.clone();
    let hook = move |incident: &Incident<'_>| {
        let text = match incident {
            Incident::TaskPanicked { task, .. } if task.name.is_none() => {
                format!("a task panicked: {}", text(incident))
            }
            Incident::TaskPanicked { task, .. } => {
                format!("{} panicked: {}", task.name.clone().unwrap(), text(incident))
            }
            Incident::Panicked { what, .. } => format!("{what} panicked: {}", text(incident)),
            other => other.to_string(),
        };
        told.0.lock().unwrap().push(text);
    };
    (env.builder().on_incident(hook).build().unwrap(), reports)
}

fn text(incident: &Incident<'_>) -> &'static str {
    match incident {
        Incident::TaskPanicked { payload, .. } | Incident::Panicked { payload, .. } => {
            payload.downcast_ref::<&'static str>().unwrap()
        }
        other => panic!("{other} has no payload"),
    }
}

fn doomed(name: &'static str, yields: u32) -> JoinHandle<()> {
    task::Builder::new().name(name).spawn(async move {
        for _ in 0..yields {
            yield_now().await;
        }
        panic_quietly("boom")
    })
}

async fn yields(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

fn a_detached_task(env: &Env) {
    let (runtime, reports) = runtime(env);
    runtime.block_on(async {
        drop(doomed("at once", 0));
        drop(doomed("later", 2));
        yield_now().await;
        assert_eq!(reports.take(), ["at once panicked: boom"]);
        yields(3).await;
        assert_eq!(reports.take(), ["later panicked: boom"]);
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

fn it_says_who_and_where(env: &Env) {
    let reports = Reports::default();
    let told = reports.clone();
    let hook = move |incident: &Incident<'_>| told.0.lock().unwrap().push(incident.to_string());
    let runtime = env.builder().on_incident(hook).build().unwrap();
    let line = runtime.block_on(async {
        drop(doomed("cook", 0));
        let line = line!() + 1;
        drop(spawn(async { panic_quietly("boom") }));
        drop(spawn(async { std::panic::resume_unwind(Box::new(7)) }));
        yield_now().await;
        line
    });
    let at = |line: u32| format!("at {}:{line}", file!());
    let expected = [
        "task `cook` panicked, and nobody has its handle: boom".to_owned(),
        format!("task {} panicked, and nobody has its handle: boom", at(line)),
        format!("task {} panicked, and nobody has its handle: (no text)", at(line + 1)),
    ];
    assert_eq!(reports.take(), expected);
}

fn a_handle_dropped_after_the_panic(env: &Env) {
    let (runtime, reports) = runtime(env);
    runtime.block_on(async {
        let task = doomed("cook", 0);
        yields(3).await;
        assert!(task.is_finished());
        assert_eq!(reports.take(), [""; 0]);
        drop(task);
        assert_eq!(reports.take(), ["cook panicked: boom"]);
        // One that is never dropped may still be asked.
        mem::forget(doomed("leaked", 0));
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

fn a_handle_dropped_outside_of_the_runtime(env: &Env) {
    let (runtime, reports) = runtime(env);
    let task = runtime.block_on(async {
        let task = doomed("cook", 0);
        yield_now().await;
        Some(task)
    });
    drop(task);
    assert_eq!(reports.take(), ["cook panicked: boom"]);
}

fn a_handle_dropped_within_another_runtime(env: &Env) {
    let ((one, reports), (other, reports_of_other)) = (runtime(env), runtime(env));
    let task = one.block_on(async {
        let task = doomed("cook", 0);
        yield_now().await;
        Some(task)
    });
    other.block_on(async move { drop(task) });
    assert_eq!(reports.take(), ["cook panicked: boom"]);
    assert_eq!(reports_of_other.take(), [""; 0]);
}

fn what_somebody_hears_is_not_reported(env: &Env) {
    let (runtime, reports) = runtime(env);
    runtime.block_on(async {
        let task = doomed("awaited", 1);
        assert!(task.await.unwrap_err().is_panic());
        let task = doomed("awaited late", 0);
        yield_now().await;
        assert!(task.await.unwrap_err().is_panic());
        doomed("with a callback", 1).on_done(|output| assert!(output.unwrap_err().is_panic()));
        yields(5).await;
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

fn aborts_are_not_reported(env: &Env) {
    let (runtime, reports) = runtime(env);
    runtime.block_on(async {
        let detached = spawn(pending::<()>());
        detached.abort();
        drop(detached);
        let task = doomed("aborted before it panics", 0);
        task.abort();
        assert!(cancelled(task.await));
        drop(spawn(pending::<()>()));
        yield_now().await;
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

fn a_handle_kept_by_the_task_itself(env: &Env) {
    carhop::task_local! { static OWN: std::rc::Rc<std::cell::RefCell<Option<JoinHandle<()>>>>; }
    let (runtime, reports) = runtime(env);
    runtime.block_on(async {
        let slot: std::rc::Rc<std::cell::RefCell<Option<JoinHandle<()>>>> = Default::default();
        let its = slot.clone();
        let task = spawn(async move {
            OWN.set(its);
            yield_now().await;
            panic_quietly("boom")
        });
        *slot.borrow_mut() = Some(task);
        drop(slot);
        yields(4).await;
        assert_eq!(reports.take(), ["a task panicked: boom"]);
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

fn panics_at_the_shutdown(env: &Env) {
    let (runtime, reports) = runtime(env);
    drop(runtime.spawn(async {
        let _guard = OnDrop(|| panic_quietly("in a drop"));
        pending::<()>().await
    }));
    let kept = runtime.block_on(async {
        let kept = doomed("kept", 0);
        yield_now().await;
        Some(kept)
    });
    drop(runtime);
    assert_eq!(reports.take(), ["a task panicked: in a drop"]);
    // Its hook is gone, so this is a line on stderr.
    let shown = stderr_of(|| drop(kept));
    assert_eq!(shown, "carhop: task `kept` panicked, and nobody has its handle: boom\n");
}

fn panics_in_drops(env: &Env) {
    let (runtime, reports) = runtime(env);
    let bomb = || OnDrop(|| panic_quietly("in a drop"));
    runtime.block_on(async {
        // Of an output that nobody takes.
        drop(spawn(async move { bomb() }));
        yield_now().await;
        assert_eq!(reports.take(), ["a drop panicked: in a drop"]);
        let task = spawn(async move { bomb() });
        yield_now().await;
        drop(task);
        assert_eq!(reports.take(), ["a drop panicked: in a drop"]);
        // Of a callback that is taken back: the end of its task.
        let guard = bomb();
        defer(move || drop(guard)).cancel();
        yield_now().await;
        assert_eq!(reports.take(), ["a task panicked: in a drop"]);
        // Of a future, and of its output.
        let guard = bomb();
        drop(spawn(async move {
            let _guard = guard;
            yield_now().await;
        }));
        yields(3).await;
        assert_eq!(reports.take(), ["a task panicked: in a drop"]);
    });
    // Of a callback that came too late.
    let guard = bomb();
    let handle = runtime.block_on(async { Handle::current() });
    handle.post(move || drop(guard)).unwrap();
    drop(runtime);
    assert_eq!(reports.take(), ["a drop panicked: in a drop"]);
}

fn panics_in_wakers(env: &Env) {
    let (runtime, reports) = runtime(env);
    let rude = RudeWaker::new(Manners { panics_on_wake: true, ..Manners::default() });
    runtime.block_on(async {
        let mut timer: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(sleep(Duration::ZERO));
        assert!(rude.poll(&mut timer).unwrap().is_pending());
        yields(2).await;
        sleep(Duration::from_micros(1)).await;
        assert_eq!(reports.take(), ["a waker panicked: a waker panics when it wakes"]);
        let mut joiner: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(spawn(yield_now()));
        assert!(rude.poll(&mut joiner).unwrap().is_pending());
        yields(3).await;
        assert_eq!(reports.take(), ["a waker panicked: a waker panics when it wakes"]);
    });
}

fn panics_in_callbacks(env: &Env) {
    let (runtime, reports) = runtime(env);
    runtime.block_on(async {
        let boom = || panic_quietly("boom");
        // Reported at once, even while somebody has the handle: one cannot wait for it.
        let handles = [defer(boom), call_later(Duration::ZERO, boom)];
        yield_now().await;
        sleep(Duration::from_millis(1)).await;
        yield_now().await;
        assert_eq!(reports.take(), ["a task panicked: boom"; 2]);
        drop(handles);
        spawn(async {}).on_done(move |_| boom());
        yields(3).await;
        assert_eq!(reports.take(), ["a task panicked: boom"]);
        Handle::current().post(boom).unwrap();
        sleep(Duration::ZERO).await;
        yield_now().await;
        assert_eq!(reports.take(), ["a task panicked: boom"]);
    });
    drop(runtime);
    assert_eq!(reports.take(), [""; 0]);
}

fn a_hook_that_panics(env: &Env) {
    let reports = Reports::default();
    let told = reports.clone();
    let hook = move |incident: &Incident<'_>| {
        told.0.lock().unwrap().push(text(incident).to_owned());
        panic_quietly("a hook")
    };
    let runtime = env.builder().on_incident(hook).build().unwrap();
    runtime.block_on(async {
        drop(doomed("first", 0));
        drop(doomed("second", 1));
        yields(3).await;
    });
    assert_eq!(reports.take(), ["boom", "boom"]);
}

fn a_hook_that_spawns(env: &Env) {
    let reports = Reports::default();
    let told = reports.clone();
    let hook = move |incident: &Incident<'_>| {
        let (told, text) = (told.clone(), text(incident));
        told.0.lock().unwrap().push("hook".into());
        drop(spawn(async move { told.0.lock().unwrap().push(text.into()) }));
    };
    let runtime = env.builder().on_incident(hook).build().unwrap();
    runtime.block_on(async {
        drop(doomed("first", 0));
        yields(3).await;
    });
    assert_eq!(reports.take(), ["hook", "boom"]);
    // While its tasks are dropped, too: what it spawns is dropped.
    drop(runtime.spawn(async {
        let _guard = OnDrop(|| panic_quietly("late"));
        pending::<()>().await
    }));
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(reports.take(), ["hook"]);
}

fn a_hook_that_brings_about_incidents(env: &Env) {
    let reports = Reports::default();
    let told = reports.clone();
    let hook = move |incident: &Incident<'_>| {
        told.0.lock().unwrap().push(text(incident).to_owned());
        drop(task::Builder::new().eager(true).spawn(async { panic_quietly("by the hook") }));
    };
    let runtime = env.builder().on_incident(hook).build().unwrap();
    let shown = stderr_of(|| {
        runtime.block_on(async {
            drop(doomed("first", 0));
            yields(3).await;
        })
    });
    assert_eq!(reports.take(), ["boom"]);
    assert!(shown.starts_with("carhop: task at "), "{shown}");
    assert!(shown.ends_with("panicked, and nobody has its handle: by the hook\n"), "{shown}");
    assert_eq!(shown.lines().count(), 1, "{shown}");
}

const LIMIT: Duration = Duration::from_millis(20);

fn be_slow() {
    let start = Instant::now();
    while start.elapsed() < LIMIT * 2 {}
}

fn slow_polls(env: &Env) {
    /// Name, line and time.
    type Told = Vec<(Option<String>, u32, Duration)>;
    let slow: Arc<Mutex<Told>> = Arc::default();
    let told = Arc::clone(&slow);
    let hook = move |incident: &Incident<'_>| {
        let Incident::SlowPoll { task, took } = incident else { panic!("{incident}") };
        let name = task.name.as_ref().map(|name| name.to_string());
        told.lock().unwrap().push((name, task.location.line(), *took));
    };
    let runtime = env.builder().on_incident(hook).slow_poll(LIMIT).build().unwrap();
    // A busy machine makes other polls slow, too: these are among them.
    let is_told = |name: Option<&str>, line: u32| {
        let told = slow.lock().unwrap();
        told.iter().any(|told| told.0.as_deref() == name && told.1 == line && told.2 >= LIMIT * 2)
    };
    let root = line!() + 1;
    runtime.block_on(async {
        let line = line!() + 1;
        let task = task::Builder::new().name("cook").spawn(async { be_slow() });
        task.await.unwrap();
        assert!(is_told(Some("cook"), line));
        let line = line!() + 1;
        let task = task::Builder::new().eager(true).spawn(async { be_slow() });
        task.await.unwrap();
        assert!(is_told(None, line));
        // The root ran it within its own poll.
        yield_now().await;
        assert!(is_told(None, root));
    });
    slow.lock().unwrap().clear();
    runtime.block_on(async {
        // Waiting is not being slow.
        spawn(async { sleep(LIMIT * 2).await }).await.unwrap();
    });
    assert!(!is_told(None, 0));
}

fn a_hook_of_each_runtime(env: &Env) {
    let ((one, reports), (other, reports_of_other)) = (runtime(env), runtime(env));
    drop(other.spawn(async {
        let _guard = OnDrop(|| panic_quietly("of the other"));
        pending::<()>().await
    }));
    other.block_on(yield_now());
    one.block_on(async move {
        drop(doomed("of the one", 1));
        yields(2).await;
        drop(other);
        yields(2).await;
    });
    assert_eq!(reports.take(), ["of the one panicked: boom"]);
    assert_eq!(reports_of_other.take(), ["a task panicked: of the other"]);
}

fn without_a_hook_it_is_on_stderr(env: &Env) {
    let runtime = Builder::new().backend(env.backend).build().unwrap();
    let mut line = 0;
    let shown = stderr_of(|| {
        runtime.block_on(async {
            drop(doomed("cook", 0));
            line = line!() + 1;
            drop(spawn(async { panic_quietly("boom") }));
            yield_now().await;
            drop(spawn(async { OnDrop(|| panic_quietly("in a drop")) }));
            let mut done = false;
            poll_fn(move |cx| {
                cx.waker().wake_by_ref();
                if mem::replace(&mut done, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        })
    });
    let expected = format!(
        "carhop: task `cook` panicked, and nobody has its handle: boom\n\
         carhop: task at {}:{line} panicked, and nobody has its handle: boom\n\
         carhop: a drop panicked: in a drop\n",
        file!()
    );
    assert_eq!(shown, expected);
}

/// What `f` writes to this process's stderr.
fn stderr_of(f: impl FnOnce()) -> String {
    // SAFETY: the name is a C string, and the result a descriptor that nobody else owns.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"stderr".as_ptr(), libc::MFD_CLOEXEC)) };
    // SAFETY: as above.
    let kept = unsafe { OwnedFd::from_raw_fd(libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3)) };
    // SAFETY: both descriptors are open. This harness runs one trial at a time.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), 2) }, 2);
    let back = OnDrop(|| {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::dup2(kept.as_raw_fd(), 2) }, 2);
    });
    f();
    drop(back);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
