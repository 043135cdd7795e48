//! Events. The trace of `set_and_cleared_at_once` is what CPython 3.11 prints for the same program with
//! `asyncio.Event`: see `sync_order.py`.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Context;

use carhop::sync::Event;
use carhop::{spawn, yield_now};

use super::by_hand::{ByHand, with_meddler};
use super::rude_waker::Manners;
use super::support::Trace;
use super::{Env, trials};

trials![
    set_and_cleared_at_once,
    waiters_dropped_at_every_stage,
    wakers_that_panic,
    wakers_that_set_clear_and_wait,
    what_it_says_of_itself,
];

fn set_and_cleared_at_once(env: &Env) {
    let (trace, event) = (Trace::default(), Rc::new(Event::new()));
    let waiter = |name| {
        let (trace, event) = (trace.clone(), Rc::clone(&event));
        spawn(async move {
            event.wait().await;
            trace.log(name);
            event.wait().await;
            trace.log(format_args!("{name}again"));
        })
    };
    env.run(async {
        let early = ["A", "B", "C"].map(waiter);
        yield_now().await;
        event.set();
        trace.log("set");
        event.clear();
        trace.log("clear");
        let late = waiter("D");
        yield_now().await;
        yield_now().await;
        trace.log("second");
        event.set();
        for task in early {
            task.await.unwrap();
        }
        late.await.unwrap();
    });
    assert_eq!(trace.text(), "set clear A B C second Aagain Bagain Cagain D Dagain");
}

fn waiters_dropped_at_every_stage(env: &Env) {
    env.run(async {
        let event = Event::new();
        drop(event.wait());
        let mut waiters: Vec<_> = (0..4).map(|_| ByHand::waiting(event.wait())).collect();
        drop(waiters.remove(1));
        event.set();
        assert!(waiters.iter().all(ByHand::is_woken));
        drop(waiters.remove(0));
        event.clear();
        waiters.iter_mut().for_each(ByHand::ready);
        assert_eq!(format!("{event:?}"), "Event { is_set: false, waiters: 0 }");
    });
}

fn wakers_that_panic(env: &Env) {
    env.run(async {
        let event = Event::new();
        let mut waiters: Vec<_> = (0..3)
            .map(|_| {
                let manners = Manners { panics_on_wake: true, panics_on_drop: true, ..Manners::default() };
                ByHand::with(manners, event.wait())
            })
            .collect();
        for waiter in &mut waiters {
            assert!(waiter.poll().is_pending() && waiter.poll().is_pending());
        }
        event.set();
        assert!(waiters.iter().all(ByHand::is_woken));
        waiters.iter_mut().for_each(ByHand::ready);
    });
}

fn wakers_that_set_clear_and_wait(env: &Env) {
    env.run(async {
        let event = Rc::new(Event::new());
        let late: Rc<RefCell<Vec<ByHand<'static, ()>>>> = Rc::default();
        let (inner, new) = (Rc::clone(&event), Rc::clone(&late));
        let meddle = move || {
            inner.clear();
            let event = Rc::clone(&inner);
            new.borrow_mut().push(ByHand::waiting(async move { event.wait().await }));
        };
        with_meddler(meddle, |waker| {
            let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(event.wait())).collect();
            for waiter in &mut waiters {
                assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
            event.set();
            // Each was woken, and what their wakers began waits for the next time.
            assert_eq!(late.borrow().len(), 3);
            assert!(!late.borrow().iter().any(ByHand::is_woken));
            for waiter in &mut waiters {
                assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
            }
        });
        assert!(!event.is_set());
        event.set();
        late.take().iter_mut().for_each(ByHand::ready);
    });
}

fn what_it_says_of_itself(env: &Env) {
    env.run(async {
        let event = Event::default();
        assert!(!event.is_set());
        let waiter = ByHand::waiting(event.wait());
        assert_eq!(format!("{event:?}"), "Event { is_set: false, waiters: 1 }");
        drop(waiter);
        event.set();
        event.set();
        assert!(event.is_set());
        event.wait().await;
        event.clear();
        assert!(!event.is_set());
    });
}
