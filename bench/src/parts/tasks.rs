//! Tasks: to spawn and join them, to yield, to wake each other, to talk.

use std::cell::RefCell;
use std::future::poll_fn;
use std::hint::black_box;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::subject::{Subject, run};
use super::{Part, contenders};

/// How many tasks are spawned at once.
const BATCH: u64 = 1_000;

pub const PARTS: &[Part] = &[
    Part { batch: BATCH, ..Part::new("spawn and join, 1000 at once", contenders!(run spawn_batch)) },
    Part::new("spawn and join, one by one", contenders!(run spawn_one)),
    Part::new("yield", contenders!(run yield_alone)),
    Part::new("wake", contenders!(run wake_in_turns)),
    Part::new("channel, round trip", contenders!(run ask_and_answer)),
    Part::new("oneshot, send and receive", contenders!(run send_once)),
];

fn spawn_batch<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    run(runtime, async move {
        let mut handles = Vec::with_capacity(BATCH as usize);
        let start = Instant::now();
        for _ in 0..iters {
            handles.extend((0..BATCH).map(|n| S::spawn(async move { black_box(n) })));
            for handle in handles.drain(..) {
                black_box(handle.await);
            }
        }
        start.elapsed()
    })
}

fn spawn_one<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    run(runtime, async move {
        let start = Instant::now();
        for n in 0..iters {
            black_box(S::spawn(async move { black_box(n) }).await);
        }
        start.elapsed()
    })
}

fn yield_alone<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    run(runtime, async move {
        let start = Instant::now();
        for _ in 0..iters {
            S::yield_now().await;
        }
        start.elapsed()
    })
}

/// Two tasks that wake each other in turns: one wake and one poll each time.
fn wake_in_turns<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    let sleeper = Rc::new(RefCell::new(None));
    let turns = iters.div_ceil(2);
    time_two::<S>(runtime, take_turns(Rc::clone(&sleeper), turns), take_turns(sleeper, turns))
}

/// Sleeps `turns` times. Each time it is polled it wakes the task that sleeps.
async fn take_turns(sleeper: Rc<RefCell<Option<Waker>>>, turns: u64) {
    let mut left = turns;
    poll_fn(|cx| {
        let other = sleeper.replace(Some(cx.waker().clone()));
        if let Some(other) = other {
            other.wake();
        }
        match left {
            0 => Poll::Ready(()),
            _ => {
                left -= 1;
                Poll::Pending
            }
        }
    })
    .await;
}

/// How long it takes two tasks to end.
fn time_two<S: Subject>(
    runtime: &mut S,
    one: impl Future<Output = ()> + 'static,
    other: impl Future<Output = ()> + 'static,
) -> Duration {
    run(runtime, async {
        let start = Instant::now();
        let one = S::spawn(one);
        S::spawn(other).await;
        one.await;
        start.elapsed()
    })
}

/// Two tasks and two channels: a value there and back, so that each waits for each.
fn ask_and_answer<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    let (mut ask, mut asked) = S::channel();
    let (mut answer, mut answered) = S::channel();
    let answering = async move {
        for _ in 0..iters {
            answer(asked().await).await;
        }
    };
    let asking = async move {
        for n in 0..iters {
            ask(black_box(n)).await;
            black_box(answered().await);
        }
    };
    time_two::<S>(runtime, answering, asking)
}

/// A channel made and handed over with a bare wake, a value sent, and received by a task that waits for it.
fn send_once<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    let place = Rc::new(RefCell::new(Place { content: None, waker: None }));
    let theirs = Rc::clone(&place);
    let receiving = async move {
        for _ in 0..iters {
            let (send, receive) = S::oneshot();
            Place::put(&theirs, send);
            black_box(receive.await);
        }
    };
    let sending = async move {
        for n in 0..iters {
            let send = poll_fn(|cx| place.borrow_mut().poll_take(cx)).await;
            send(black_box(n));
        }
    };
    time_two::<S>(runtime, sending, receiving)
}

/// Where one task puts something for another.
struct Place<T> {
    content: Option<T>,
    waker: Option<Waker>,
}

impl<T> Place<T> {
    fn put(place: &RefCell<Self>, content: T) {
        let mut this = place.borrow_mut();
        this.content = Some(content);
        let waker = this.waker.take();
        drop(this);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match self.content.take() {
            Some(content) => Poll::Ready(content),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
