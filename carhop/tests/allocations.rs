//! What allocates in steady state, and what does not: counted, on each backend that can be had here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::sync::{Barrier, Condvar, Event, Mutex, Semaphore};
use carhop::sync::{LifoQueue, PriorityQueue, Queue, broadcast, mpsc, oneshot, watch};
use carhop::task::spawn_blocking;
use carhop::task::{CancelToken, JoinSet, TaskGroup};
use carhop::time::{sleep, timeout};
use carhop::{defer, spawn, task, yield_now};
use futures::join;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all that it does is left to the system's allocator, which keeps the contract. Counting does not allocate:
// the thread local has neither an initialiser to run nor a destructor to register.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the ones that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations `round` makes each time, on average over many, once all tables have grown to their size.
async fn allocations<F: Future<Output = ()>>(what: &str, mut round: impl FnMut() -> F) -> f64 {
    const ROUNDS: u32 = 1000;
    for _ in 0..ROUNDS {
        round().await;
    }
    let before = ALLOCATIONS.get();
    for _ in 0..ROUNDS {
        round().await;
    }
    let each = (ALLOCATIONS.get() - before) as f64 / f64::from(ROUNDS);
    println!("{what}: {each} allocations");
    each
}

/// How much arrives in one turn is for the kernel and the machine's load to say, so a queue may come to its largest
/// size late: a few allocations in a thousand rounds, where a buffer for each read would be a thousand.
const A_QUEUE_THAT_STILL_GROWS: f64 = 0.02;

async fn pair() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[carhop::test]
async fn reads_and_writes_allocate_nothing() {
    let (client, mut server) = pair().await.unwrap();
    let client = Cell::new(Some(client));
    let echo = spawn(async move {
        let mut buf = [0; 4096];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => return,
                n => server.write_all(&buf[..n]).await.unwrap(),
            }
        }
    });
    let each = allocations("an echo of 4 KiB", async || {
        let (mut stream, mut buf) = (client.take().unwrap(), [1; 4096]);
        stream.write_all(&buf).await.unwrap();
        stream.read_exact(&mut buf).await.unwrap();
        client.set(Some(stream));
    });
    assert!(each.await < A_QUEUE_THAT_STILL_GROWS);
    drop(client.take());
    echo.await.unwrap();
}

#[carhop::test]
async fn blocked_writes_allocate_nothing() {
    let (mut writer, mut reader) = pair().await.unwrap();
    let writing = spawn(async move { while writer.write(&[1; 1 << 16]).await.is_ok() {} });
    let mut buf = vec![0; 1 << 20];
    let buf = Cell::new(Some(&mut buf));
    let reader = Cell::new(Some(&mut reader));
    let each = allocations("1 MiB to a reader who is slower than the writer", async || {
        let (reader_now, buf_now) = (reader.take().unwrap(), buf.take().unwrap());
        reader_now.read_exact(buf_now).await.unwrap();
        reader.set(Some(reader_now));
        buf.set(Some(buf_now));
    });
    assert!(each.await < A_QUEUE_THAT_STILL_GROWS);
    writing.abort();
}

#[carhop::test]
async fn reads_that_are_given_up_allocate_nothing() {
    let (_writer, reader) = pair().await.unwrap();
    let reader = Cell::new(Some(reader));
    let each = allocations("a read that is given up", async || {
        let mut stream = reader.take().unwrap();
        assert!(timeout(Duration::from_nanos(1), stream.read(&mut [0])).await.is_err());
        reader.set(Some(stream));
    });
    assert_eq!(each.await, 0.0);
}

#[carhop::test]
async fn sleeps_and_yields_allocate_nothing() {
    assert_eq!(allocations("a sleep", async || sleep(Duration::from_nanos(1)).await).await, 0.0);
    let in_time = async || timeout(Duration::from_secs(30), yield_now()).await.unwrap();
    assert_eq!(allocations("a timer that is cancelled", in_time).await, 0.0);
    assert_eq!(allocations("a yield", async || yield_now().await).await, 0.0);
}

#[carhop::test]
async fn a_task_that_follows_another_allocates_nothing() {
    let spawn_and_join = async || assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
    assert_eq!(allocations("a task, spawned and joined", spawn_and_join).await, 0.0);
    let detached = async || {
        drop(spawn(async { 7 }));
        yield_now().await;
    };
    assert_eq!(allocations("a task, detached", detached).await, 0.0);
    let aborted = async || {
        let task = spawn(std::future::pending::<()>());
        task.abort();
        assert!(task.await.is_err());
    };
    assert_eq!(allocations("a task, aborted", aborted).await, 0.0);
}

#[carhop::test]
async fn a_task_that_follows_another_kind_is_one_allocation() {
    let both = async || {
        assert_eq!(spawn(async { 7 }).await.unwrap(), 7);
        assert_eq!(spawn(async { "seven" }).await.unwrap(), "seven");
    };
    assert_eq!(allocations("two kinds of tasks in turns", both).await, 2.0);
    let large = async || {
        let memory = [7; 600];
        let sum = spawn(async move {
            yield_now().await;
            memory.iter().map(|&byte: &u8| u32::from(byte)).sum::<u32>()
        });
        assert_eq!(sum.await.unwrap(), 4200);
    };
    assert_eq!(allocations("a task that is too large to be kept", large).await, 1.0);
    let watched = async || {
        let task = spawn(async { 7 });
        let abort = task.abort_handle();
        assert_eq!(task.await.unwrap(), 7);
        drop(abort);
    };
    assert_eq!(allocations("a task that can be aborted from elsewhere", watched).await, 0.0);
}

#[carhop::test]
async fn tasks_of_a_set_allocate_nothing() {
    let set = Cell::new(Some(JoinSet::new()));
    let spawn_and_join = async || {
        let mut tasks = set.take().unwrap();
        tasks.spawn(async { 7 });
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), 7);
        set.set(Some(tasks));
    };
    assert_eq!(allocations("a task of a set, spawned and joined", spawn_and_join).await, 0.0);
}

#[carhop::test]
async fn waiting_for_a_token_allocates_nothing() {
    let token = CancelToken::new();
    let given_up = async || assert!(timeout(Duration::from_nanos(1), token.cancelled()).await.is_err());
    assert_eq!(allocations("a wait for a token, given up", given_up).await, 0.0);
    let run = async || token.run_until_cancelled(yield_now()).await.unwrap();
    assert_eq!(allocations("what runs until a token is cancelled", run).await, 0.0);
}

#[carhop::test]
async fn a_token_that_comes_and_goes_is_one_allocation() {
    let token = CancelToken::new();
    let child = async || drop(token.child_token());
    // Exactly: a child that stayed in its parent's list would have that grow.
    assert_eq!(allocations("a child of a token", child).await, 1.0);
}

#[carhop::test]
async fn children_of_a_group_allocate_nothing_themselves() {
    let outcome = TaskGroup::<()>::scope(async |group| {
        let siblings = group.clone();
        let each = group.spawn(async move {
            let spawn_and_join = async || assert_eq!(siblings.spawn(async { Ok(7) }).await, Ok(7));
            Ok(allocations("a child of a group, spawned by another and joined", spawn_and_join).await)
        });
        assert_eq!(each.await, Ok(0.0));
        // The task-locals of the body, which it shares with each child, are its own only while it is polled.
        let spawn_and_join = async || assert_eq!(group.spawn(async { Ok(7) }).await, Ok(7));
        Ok(allocations("a child of a group, spawned by the body and joined", spawn_and_join).await)
    });
    assert_eq!(outcome.await.unwrap(), 2.0);
}

#[carhop::test]
async fn a_blocking_call_is_three_allocations() {
    // The place for what it returns, the job that a thread is given, and what is told of that job's end. The thread is
    // there already, and this closure owns nothing that would need a place.
    let call = async || assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
    let each = allocations("a blocking call", call).await;
    // The tables of what is under way grow now and then.
    assert!((3.0..3.1).contains(&each), "{each} allocations");
}

#[carhop::test]
async fn locks_allocate_nothing() {
    let mutex = Mutex::new(());
    let locked = async || {
        let guard = mutex.lock().await;
        yield_now().await;
        drop(guard);
    };
    let each = allocations("a mutex, contended", async || _ = join!(locked(), locked(), locked()));
    assert_eq!(each.await, 0.0);

    let semaphore = Semaphore::new(2);
    let let_in = async |permits| {
        let permit = semaphore.acquire_many(permits).await.unwrap();
        yield_now().await;
        drop(permit);
    };
    let each = allocations("a semaphore, contended", async || _ = join!(let_in(2), let_in(1), let_in(1)));
    assert_eq!(each.await, 0.0);
    let each = allocations("an acquire that is given up", async || {
        let permit = semaphore.acquire_many(2).await.unwrap();
        assert!(timeout(Duration::from_nanos(1), semaphore.acquire()).await.is_err());
        drop(permit);
    });
    assert_eq!(each.await, 0.0);
}

#[carhop::test]
async fn notifications_allocate_nothing() {
    let event = Event::new();
    let set = async || {
        event.set();
        event.clear();
    };
    let each = allocations("an event", async || _ = join!(event.wait(), event.wait(), set()));
    assert_eq!(each.await, 0.0);

    let (mutex, changed) = (Mutex::new(false), Condvar::new());
    let wait = async || _ = changed.wait_while(mutex.lock().await, |ready| !*ready).await;
    let notify = async |ready| {
        *mutex.lock().await = ready;
        changed.notify_all();
    };
    let each = allocations("a condition", async || {
        join!(wait(), wait(), notify(true));
        notify(false).await;
    });
    assert_eq!(each.await, 0.0);

    let barrier = Barrier::new(3);
    let each = allocations("a barrier", async || _ = join!(barrier.wait(), barrier.wait(), barrier.wait()));
    assert_eq!(each.await, 0.0);
}

#[carhop::test]
async fn queues_allocate_nothing() {
    let (there, back) = (Rc::new(Queue::new(1)), Rc::new(PriorityQueue::new(1)));
    let (from, to) = (Rc::clone(&there), Rc::clone(&back));
    let echo = spawn(async move {
        while let Ok(item) = from.get().await {
            // The second waits for room.
            to.put(item).await.unwrap();
            to.put(item).await.unwrap();
            from.task_done();
        }
    });
    let each = allocations("a round trip through queues", async || {
        there.put(1).await.unwrap();
        assert_eq!((back.get().await, back.get().await), (Ok(1), Ok(1)));
        there.join().await;
    });
    assert_eq!(each.await, 0.0);
    there.shutdown();
    echo.await.unwrap();
    let stack = LifoQueue::unbounded();
    let each = allocations("a get that is given up, and a stack", async || {
        assert!(timeout(Duration::from_nanos(1), stack.get()).await.is_err());
        stack.put(1).await.unwrap();
        assert_eq!(stack.try_get(), Ok(1));
    });
    assert_eq!(each.await, 0.0);
}

#[carhop::test]
async fn channels_allocate_nothing() {
    let ((sender, mut from), (to, receiver)) = (mpsc::channel(1), mpsc::channel(1));
    let echo = spawn(async move {
        while let Some(value) = from.recv().await {
            // The second waits for room.
            to.send(value).await.unwrap();
            to.send(value).await.unwrap();
        }
    });
    let receiver = Cell::new(Some(receiver));
    let each = allocations("a round trip through channels", async || {
        let mut receiving = receiver.take().unwrap();
        sender.send(1).await.unwrap();
        assert_eq!((receiving.recv().await, receiving.recv().await), (Some(1), Some(1)));
        receiver.set(Some(receiving));
    });
    assert_eq!(each.await, 0.0);
    drop(sender);
    echo.await.unwrap();
    let each = allocations("a promise", async || {
        let (sender, receiver) = oneshot::channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.await, Ok(1));
    });
    assert_eq!(each.await, 1.0);
}

#[carhop::test]
async fn broadcasts_and_watches_allocate_nothing() {
    let (sender, mut slow) = broadcast::channel(4);
    let (changing, watching) = watch::channel(0);
    let tasks = [(); 2].map(|()| {
        let (mut receiver, mut watching) = (sender.subscribe(), watching.clone());
        spawn(async move { while receiver.recv().await.is_ok() && watching.changed().await.is_ok() {} })
    });
    let each = allocations("a broadcast and a change, for two who wait and one who lags", async || {
        sender.send(1).unwrap();
        yield_now().await;
        changing.send(1).unwrap();
        yield_now().await;
    });
    assert_eq!(each.await, 0.0);
    assert!(matches!(slow.try_recv(), Err(broadcast::TryRecvError::Lagged(_))));
    drop((sender, changing));
    for task in tasks {
        task.await.unwrap();
    }
}

carhop::task_local! {
    static USED: u32 = 1;
}

#[carhop::test]
async fn names_and_task_locals_cost_whom_they_serve() {
    let built = async || assert_eq!(task::Builder::new().spawn(async { 7 }).await.unwrap(), 7);
    assert_eq!(allocations("a task, built without a name", built).await, 0.0);
    let eager = async || assert_eq!(task::Builder::new().eager(true).spawn(async { 7 }).await.unwrap(), 7);
    assert_eq!(allocations("a task, eager", eager).await, 0.0);
    let named = async || assert_eq!(task::Builder::new().name("cook").spawn(async { 7 }).await.unwrap(), 7);
    assert_eq!(allocations("a task with a name", named).await, 1.0);
    // From here on this task has a task-local.
    assert_eq!(USED.get(), 1);
    let reads = async || assert_eq!(USED.get(), 1);
    assert_eq!(allocations("a look at a task-local", reads).await, 0.0);
    let child = async || assert_eq!(spawn(async { USED.get() }).await.unwrap(), 1);
    assert_eq!(allocations("a task that inherits a task-local", child).await, 0.0);
}

#[carhop::test]
async fn callbacks_allocate_nothing() {
    let deferred = async || {
        defer(|| ());
        yield_now().await;
    };
    assert_eq!(allocations("a deferred call", deferred).await, 0.0);
    let called = async || {
        carhop::call_later(Duration::ZERO, || ());
        sleep(Duration::ZERO).await;
        yield_now().await;
    };
    assert_eq!(allocations("a call at a time", called).await, 0.0);
    let done = async || {
        spawn(async { 7 }).on_done(|output| assert_eq!(output.unwrap(), 7));
        yield_now().await;
        yield_now().await;
    };
    assert_eq!(allocations("a task with a callback", done).await, 0.0);
}
