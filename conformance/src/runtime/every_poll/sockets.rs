//! Bytes: each arrives once, and in its place.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::LazyLock;

use carhop::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use carhop::sync::Mutex;
use carhop::{spawn, yield_now};

use crate::pattern::Pattern;

use super::super::support::{limit_send_buffer, pair, read_to_end};
use super::{Probe, futures, yields};

futures!(
    read: "stream::TcpStream::read",
    poll_read: "stream::TcpStream::poll_read" "stream::Stream::poll_read",
    read_exact: "stream::TcpStream::read_exact",
    half_read: "halves::ReadHalf::read",
    half_poll_read: "halves::ReadHalf::poll_read",
    half_read_exact: "halves::ReadHalf::read_exact",
    owned_half_read: "halves::OwnedReadHalf::read",
    owned_half_poll_read: "halves::OwnedReadHalf::poll_read",
    owned_half_read_exact: "halves::OwnedReadHalf::read_exact",
    write: "stream::TcpStream::write",
    poll_write: "stream::TcpStream::poll_write" "stream::Stream::poll_write",
    write_beside_others: "write::WriteAll",
    write_all: "stream::TcpStream::write_all",
    half_write: "halves::WriteHalf::write",
    half_poll_write: "halves::WriteHalf::poll_write",
    half_write_all: "halves::WriteHalf::write_all",
    owned_half_write: "halves::OwnedWriteHalf::write",
    owned_half_poll_write: "halves::OwnedWriteHalf::poll_write",
    owned_half_write_all: "halves::OwnedWriteHalf::write_all",
);

async fn read(probe: &Probe) {
    reading(probe, whole, async |stream, buf| stream.read(buf).await).await;
}

async fn poll_read(probe: &Probe) {
    reading(probe, whole, async |stream, buf| poll_fn(|cx| stream.poll_read(cx, buf)).await).await;
}

async fn read_exact(probe: &Probe) {
    reading(probe, whole, async |stream, buf| stream.read_exact(buf).await.map(|()| buf.len())).await;
}

async fn half_read(probe: &Probe) {
    reading(probe, whole, async |stream, buf| stream.split().0.read(buf).await).await;
}

async fn half_poll_read(probe: &Probe) {
    let read = async |stream: &mut TcpStream, buf: &mut [u8]| {
        let (mut half, _) = stream.split();
        poll_fn(|cx| half.poll_read(cx, buf)).await
    };
    reading(probe, whole, read).await;
}

async fn half_read_exact(probe: &Probe) {
    let read = async |stream: &mut TcpStream, buf: &mut [u8]| {
        stream.split().0.read_exact(buf).await.map(|()| buf.len())
    };
    reading(probe, whole, read).await;
}

async fn owned_half_read(probe: &Probe) {
    reading(probe, halves, async |(half, _), buf| half.read(buf).await).await;
}

async fn owned_half_poll_read(probe: &Probe) {
    reading(probe, halves, async |(half, _), buf| poll_fn(|cx| half.poll_read(cx, buf)).await).await;
}

async fn owned_half_read_exact(probe: &Probe) {
    reading(probe, halves, async |(half, _), buf| half.read_exact(buf).await.map(|()| buf.len())).await;
}

async fn write(probe: &Probe) {
    writing(probe, whole, async |stream, buf| stream.write(buf).await).await;
}

async fn poll_write(probe: &Probe) {
    writing(probe, whole, async |stream, buf| poll_fn(|cx| stream.poll_write(cx, buf)).await).await;
}

async fn write_beside_others(probe: &Probe) {
    writing_beside_others(probe, async |stream, piece| stream.write_all(piece).await.map(|()| piece.len()))
        .await;
}

/// Each write is staged. One that is dropped may still go out, but neither twice nor behind the next one.
pub(super) async fn writing_beside_others(
    probe: &Probe,
    write: impl AsyncFn(&mut TcpStream, &[u8]) -> io::Result<usize> + 'static,
) {
    const BYTES: &[u8] = b"one--two--three-four--five--";
    const PIECE: usize = 7;
    let (near, mut far) = pair().await;
    let other = spawn(yields(100));
    let world = Rc::new(Mutex::new((near, 0)));
    let tested = Rc::clone(&world);
    let write_pieces = async move {
        let (stream, written) = &mut *tested.try_lock().unwrap();
        for piece in BYTES.chunks(PIECE) {
            *written += write(stream, piece).await.unwrap();
        }
    };
    let ended = probe.drive_a_loan(write_pieces).await;
    let Ok((mut stream, written)) = Rc::try_unwrap(world).map(Mutex::into_inner) else {
        panic!("the future under test is gone, and has nothing");
    };
    stream.write_all(b"end").await.unwrap();
    drop(stream);
    let arrived = read_to_end(&mut far).await;
    let arrived = arrived.strip_suffix(b"end").expect("what was written last is last");
    assert!(BYTES.starts_with(arrived) && (written..=written + PIECE).contains(&arrived.len()));
    assert!(ended.is_none() || arrived.len() == BYTES.len());
    other.await.unwrap();
}

async fn write_all(probe: &Probe) {
    writing(probe, whole, async |stream, buf| stream.write_all(buf).await.map(|()| buf.len())).await;
}

async fn half_write(probe: &Probe) {
    writing(probe, whole, async |stream, buf| stream.split().1.write(buf).await).await;
}

async fn half_poll_write(probe: &Probe) {
    let write = async |stream: &mut TcpStream, buf: &[u8]| {
        let (_, mut half) = stream.split();
        poll_fn(|cx| half.poll_write(cx, buf)).await
    };
    writing(probe, whole, write).await;
}

async fn half_write_all(probe: &Probe) {
    let write =
        async |stream: &mut TcpStream, buf: &[u8]| stream.split().1.write_all(buf).await.map(|()| buf.len());
    writing(probe, whole, write).await;
}

async fn owned_half_write(probe: &Probe) {
    writing(probe, halves, async |(_, half), buf| half.write(buf).await).await;
}

async fn owned_half_poll_write(probe: &Probe) {
    writing(probe, halves, async |(_, half), buf| poll_fn(|cx| half.poll_write(cx, buf)).await).await;
}

async fn owned_half_write_all(probe: &Probe) {
    writing(probe, halves, async |(_, half), buf| half.write_all(buf).await.map(|()| buf.len())).await;
}

pub(super) fn whole(stream: TcpStream) -> TcpStream {
    stream
}

pub(super) fn halves(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    stream.into_split()
}

/// The bytes come in five pieces. The future under test has a buffer that is longer than one, and reads until that is
/// full; what it was given before it is dropped is there, and the rest comes afterwards.
async fn reading<S: 'static>(
    probe: &Probe,
    prepare: impl Fn(TcpStream) -> S,
    read: impl AsyncFn(&mut S, &mut [u8]) -> io::Result<usize> + 'static,
) {
    /// Zero stands for what was not read.
    const BYTES: &[u8] = b"one--two--three-four-five-";
    let (mut near, far) = pair().await;
    let writer = spawn(async move {
        for piece in BYTES.split_inclusive(|&byte| byte == b'-') {
            yields(2).await;
            near.write_all(piece).await.unwrap();
        }
    });
    let read = Rc::new(read);
    let world = Rc::new(Mutex::new((prepare(far), [0; BYTES.len()])));
    let (tested, reads) = (Rc::clone(&world), Rc::clone(&read));
    let read_some = async move {
        let (stream, buf) = &mut *tested.try_lock().unwrap();
        let mut filled = 0;
        while filled < 12 {
            filled += reads(stream, &mut buf[filled..12]).await.unwrap();
        }
    };
    probe.drive_a_loan(read_some).await;
    let (stream, buf) = &mut *world.try_lock().unwrap();
    while let Some(filled) = buf.iter().position(|&byte| byte == 0) {
        assert!(read(stream, &mut buf[filled..]).await.unwrap() > 0);
    }
    assert_eq!(buf, BYTES);
    assert!(!matches!(read(stream, &mut [0]).await, Ok(1..)));
    writer.await.unwrap();
}

/// There is no room when the future under test begins to write, and its bytes need room twice. Those that arrive are its
/// first ones: all that it has counted and, while it counted none of them, perhaps more of a write that was dropped.
pub(super) async fn writing<S: 'static>(
    probe: &Probe,
    prepare: impl Fn(TcpStream) -> S,
    write: impl AsyncFn(&mut S, &[u8]) -> io::Result<usize> + 'static,
) {
    /// Made once, for there are many worlds.
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| Pattern::default().take(200_000));
    let (mut near, mut far) = pair().await;
    limit_send_buffer(probe.env(), &near, 1 << 16);
    let mut full = 0;
    while let std::task::Poll::Ready(count) = ::futures::poll!(Box::pin(near.write(&[0; 1 << 14]))) {
        full += count.unwrap();
    }
    let reader = spawn(async move {
        yields(4).await;
        read_to_end(&mut far).await
    });
    let world = Rc::new(Mutex::new((prepare(near), 0)));
    let tested = Rc::clone(&world);
    let write_all = async move {
        let (stream, written) = &mut *tested.try_lock().unwrap();
        while *written < BYTES.len() {
            *written += write(stream, &BYTES[*written..]).await.unwrap();
            yield_now().await;
        }
    };
    let ended = probe.drive_a_loan(write_all).await;
    let Ok((stream, written)) = Rc::try_unwrap(world).map(Mutex::into_inner) else {
        panic!("the future under test is gone, and has nothing");
    };
    drop(stream);
    let arrived = reader.await.unwrap();
    let (padding, arrived) = arrived.split_at(full);
    assert!(padding == vec![0; full]);
    assert!(BYTES.starts_with(arrived) && written <= arrived.len());
    assert!(ended.is_none() || arrived.len() == BYTES.len());
}
