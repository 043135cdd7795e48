//! Cancel tokens.

use std::future::{pending, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use carhop::task::CancelToken;
use carhop::{spawn, yield_now};
use futures::poll;

use super::rude_waker::{Manners, RudeWaker};
use super::support::{Count, OnDrop, Trace, try_quietly, waiting};
use super::{Env, trials};

trials![
    a_cancel_wakes_who_waits,
    children_are_cancelled_with_their_parent,
    waiters_wake_from_the_top_down,
    a_token_between_two_may_go,
    a_hundred_thousand_children_that_are_dropped,
    a_chain_of_a_hundred_thousand,
    what_runs_until_it_is_cancelled,
    a_ready_future_wins,
    a_guard_cancels_when_it_is_dropped,
    waits_that_are_given_up,
    cancels_from_within_wakers_and_drops,
    wakers_that_panic,
    nothing_is_left_behind,
];

fn a_cancel_wakes_who_waits(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let token = CancelToken::new();
        for name in ["A", "B", "C"] {
            let (token, trace) = (token.clone(), trace.clone());
            spawn(async move {
                token.cancelled().await;
                trace.log(name);
            });
        }
        yield_now().await;
        assert_eq!(format!("{token:?}"), "CancelToken(not cancelled)");
        token.cancel();
        token.cancel();
        assert!(token.is_cancelled());
        assert_eq!(format!("{token:?}"), "CancelToken(cancelled)");
        trace.log("cancelled");
        yield_now().await;
        // At once from now on.
        assert!(poll!(Box::pin(token.cancelled())).is_ready());
    });
    assert_eq!(trace.text(), "cancelled A B C");
}

fn children_are_cancelled_with_their_parent(_: &Env) {
    let parent = CancelToken::new();
    let (left, right) = (parent.child_token(), parent.child_token());
    let (below, beside) = (left.child_token(), left.child_token());
    below.cancel();
    assert!([&parent, &left, &right, &beside].iter().all(|token| !token.is_cancelled()));
    left.cancel();
    assert!(left.is_cancelled() && beside.is_cancelled() && !parent.is_cancelled() && !right.is_cancelled());
    assert!(left.child_token().is_cancelled());
    parent.cancel();
    assert!(right.is_cancelled() && parent.child_token().child_token().is_cancelled());
}

fn waiters_wake_from_the_top_down(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let top = CancelToken::new();
        // Places that are used again, so that they do not tell the order.
        let former = [top.child_token(), top.child_token()];
        drop(former);
        let (a, b) = (top.child_token(), top.child_token());
        let tokens =
            [("a1", a.child_token()), ("b", b), ("a2", a.child_token()), ("a", a), ("top", top.clone())];
        for (name, token) in tokens {
            let trace = trace.clone();
            spawn(async move {
                token.cancelled().await;
                trace.log(name);
            });
        }
        yield_now().await;
        top.cancel();
        yield_now().await;
    });
    assert_eq!(trace.text(), "top a b a1 a2");
}

fn a_token_between_two_may_go(_: &Env) {
    let top = CancelToken::new();
    let middle = top.child_token();
    let bottom = middle.child_token().child_token();
    drop(middle);
    top.cancel();
    assert!(bottom.is_cancelled());
    // The parent may go as well.
    let orphan = CancelToken::new().child_token();
    assert!(!orphan.is_cancelled());
    orphan.cancel();
    assert!(orphan.is_cancelled());
}

fn a_hundred_thousand_children_that_are_dropped(_: &Env) {
    let parent = CancelToken::new();
    let mut kept = Vec::new();
    for round in 0..100_000 {
        let child = parent.child_token();
        if round % 1000 == 0 {
            kept.push(child);
        }
    }
    // In another order than they came.
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    for (place, child) in kept.into_iter().enumerate() {
        if place % 2 == 0 { even.push(child) } else { odd.push(child) }
    }
    drop(even);
    parent.cancel();
    assert!(odd.iter().all(CancelToken::is_cancelled));
}

fn a_chain_of_a_hundred_thousand(_: &Env) {
    const LENGTH: usize = 100_000;
    let chain = || {
        let mut chain = vec![CancelToken::new()];
        for _ in 1..LENGTH {
            chain.push(chain[chain.len() - 1].child_token());
        }
        chain
    };
    // From the top down, from the bottom up, and all at once with the last of them.
    let tokens = chain();
    tokens[1].cancel();
    assert!(!tokens[0].is_cancelled() && tokens[1..].iter().all(CancelToken::is_cancelled));
    chain().into_iter().rev().for_each(drop);
    let mut tokens = chain();
    let last = tokens.pop();
    drop(tokens);
    drop(last);
    // Nothing but the last one holds the chain that is cancelled.
    let mut tokens = chain();
    let (first, last) = (tokens.swap_remove(0), tokens.swap_remove(0));
    drop(tokens);
    first.cancel();
    assert!(last.is_cancelled());
}

fn what_runs_until_it_is_cancelled(env: &Env) {
    let (polls, drops) = (Count::default(), Count::default());
    env.run(async {
        let token = CancelToken::new();
        assert_eq!(token.run_until_cancelled(async { 7 }).await, Ok(7));
        let task = {
            let (token, work) = (token.clone(), waiting(&polls, &drops));
            spawn(async move { token.run_until_cancelled(work).await })
        };
        yield_now().await;
        token.cancel();
        assert_eq!((polls.get(), drops.get()), (1, 0));
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the token was cancelled");
        let error = std::io::Error::from(error);
        assert_eq!((error.kind(), drops.get()), (std::io::ErrorKind::Other, 1));
    });
}

fn a_ready_future_wins(env: &Env) {
    env.run(async {
        let token = CancelToken::new();
        token.cancel();
        assert_eq!(token.run_until_cancelled(ready(7)).await, Ok(7));
        assert!(token.run_until_cancelled(yield_now()).await.is_err());
    });
}

fn a_guard_cancels_when_it_is_dropped(env: &Env) {
    env.run(async {
        let token = CancelToken::new();
        drop(token.clone().drop_guard().disarm());
        assert!(!token.is_cancelled());
        let guard = token.clone().drop_guard();
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await
        });
        yield_now().await;
        task.abort();
        token.cancelled().await;
    });
}

fn waits_that_are_given_up(env: &Env) {
    env.run(async {
        let token = CancelToken::new();
        let mut waits: Vec<_> = (0..100).map(|_| Box::pin(token.cancelled())).collect();
        for wait in &mut waits {
            assert!(poll!(wait).is_pending());
        }
        let mut left = waits.split_off(50);
        drop(waits);
        token.cancel();
        drop(left.split_off(25));
        for wait in left {
            assert!(poll!(wait).is_ready());
        }
    });
}

fn cancels_from_within_wakers_and_drops(env: &Env) {
    env.run(async {
        let token = CancelToken::new();
        let (below, child) = (token.child_token(), token.child_token());
        let again = token.clone();
        let task = spawn(async move {
            let _guard = OnDrop(|| {
                assert!(child.is_cancelled());
                again.cancel();
                assert!(again.child_token().is_cancelled());
            });
            child.run_until_cancelled(pending::<()>()).await
        });
        yield_now().await;
        token.cancel();
        assert!(below.is_cancelled());
        task.await.unwrap().unwrap_err();
    });
}

fn wakers_that_panic(_: &Env) {
    let rude = RudeWaker::new(Manners { panics_on_wake: true, ..Manners::default() });
    let token = CancelToken::new();
    let child = token.child_token();
    let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> =
        vec![Box::pin(token.cancelled()), Box::pin(token.cancelled()), Box::pin(child.cancelled())];
    for wait in &mut waits {
        assert_eq!(rude.poll(wait), Ok(Poll::Pending));
    }
    try_quietly(|| token.cancel()).unwrap();
    assert_eq!((rude.wakes(), rude.alive()), (3, 0));
    for wait in &mut waits {
        assert_eq!(rude.poll(wait), Ok(Poll::Ready(())));
    }
}

/// What waits holds something that tells when it is dropped.
fn nothing_is_left_behind(env: &Env) {
    let held = Rc::new(());
    env.run(async {
        let parent = CancelToken::new();
        for round in 0..50 {
            let (child, held) = (parent.child_token(), Rc::clone(&held));
            let task = spawn(async move {
                let _held = held;
                child.child_token().cancelled().await;
            });
            yield_now().await;
            match round % 2 {
                0 => task.abort(),
                _ => drop(task),
            }
        }
        yield_now().await;
        assert_eq!(Rc::strong_count(&held), 1 + 25);
        parent.cancel();
        yield_now().await;
        assert_eq!(Rc::strong_count(&held), 1);
    });
}
