//! Groups of tasks, and the end of operations.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::spawn;
use carhop::task::{GroupOptions, TaskGroup};
use runtime_core::operations_ended;

use crate::machine;

use super::super::support::{listener, pair};
use super::{Probe, futures, yields};

futures!(
    a_scope: "group::TaskGroup::scope",
    a_scope_that_fails: "group::TaskGroup::scope",
    a_scope_that_drains: "group::GroupOptions::scope",
    a_scope_within_a_scope: "group::TaskGroup::scope",
    group_task: "group::GroupTask",
    the_end_of_operations: "quiesced::OperationsEnded",
);

/// Lives as long as the future that holds it.
type Alive = Rc<()>;

async fn child(alive: Alive, turns: usize) -> Result<(), &'static str> {
    yields(turns).await;
    drop(alive);
    Ok(())
}

/// The children of a scope that is dropped are aborted, and their drops run.
async fn a_scope(probe: &Probe) {
    let alive = Alive::default();
    let in_scope = Rc::clone(&alive);
    let scope = TaskGroup::scope(async move |group| {
        for turns in [2, 4] {
            group.spawn(child(Rc::clone(&in_scope), turns));
        }
        yields(1).await;
        Ok(())
    });
    let output = probe.drive(scope).await;
    assert!(output.is_none_or(|output| output.is_ok()));
    assert_end_of(alive).await;
}

async fn a_scope_that_fails(probe: &Probe) {
    let alive = Alive::default();
    let in_scope = Rc::clone(&alive);
    let scope = TaskGroup::scope(async move |group| {
        group.spawn(child(Rc::clone(&in_scope), 9));
        group.spawn(async {
            yields(2).await;
            Err::<(), _>("no")
        });
        let _kept = in_scope;
        std::future::pending::<Result<(), _>>().await
    });
    let output = probe.drive(scope).await;
    assert!(output.is_none_or(|output| output.is_err()));
    assert_end_of(alive).await;
}

/// With a timer, a child that blocks the end, and one that ends in order, unless that takes it too long.
async fn a_scope_that_drains(probe: &Probe) {
    let alive = Alive::default();
    let in_scope = Rc::clone(&alive);
    let options = GroupOptions::new().drain_deadline(Duration::from_micros(300));
    let scope = options.scope(async move |group: &TaskGroup<&str>| {
        let (token, kept) = (group.token().clone(), Rc::clone(&in_scope));
        group.spawn(async move {
            token.cancelled().await;
            child(kept, 2).await
        });
        group.spawn(async move {
            let _kept = in_scope;
            std::future::pending::<Result<(), _>>().await
        });
        yields(2).await;
        Err::<(), _>("no")
    });
    let output = probe.drive(scope).await;
    assert!(output.is_none_or(|output| output.is_err_and(|error| !error.blockers().is_empty())));
    assert_end_of(alive).await;
}

/// The group around it waits for the children of a scope within it that is dropped, and for what they had under way.
async fn a_scope_within_a_scope(probe: &Probe) {
    let before = machine::sockets();
    let outer: Result<(), _> = TaskGroup::<&str>::scope(async |_| {
        let (mut near, far) = pair().await;
        let listener = listener().await;
        let addr = listener.local_addr().unwrap();
        let inner = TaskGroup::<&str>::scope(async move |group| {
            group.spawn(async move {
                near.read(&mut [0]).await.unwrap();
                Ok(())
            });
            group.spawn(async move {
                drop(TcpStream::connect(addr).await);
                Ok(())
            });
            group.spawn(async move {
                drop(listener.accept().await);
                yields(2).await;
                drop(far);
                Ok(())
            });
            Ok(())
        });
        probe.drive(inner).await;
        Ok(())
    })
    .await;
    outer.unwrap();
    // At once: the scope has waited.
    assert_eq!(machine::sockets(), before);
}

async fn group_task(probe: &Probe) {
    let alive = Alive::default();
    let in_scope = Rc::clone(&alive);
    let scope = TaskGroup::scope(async |group| {
        let task = group.spawn(child(in_scope, 3));
        let output = probe.drive(task).await;
        assert_ne!(output.map(|output| output.is_ok()), Some(false));
        Ok(())
    });
    scope.await.unwrap();
    // The scope waits for the task, whether or not anybody waits for its output.
    assert_eq!(Rc::strong_count(&alive), 1);
}

async fn the_end_of_operations(probe: &Probe) {
    let (mut near, far) = pair().await;
    let reader = spawn(async move { near.read(&mut [0]).await.map(|_| ()) });
    yields(2).await;
    reader.abort();
    assert!(reader.await.is_err());
    drop(far);
    let is_over = Rc::new(Cell::new(false));
    let other = spawn({
        let is_over = Rc::clone(&is_over);
        async move {
            operations_ended().await;
            is_over.set(true);
        }
    });
    probe.drive(operations_ended()).await;
    other.await.unwrap();
    assert!(is_over.get());
}

/// Within a few turns of the loop.
async fn assert_end_of(alive: Alive) {
    yields(3).await;
    assert_eq!(Rc::strong_count(&alive), 1);
}
