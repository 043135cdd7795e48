//! Condition variables and barriers.

use std::rc::Rc;

use carhop::sync::{Barrier, Condvar, Mutex};
use carhop::{spawn, yield_now};

use super::{Probe, assert_nobody_waits, futures, yields};

futures!(
    condvar_wait: "condvar::Condvar::wait",
    condvar_wait_for_the_lock: "condvar::Condvar::wait",
    condvar_wait_while: "condvar::Condvar::wait_while",
    barrier_wait: "barrier::Barrier::wait",
    barrier_wait_outside: "barrier::Barrier::wait",
);

/// One notification for the future under test or, in its stead, for the one behind it; and one more.
async fn condvar_wait(probe: &Probe) {
    let world = Rc::new((Mutex::new(0), Condvar::new()));
    let wait = async |world: Rc<(Mutex<i32>, Condvar)>| {
        let (mutex, changed) = &*world;
        *changed.wait(mutex.lock().await).await -= 1;
    };
    let tested = wait(Rc::clone(&world));
    let behind = spawn({
        let world = Rc::clone(&world);
        async move {
            yields(2).await;
            wait(world).await;
        }
    });
    let notifier = spawn({
        let world = Rc::clone(&world);
        async move {
            let (mutex, changed) = &*world;
            yields(4).await;
            *mutex.lock().await += 1;
            changed.notify_one();
        }
    });
    let waited = probe.drive(tested).await;
    notifier.await.unwrap();
    let (mutex, changed) = &*world;
    if waited.is_some() {
        assert!(!behind.is_finished());
        *mutex.lock().await += 1;
        changed.notify_one();
    }
    // Notified once, by whichever way it came.
    behind.await.unwrap();
    assert_eq!(*mutex.try_lock().expect("nobody has it"), 0);
    assert_nobody_waits(mutex);
    assert_nobody_waits(changed);
}

/// The notification comes while the lock is taken, for which the future under test then waits.
async fn condvar_wait_for_the_lock(probe: &Probe) {
    let world = Rc::new((Mutex::new(()), Condvar::new()));
    let wait = async |world: Rc<(Mutex<()>, Condvar)>| {
        let (mutex, changed) = &*world;
        drop(changed.wait(mutex.lock().await).await);
    };
    let behind = spawn({
        let world = Rc::clone(&world);
        async move {
            yields(2).await;
            wait(world).await;
        }
    });
    let notifier = spawn({
        let world = Rc::clone(&world);
        async move {
            let (mutex, changed) = &*world;
            yields(4).await;
            let guard = mutex.lock().await;
            changed.notify_one();
            yields(4).await;
            drop(guard);
        }
    });
    let waited = probe.drive(wait(Rc::clone(&world))).await;
    notifier.await.unwrap();
    let (mutex, changed) = &*world;
    if waited.is_some() {
        changed.notify_one();
    }
    behind.await.unwrap();
    drop(mutex.try_lock().expect("nobody has it"));
    assert_nobody_waits(mutex);
    assert_nobody_waits(changed);
}

async fn condvar_wait_while(probe: &Probe) {
    let world = Rc::new((Mutex::new(0), Condvar::new()));
    let wait = async |world: Rc<(Mutex<i32>, Condvar)>| {
        let (mutex, changed) = &*world;
        let value = changed.wait_while(mutex.lock().await, |value| *value < 3).await;
        assert_eq!(*value, 3);
    };
    let behind = spawn(wait(Rc::clone(&world)));
    let counter = spawn({
        let world = Rc::clone(&world);
        async move {
            let (mutex, changed) = &*world;
            for _ in 0..3 {
                yields(2).await;
                *mutex.lock().await += 1;
                changed.notify_all();
            }
        }
    });
    probe.drive(wait(Rc::clone(&world))).await;
    counter.await.unwrap();
    behind.await.unwrap();
    let (mutex, changed) = &*world;
    assert_eq!(*mutex.try_lock().expect("nobody has it"), 3);
    assert_nobody_waits(mutex);
    assert_nobody_waits(changed);
}

/// Another one comes for each that has left before the barrier tripped.
async fn barrier_wait(probe: &Probe) {
    let barrier = Rc::new(Barrier::new(3));
    let wait = async |barrier: Rc<Barrier>| barrier.wait().await.unwrap().index();
    let others = [1, 3].map(|turns| {
        let barrier = Rc::clone(&barrier);
        spawn(async move {
            yields(turns).await;
            wait(barrier).await
        })
    });
    let waited = probe.drive(wait(Rc::clone(&barrier))).await;
    yields(6).await;
    if barrier.n_waiting() > 0 {
        assert_eq!((waited, barrier.n_waiting()), (None, 2));
        wait(Rc::clone(&barrier)).await;
    }
    for other in others {
        other.await.unwrap();
    }
    assert_like_new(&barrier).await;
}

/// It has tripped, and those inside have not left: the future under test waits outside.
async fn barrier_wait_outside(probe: &Probe) {
    let barrier = Rc::new(Barrier::new(2));
    let wait = async |barrier: Rc<Barrier>| barrier.wait().await.unwrap().index();
    let inside = spawn(wait(Rc::clone(&barrier)));
    yield_now().await;
    let second = spawn({
        let barrier = Rc::clone(&barrier);
        async move {
            yields(3).await;
            wait(barrier).await
        }
    });
    assert_eq!(wait(Rc::clone(&barrier)).await, 1);
    let waited = probe.drive(wait(Rc::clone(&barrier))).await;
    assert_eq!(inside.await.unwrap(), 0);
    yields(6).await;
    if barrier.n_waiting() > 0 {
        assert_eq!((waited, barrier.n_waiting()), (None, 1));
        wait(Rc::clone(&barrier)).await;
    }
    second.await.unwrap();
    assert_like_new(&barrier).await;
}

async fn assert_like_new(barrier: &Barrier) {
    assert!(!barrier.is_broken());
    assert_eq!(barrier.n_waiting(), 0);
    let mut parties: Vec<_> = (0..barrier.parties()).map(|_| Box::pin(barrier.wait())).collect();
    let (last, others) = parties.split_last_mut().unwrap();
    for other in &mut *others {
        assert!(::futures::poll!(other).is_pending());
    }
    assert_eq!(last.await.unwrap().index(), others.len());
    for (index, other) in others.iter_mut().enumerate() {
        assert_eq!(other.await.unwrap().index(), index);
    }
}
