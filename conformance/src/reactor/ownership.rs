//! What operations own: it stays where it is until they end, comes back as it was, and is lost with nobody.
//!
//! That data comes back unchanged, from the same memory, is looked at in every trial, by the account.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use runtime_core::arena::{Arena, Slice};
use runtime_core::call::{Call, Job};
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::Op;
use runtime_core::pool::Chunk;
use runtime_core::reactor::Wait;

use super::calls::until;
use super::connect::FullListener;
use super::{Env, trials};
use crate::driver::{DONE, Driver, count};
use crate::world::Peer;

trials![
    data_comes_back_with_each_error,
    a_chunk_is_free_when_its_completion_is_dropped,
    addresses_of_connects,
    connections_that_nobody_takes,
    dropped_with_everything,
    jobs_are_dropped_with_the_reactor,
];

fn data_comes_back_with_each_error(env: &Env) {
    let mut driver = Driver::new(env);
    let arena = Rc::<Arena>::default();
    let mut chunks: Vec<_> = (0..4).map(|_| filled(&driver, b"in a chunk")).collect();
    let (full, _full_peer) = driver.pair();
    driver.fill(full);
    let (reset, reset_peer) = driver.pair();
    reset_peer.reset();
    let (closed, _closed_peer) = driver.pair();
    let close = driver.close(closed);
    assert_eq!(driver.end(close), DONE);
    let fresh = driver.socket();
    // The first of them is told of the reset.
    let told = driver.send(reset, b"!");
    assert_eq!(driver.end(told), Err(Errno::ECONNRESET));

    let cases = [(full, Errno::EAGAIN), (reset, Errno::EPIPE), (closed, Errno::EBADF), (fresh, Errno::EPIPE)];
    for (fd, errno) in cases {
        let each = [
            Data::Chunk(chunks.pop().expect("one for each")),
            Data::Vec { bytes: b"in a vector".to_vec(), start: 3 },
            Data::Arena(copied(&arena, b"in the arena")),
        ];
        let tokens = each.map(|data| driver.stage(Op::Send { fd, data }));
        driver.turn(Wait::No);
        let back = tokens.map(|token| {
            let completion = driver.try_next(token).expect("in this turn");
            assert_eq!(count(&completion), Err(errno));
            completion.data.expect("the account has seen it")
        });
        let [Data::Chunk(chunk), Data::Vec { start: 3, .. }, Data::Arena(slice)] = back else {
            panic!("of another kind: {back:?}")
        };
        assert_eq!((&*chunk, &*slice), (&b"in a chunk"[..], &b"in the arena"[..]));
    }
}

fn a_chunk_is_free_when_its_completion_is_dropped(env: &Env) {
    let mut driver = Driver::new(env);
    let chunk = filled(&driver, b"hello");
    let (ours, _peer) = driver.pair();
    let token = driver.stage(Op::Send { fd: ours, data: Data::Chunk(chunk) });
    driver.turn(Wait::No);
    let completion = driver.try_next(token).expect("in this turn");
    let available = driver.pool().available();
    drop(completion);
    assert_eq!(driver.pool().available(), available + 1);
}

/// Whoever frees or moves an address too early connects to somebody else.
fn addresses_of_connects(env: &Env) {
    let mut driver = Driver::new(env);
    let world = env.world();
    let listeners: Vec<_> = (0..30).map(|_| world.listen(1)).collect();
    let connects: Vec<_> = listeners
        .iter()
        .map(|listener| {
            let socket = driver.socket();
            (driver.connect(socket, listener.address()), socket)
        })
        .collect();
    driver.turn(Wait::No);
    // Where the addresses were, if they are gone.
    let nowhere = driver.nobody_listens();
    let others: Vec<Box<(SocketAddr, [u8; 96])>> = (0..1_000).map(|_| Box::new((nowhere, [0; 96]))).collect();
    for ((token, socket), listener) in connects.into_iter().zip(&listeners) {
        assert_eq!(driver.end(token), DONE);
        let mut peer = listener.accept().expect("accept");
        driver.expect_alive(socket, &mut *peer);
    }
    drop(others);
}

/// They are the reactor's, and end with it.
fn connections_that_nobody_takes(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    driver.accept(listener);
    let peers: Vec<_> = (0..10).map(|_| env.world().connect(address).expect("connect")).collect();
    driver.run_until(|inbox| inbox.len() == 10);
    drop(driver.take_all());
    drop(driver);
    for mut peer in peers {
        assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0);
    }
}

/// What the kernel may still use is leaked rather than freed, so chunks may be missing. Those that are there are nobody
/// else's.
fn dropped_with_everything(env: &Env) {
    for turns in 0..4 {
        let mut driver = Driver::with_pool(env, 8, 64);
        let full = FullListener::new(&**env.world());
        let mut crowd = Crowd::stage(&mut driver, full.address);
        for _ in 0..turns {
            crowd.peers_write();
            driver.turn(Wait::No);
        }
        let pool = driver.abandon();
        let mut chunks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert!(chunks.len() == 8 || turns > 0, "no turn has seen any of it");
        chunks.iter_mut().for_each(|chunk| chunk.space().fill(0xA5));
        crowd.peers_write();
        env.world().settle();
        let untouched = chunks.iter_mut().all(|chunk| chunk.space().iter().all(|&byte| byte == 0xA5));
        assert!(untouched, "somebody still writes to them");
    }
}

fn jobs_are_dropped_with_the_reactor(env: &Env) {
    let mut driver = Driver::new(env);
    let alive = Arc::new(());
    for _ in 0..20 {
        let kept = Arc::clone(&alive);
        driver.call(Call::Run(Job::new(move || drop(kept))));
    }
    driver.turn(Wait::No);
    drop(driver.abandon());
    until("every job is gone", || Arc::strong_count(&alive) == 1);
}

/// One of each operation at least, on sockets where most of them wait.
struct Crowd {
    peers: Vec<Box<dyn Peer>>,
}

impl Crowd {
    /// Without a turn since the first of them is staged.
    fn stage(driver: &mut Driver, full: SocketAddr) -> Self {
        let (arena, chunk) = (Rc::<Arena>::default(), filled(driver, b"in a chunk"));
        let (blocked, blocked_peer) = driver.pair();
        driver.fill(blocked);
        let pairs: Vec<_> = (0..12).map(|_| driver.pair()).collect();
        let (listener, _) = driver.listener(4);
        let connecting = driver.socket();

        driver.accept(listener);
        driver.connect(connecting, full);
        driver.writable(blocked);
        driver.stage(Op::Send { fd: blocked, data: Data::Chunk(chunk) });
        driver.call(Call::Resolve { host: "localhost".into(), port: 1 });
        driver.call(Call::Run(Job::new(|| ())));
        driver.call(Call::Open { path: "/dev/null".into() });
        driver.call(Call::Stat { path: "/dev/null".into() });
        let mut peers = vec![blocked_peer];
        for (ours, peer) in pairs {
            driver.receive(ours);
            driver.writable(ours);
            driver.stage(Op::Send { fd: ours, data: Data::Arena(copied(&arena, b"from the arena")) });
            peers.push(peer);
        }
        Self { peers }
    }

    /// What nobody may be there to read.
    fn peers_write(&mut self) {
        for peer in &mut self.peers {
            let _ = peer.write_all(b"late");
        }
    }
}

fn filled(driver: &Driver, bytes: &[u8]) -> Chunk {
    let mut chunk = driver.pool().take().expect("a chunk");
    chunk.space()[..bytes.len()].copy_from_slice(bytes);
    chunk.set_len(bytes.len());
    chunk
}

fn copied(arena: &Rc<Arena>, bytes: &[u8]) -> Slice {
    arena.copy(bytes).expect("room in the arena")
}
