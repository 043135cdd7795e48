//! Writes in company, dropped at any time, over a reactor that takes any part of them, or nothing, or fails: each byte goes
//! out once, in order, as far as its write had come.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use runtime_core::errno::Errno;
use runtime_core::reactor::Wait;
use runtime_core::socket::Stream;
use runtime_core::{spawn, yield_now};

use crate::script::Script;
use crate::support::stream;

/// A small generator of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A write that was begun.
struct Written {
    bytes: Vec<u8>,
    is_over: bool,
}

const WRITES: u8 = 16;

/// The bytes of the `number`th write. No byte is twice in all of them.
fn bytes(number: u8, len: u64) -> Vec<u8> {
    (0..len).map(|place| number << 4 | place as u8).collect()
}

async fn write(stream: Stream, seed: u64, written: Rc<RefCell<Vec<Written>>>) {
    let mut random = Random(seed);
    for number in 0..WRITES {
        let bytes = bytes(number, 1 + random.below(16));
        written.borrow_mut().push(Written { bytes: bytes.clone(), is_over: false });
        let write = async {
            match random.below(2) {
                0 => stream.write_all(&bytes).await,
                _ => stream.write_chunk(bytes.clone().into()).await,
            }
        };
        let mut write = pin!(write);
        let mut polls = if seed.is_multiple_of(3) { u64::MAX } else { 1 + seed % 5 };
        let result = std::future::poll_fn(|cx| match write.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if polls == 0 => Poll::Ready(None),
            Poll::Pending => {
                polls -= 1;
                // Polled again without need, too.
                if polls % 2 == 0 {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        });
        if let Some(result) = result.await {
            written.borrow_mut()[usize::from(number)].is_over = result.is_ok();
        }
    }
}

/// Looks through what went out.
fn check(seed: u64, written: &[Written], mut wire: &[u8]) {
    for (number, write) in written.iter().enumerate() {
        let common = wire.iter().zip(&write.bytes).take_while(|(a, b)| a == b).count();
        assert!(common == write.bytes.len() || !write.is_over, "write {number} of {seed} is not whole");
        wire = &wire[common..];
    }
    assert!(wire.is_empty(), "{wire:?} of {seed} is nobody's, or went out twice");
}

#[test]
fn each_byte_goes_out_once() {
    for seed in 0..300 {
        let script = Script::default();
        let runtime = script.runtime_of_single_polls();
        let written = Rc::default();
        let (stream, told) = (runtime.block_on(stream(&script)), Rc::clone(&written));
        let writer = runtime.spawn(async move {
            let company = spawn(async {
                loop {
                    yield_now().await;
                }
            });
            write(stream, seed, told).await;
            company.abort();
        });
        let mut random = Random(seed);
        while !writer.is_finished() || runtime.step() == Wait::No {
            runtime.step();
            match random.below(8) {
                0 => script.fail_send(Errno::ECONNRESET),
                1 => script.fail_send(Errno::EAGAIN),
                2 | 3 => script.make_room(),
                4 => script.take_of_send(usize::MAX),
                _ => script.take_of_send(random.below(12) as usize),
            }
        }
        check(seed, &written.borrow(), &script.wire());
    }
}
