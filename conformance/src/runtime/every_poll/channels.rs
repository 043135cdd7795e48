//! Channels.

use std::future::poll_fn;
use std::rc::Rc;

use carhop::sync::{Mutex, broadcast, mpsc, oneshot, watch};
use carhop::{spawn, yield_now};
use futures::StreamExt;

use super::{Probe, futures, yields};

futures!(
    mpsc_send: "mpsc::Sender::send",
    mpsc_reserve: "mpsc::Sender::reserve",
    mpsc_recv: "mpsc::Receiver::recv",
    mpsc_poll_recv: "mpsc::Receiver::poll_recv",
    mpsc_stream: "mpsc::Receiver",
    oneshot_receiver: "oneshot::Receiver",
    oneshot_closed: "oneshot::Sender::closed",
    broadcast_recv: "broadcast::Receiver::recv",
    watch_changed: "watch::Receiver::changed",
    watch_closed: "watch::Sender::closed",
);

async fn mpsc_send(probe: &Probe) {
    mpsc_sender(probe, async |sender| sender.send("tested").await.unwrap()).await;
}

async fn mpsc_reserve(probe: &Probe) {
    let send = async |sender: mpsc::Sender<_>| {
        let permit = sender.reserve().await.unwrap();
        // Dropped here, it has room and no value.
        yield_now().await;
        permit.send("tested").unwrap();
    };
    mpsc_sender(probe, send).await;
}

/// There is no room; another sender waits behind the future under test.
async fn mpsc_sender(probe: &Probe, send: impl AsyncFn(mpsc::Sender<&'static str>) + 'static) {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send("first").unwrap();
    let behind = spawn({
        let sender = sender.clone();
        async move {
            yield_now().await;
            sender.send("behind").await.unwrap();
        }
    });
    let values = spawn(async move {
        let mut values = vec![];
        while let Some(value) = receiver.recv().await {
            values.push(value);
            yields(3).await;
        }
        values
    });
    let tested = sender.clone();
    let sent = probe.drive(async move { send(tested).await }).await;
    behind.await.unwrap();
    // All room has come back.
    while !sender.is_empty() {
        yield_now().await;
    }
    sender.try_send("last").unwrap();
    drop(sender);
    let mut values = values.await.unwrap();
    assert_eq!(values.contains(&"tested"), sent.is_some());
    values.retain(|&value| value != "tested");
    assert_eq!(values, ["first", "behind", "last"]);
}

async fn mpsc_recv(probe: &Probe) {
    let (receiver, values, sender) = mpsc_receiver();
    probe.drive(async move { receive(&values, async |receiver| receiver.recv().await).await }).await;
    assert_all_arrive(receiver, sender).await;
}

async fn mpsc_poll_recv(probe: &Probe) {
    let (receiver, values, sender) = mpsc_receiver();
    let next = async |receiver: &mut mpsc::Receiver<_>| poll_fn(|cx| receiver.poll_recv(cx)).await;
    probe.drive_a_loan(async move { receive(&values, next).await }).await;
    assert_all_arrive(receiver, sender).await;
}

async fn mpsc_stream(probe: &Probe) {
    let (receiver, values, sender) = mpsc_receiver();
    probe.drive_a_loan(async move { receive(&values, async |receiver| receiver.next().await).await }).await;
    assert_all_arrive(receiver, sender).await;
}

/// The receiver, and what came out of it.
type Received = Rc<Mutex<(mpsc::Receiver<u32>, Vec<u32>)>>;

const SENT: u32 = 3;

fn mpsc_receiver() -> (Received, Received, carhop::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(2);
    let received = Rc::new(Mutex::new((receiver, vec![])));
    let sender = spawn(async move {
        for value in 0..SENT {
            yields(2).await;
            sender.send(value).await.unwrap();
        }
    });
    (Rc::clone(&received), received, sender)
}

/// Receives all but the last, so that the future under test may end before the channel does.
async fn receive(received: &Received, next: impl AsyncFn(&mut mpsc::Receiver<u32>) -> Option<u32>) {
    let (receiver, values) = &mut *received.try_lock().unwrap();
    while values.len() < 2 {
        values.push(next(receiver).await.unwrap());
    }
}

async fn assert_all_arrive(received: Received, sender: carhop::JoinHandle<()>) {
    let (receiver, values) = &mut *received.try_lock().unwrap();
    while let Some(value) = receiver.recv().await {
        values.push(value);
    }
    assert!(values.iter().copied().eq(0..SENT), "{values:?}");
    sender.await.unwrap();
}

async fn oneshot_receiver(probe: &Probe) {
    let (sender, receiver) = oneshot::channel();
    let value = Rc::new(7);
    let sending = spawn({
        let value = Rc::clone(&value);
        async move {
            yields(3).await;
            sender.send(value).is_ok()
        }
    });
    let received = probe.drive(receiver).await;
    // Sent in vain, or not: a value that was sent and not received is dropped with the receiver.
    let sent = sending.await.unwrap();
    assert!(sent || received.is_none());
    assert_eq!(Rc::strong_count(&value), 1 + usize::from(received.is_some()));
}

async fn oneshot_closed(probe: &Probe) {
    let (sender, receiver) = oneshot::channel::<()>();
    let sender = Rc::new(Mutex::new(sender));
    let closing = spawn(async move {
        yields(3).await;
        drop(receiver);
    });
    let tested = Rc::clone(&sender);
    probe.drive(async move { tested.try_lock().unwrap().closed().await }).await;
    // Once more, after one that was dropped.
    sender.try_lock().unwrap().closed().await;
    closing.await.unwrap();
}

async fn broadcast_recv(probe: &Probe) {
    let (sender, receiver) = broadcast::channel(4);
    let other = spawn({
        let mut other = sender.subscribe();
        async move { [other.recv().await, other.recv().await] }
    });
    let sending = spawn(async move {
        for value in [1, 2] {
            yields(2).await;
            sender.send(Rc::new(value)).unwrap();
        }
    });
    let world = Rc::new(Mutex::new((receiver, vec![])));
    let tested = Rc::clone(&world);
    let receive = async move {
        let (receiver, values) = &mut *tested.try_lock().unwrap();
        for _ in 0..2 {
            values.push(receiver.recv().await);
        }
    };
    probe.drive(receive).await;
    let (receiver, values) = &mut *world.try_lock().unwrap();
    while values.len() < 2 {
        values.push(receiver.recv().await);
    }
    let expected = [Ok(Rc::new(1)), Ok(Rc::new(2))];
    assert_eq!(values, &expected);
    assert_eq!(other.await.unwrap(), expected);
    assert_eq!(receiver.recv().await, Err(broadcast::RecvError::Closed));
    assert!(receiver.is_empty());
    sending.await.unwrap();
}

async fn watch_changed(probe: &Probe) {
    let (sender, receiver) = watch::channel(0);
    let receiver = Rc::new(Mutex::new(receiver));
    let other = spawn({
        let mut other = sender.subscribe();
        async move {
            let mut seen = vec![];
            while other.changed().await.is_ok() {
                seen.push(*other.borrow());
            }
            seen
        }
    });
    let sending = spawn(async move {
        for value in [1, 2] {
            yields(3).await;
            sender.send(value).unwrap();
        }
    });
    let tested = Rc::clone(&receiver);
    let changed = probe.drive(async move { tested.try_lock().unwrap().changed().await }).await;
    assert!(matches!(changed, None | Some(Ok(()))), "{changed:?}");
    // A change that was not seen is not lost.
    let mut receiver = receiver.try_lock().unwrap();
    while receiver.changed().await.is_ok() {}
    assert_eq!(*receiver.borrow(), 2);
    assert_eq!(other.await.unwrap(), [1, 2]);
    sending.await.unwrap();
}

async fn watch_closed(probe: &Probe) {
    let (sender, receiver) = watch::channel(0);
    let sender = Rc::new(sender);
    let closed = async |sender: Rc<watch::Sender<_>>| sender.closed().await;
    let other = spawn(closed(Rc::clone(&sender)));
    let watching = spawn(async move {
        yields(3).await;
        drop(receiver);
    });
    probe.drive(closed(Rc::clone(&sender))).await;
    other.await.unwrap();
    watching.await.unwrap();
    assert!(sender.is_closed());
}
