//! What many trials need.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use carhop::net::{TcpListener, TcpStream};
use carhop::time::timeout;
use carhop::{JoinError, JoinHandle};
use runtime_core::socket::Listener;
use socket2::SockRef;

use crate::world::ANY;

use super::Env;

/// What happened, in order.
#[derive(Clone, Default)]
pub(super) struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub(super) fn log(&self, event: impl Display) {
        self.0.borrow_mut().push(event.to_string());
    }

    /// All events so far, with a space between each two.
    pub(super) fn text(&self) -> String {
        self.0.borrow().join(" ")
    }
}

/// Counts something, in many hands.
#[derive(Clone, Default)]
pub(super) struct Count(Rc<Cell<usize>>);

impl Count {
    pub(super) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(super) fn get(&self) -> usize {
        self.0.get()
    }
}

/// Calls a function when it is dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// Waits for the ends of tasks.
pub(super) async fn join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) {
    for handle in handles {
        handle.await.unwrap();
    }
}

/// The task was aborted.
pub(super) fn cancelled<T>(result: Result<T, JoinError>) -> bool {
    result.is_err_and(|error| error.is_cancelled())
}

/// Waits for ever; counts its polls and its drops.
pub(super) fn waiting(polls: &Count, drops: &Count) -> impl Future<Output = ()> + use<> {
    let (polls, drops) = (polls.clone(), drops.clone());
    async move {
        let _guard = OnDrop(|| drops.add());
        poll_fn(|_| {
            polls.add();
            Poll::Pending
        })
        .await
    }
}

/// Panics, without the usual report on stderr.
pub(super) fn panic_quietly(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

thread_local! {
    /// A panic is expected: it is not reported on stderr.
    static HUSHED: Cell<bool> = const { Cell::new(false) };
    /// Where the last expected panic was.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Calls `f`, which may panic.
pub(super) fn try_quietly<T>(f: impl FnOnce() -> T) -> thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if HUSHED.get() {
                let place = info.location().map(|place| place.file().to_owned());
                // Unless the thread is ending.
                let _ = PLACE.try_with(|last| last.set(place));
            } else {
                report(info);
            }
        }));
    });
    let before = HUSHED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    HUSHED.set(before);
    outcome
}

/// The text that `f` panics with.
pub(super) fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    match try_quietly(f) {
        Ok(_) => panic!("this should have panicked"),
        Err(payload) => text_of(&*payload),
    }
}

/// The file that is blamed for the panic of `f`.
pub(super) fn place_of<T>(f: impl FnOnce() -> T) -> String {
    panic_of(f);
    PLACE.take().expect("a place")
}

pub(super) fn text_of(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => panic!("a payload without a text"),
    }
}

/// Far less than the time after which a runtime gives up on the kernel, far more than dropping one takes.
pub(super) fn promptly<T>(f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = f();
    assert!(start.elapsed() < Duration::from_secs(4), "it took {:?}", start.elapsed());
    value
}

/// A listener on a port of its own.
pub(super) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// The two ends of a new connection.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let listener = listener().await;
    connection(&listener).await
}

/// A new connection, whose second end `listener` accepted.
pub(super) async fn connection(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.expect("connect");
    let (server, peer) = listener.accept().await.expect("accept");
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

/// A listener whose queue takes hardly any connection that nobody accepts.
pub(super) fn short_of_room() -> (Listener, SocketAddr) {
    let listener = Listener::bind(&ANY.into(), &[], 1).unwrap();
    let addr = listener.local_address().unwrap().as_inet().unwrap();
    (listener, addr)
}

/// Leaves little room to send. In the simulator, where programs cannot ask for that, it is as much as ever.
pub(super) fn limit_send_buffer(env: &Env, stream: &TcpStream, len: usize) {
    if env.has_kernel() {
        SockRef::from(stream).set_send_buffer_size(len).expect("SO_SNDBUF");
    }
}

/// Writes until there is no room left, and returns how much that was.
pub(super) async fn fill(stream: &mut TcpStream) -> usize {
    let block = vec![0; 1 << 16];
    let mut written = 0;
    // The kernel makes room for a while yet, moving bytes from one end to the other.
    while let Ok(count) = timeout(Duration::from_millis(3), stream.write(&block)).await {
        written += count.expect("write");
    }
    written
}

/// Ends a connection with a reset.
pub(super) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

/// Reads until the end.
pub(super) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf).await.expect("read") {
            0 => return bytes,
            n => bytes.extend_from_slice(&buf[..n]),
        }
    }
}
