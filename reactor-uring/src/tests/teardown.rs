//! The end of reactors.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Read, pipe};
use std::thread;

use runtime_core::call::Call;

use super::cancels::FullListener;
use super::refusals::refuse;
use super::*;
use crate::work::Work;

/// Says whether certain memory is freed.
struct Watch;

#[global_allocator]
static WATCH: Watch = Watch;

thread_local! {
    /// Memory that this thread watches, and how much of it the thread has freed.
    static WATCHED: Cell<[usize; 8]> = const { Cell::new([0; 8]) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: as the system's allocator, which does all the work.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if WATCHED.get().contains(&(start as usize)) {
            FREED.set(FREED.get() + 1);
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(start, layout) }
    }
}

impl Rig {
    /// Watches the memory that requests name. Says how much of it there is.
    fn watch_memory(&mut self) -> usize {
        let mut watched = Vec::new();
        for token in self.reactor.flights.tokens() {
            let flight = self.reactor.flights.get_mut(token).expect("under way");
            match &flight.work {
                Work::Connect { addr, .. } => watched.push(addr.as_ptr() as usize),
                Work::Send { data, .. } => watched.push(data.as_ptr() as usize),
                Work::Open { path } => watched.push(path.as_ptr() as usize),
                Work::Stat { path, answer } => {
                    watched.extend([path.as_ptr() as usize, answer.as_ptr() as usize]);
                }
                Work::Read { bytes, .. } => watched.push(bytes.as_ptr() as usize),
                Work::Accept { .. }
                | Work::Receive(_)
                | Work::Writable { .. }
                | Work::Close { .. }
                | Work::LetGo { .. }
                | Work::OnThread { .. }
                | Work::Failed { .. } => {}
            }
        }
        let mut places = [0; 8];
        places[..watched.len()].copy_from_slice(&watched);
        WATCHED.set(places);
        FREED.set(0);
        watched.len()
    }
}

/// Runs `test` on a thread of its own, which may have its system calls refused from some time on.
fn each_on_its_thread(test: fn(Rig)) {
    for completion_work in [CompletionWork::Deferred, CompletionWork::Cooperative] {
        let options = Options { completion_work, ..Options::default() };
        thread::spawn(move || Rig::new(options, 8, 64).map(test)).join().expect("the test passes");
    }
}

#[test]
fn a_dropped_reactor_frees_what_the_kernel_has_given_up() {
    each_on_its_thread(|mut rig| {
        let (end, _other) = pipe().expect("a pipe");
        let fd = rig.import(end);
        rig.stage_read(fd);
        let full = FullListener::new();
        full.connect(&mut rig);
        assert!(rig.turn(Wait::No).is_empty());
        assert_eq!(rig.watch_memory(), 2);

        drop(rig);

        assert_eq!(FREED.get(), 2);
    });
}

#[test]
fn a_dropped_reactor_leaks_what_the_kernel_may_still_write_to() {
    each_on_its_thread(|mut rig| {
        let (end, mut other) = pipe().expect("a pipe");
        let fd = rig.import(end);
        rig.stage_read(fd);
        let (here, there) = rig.pair();
        rig.receive(here);
        assert!(rig.turn(Wait::No).is_empty());
        assert_eq!(rig.watch_memory(), 1);
        let pool = Rc::clone(&rig.pool);
        // From now on nothing can be cancelled.
        refuse(libc::SYS_io_uring_enter, libc::EIO);

        drop(rig);

        assert_eq!(FREED.get(), 0);
        assert_eq!((pool.available(), Rc::strong_count(&pool)), (4, 2), "what was lent is not free");
        // Whether the kernel takes it is its own affair: it closes a ring when it has the time.
        let _ = (other.write(b"late"), (&there).write(b"late"));
    });
}

#[test]
fn a_dropped_reactor_leaks_what_it_could_not_submit() {
    each_on_its_thread(|mut rig| {
        let (here, there) = rig.pair();
        let full = FullListener::new();
        refuse(libc::SYS_io_uring_enter, libc::EAGAIN);
        full.connect(&mut rig);
        rig.send(here, b"hello");
        rig.stage(Op::Call(Call::Open { path: "/dev/null".into() }));
        rig.stage(Op::Call(Call::Stat { path: "/dev/null".into() }));
        assert!(rig.turn(Wait::No).is_empty() && rig.take_sent().is_empty());
        assert_eq!(rig.watch_memory(), 5);

        drop(rig);

        assert_eq!(FREED.get(), 0);
        let mut all = Vec::new();
        (&there).read_to_end(&mut all).expect("the end: descriptors are closed");
        assert_eq!(all, b"");
    });
}

#[test]
fn a_dropped_reactor_gives_all_chunks_back() {
    Rig::each(Options::default(), 8, 64, |mut rig| {
        let sockets = rig.pairs(200);
        for (here, _) in &sockets {
            rig.receive(*here);
        }
        rig.turn(Wait::No);
        for (_, there) in &sockets[..100] {
            write(there, b"unseen");
        }
        let Rig { reactor, pool, .. } = rig;
        assert_eq!(pool.available(), 4, "half of them are lent");

        drop(reactor);

        assert_eq!(pool.available(), 8);
        assert_eq!(Rc::strong_count(&pool), 1, "nothing was leaked");
    });
}

#[test]
fn a_socket_that_is_accepted_while_the_reactor_is_dropped_is_closed() {
    Rig::each(Options::default(), 8, 64, |mut rig| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // Queued, but not submitted before the drop.
        let fd = rig.import(listener);
        rig.reactor.perform(Token::new(0, 0), Op::Accept { fd }, &rig.pool);

        drop(rig);

        assert_eq!(client.read(&mut [0; 1]).expect("the end, not a timeout"), 0);
    });
}

#[test]
fn descriptors_are_closed_with_their_reactor() {
    Rig::each(Options::default(), 8, 64, |mut rig| {
        let (here, mut peer) = rig.tcp_pair();
        rig.receive(here);
        rig.turn(Wait::No);
        let shared = rig.reactor.share(here).expect("a second owner");

        drop(rig);
        peer.set_nonblocking(true).expect("a mode");
        assert_eq!(peer.read(&mut [0]).expect_err("shared").kind(), io::ErrorKind::WouldBlock);
        peer.set_nonblocking(false).expect("a mode");
        drop(shared);
        assert_eq!(peer.read(&mut [0]).expect("the end, not a timeout"), 0);
    });
}
