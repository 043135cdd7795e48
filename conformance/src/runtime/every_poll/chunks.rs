//! Bytes in chunks: each arrives once, and in its place.

use std::io;
use std::rc::Rc;

use carhop::net::{Chunk, TcpStream};
use carhop::spawn;
use carhop::sync::Mutex;

use super::super::support::pair;
use super::sockets::{halves, whole, writing, writing_beside_others};
use super::{Probe, futures, yields};

futures!(
    read_chunk: "stream::TcpStream::read_chunk" "stream::Stream::poll_chunk",
    half_read_chunk: "halves::ReadHalf::read_chunk",
    owned_half_read_chunk: "halves::OwnedReadHalf::read_chunk",
    write_chunk: "stream::TcpStream::write_chunk",
    half_write_chunk: "halves::WriteHalf::write_chunk",
    owned_half_write_chunk: "halves::OwnedWriteHalf::write_chunk",
    write_chunk_beside_others: "write::WriteChunk",
);

async fn read_chunk(probe: &Probe) {
    reading(probe, whole, async |stream| stream.read_chunk().await).await;
}

async fn half_read_chunk(probe: &Probe) {
    reading(probe, whole, async |stream| stream.split().0.read_chunk().await).await;
}

async fn owned_half_read_chunk(probe: &Probe) {
    reading(probe, halves, async |(half, _)| half.read_chunk().await).await;
}

async fn write_chunk(probe: &Probe) {
    let write = async |stream: &mut TcpStream, bytes: &[u8]| stream.write_chunk(chunk(bytes)).await;
    writing(probe, whole, async move |stream, bytes| write(stream, bytes).await.map(|()| bytes.len())).await;
}

async fn half_write_chunk(probe: &Probe) {
    let write = async |stream: &mut TcpStream, bytes: &[u8]| stream.split().1.write_chunk(chunk(bytes)).await;
    writing(probe, whole, async move |stream, bytes| write(stream, bytes).await.map(|()| bytes.len())).await;
}

async fn owned_half_write_chunk(probe: &Probe) {
    writing(probe, halves, async |(_, half), bytes| {
        half.write_chunk(chunk(bytes)).await.map(|()| bytes.len())
    })
    .await;
}

async fn write_chunk_beside_others(probe: &Probe) {
    writing_beside_others(probe, async |stream, bytes| {
        stream.write_chunk(chunk(bytes)).await.map(|()| bytes.len())
    })
    .await;
}

fn chunk(bytes: &[u8]) -> Chunk {
    Chunk::from(bytes.to_vec())
}

/// The bytes come in pieces. What the future under test was given before it is dropped is there, and the rest comes
/// afterwards.
async fn reading<S: 'static>(
    probe: &Probe,
    prepare: impl Fn(TcpStream) -> S,
    read: impl AsyncFn(&mut S) -> io::Result<Option<Chunk>> + 'static,
) {
    const BYTES: &[u8] = b"one--two--three-four-five-";
    let (mut near, far) = pair().await;
    let writer = spawn(async move {
        for piece in BYTES.split_inclusive(|&byte| byte == b'-') {
            yields(2).await;
            near.write_all(piece).await.unwrap();
        }
    });
    let read = Rc::new(read);
    let world = Rc::new(Mutex::new((prepare(far), Vec::new())));
    let (tested, reads) = (Rc::clone(&world), Rc::clone(&read));
    let read_some = async move {
        let (stream, arrived) = &mut *tested.try_lock().unwrap();
        while arrived.len() < BYTES.len() / 2 {
            let chunk = reads(stream).await.unwrap().expect("it is not the end");
            assert!(!chunk.is_empty());
            arrived.extend_from_slice(&chunk);
        }
    };
    probe.drive_a_loan(read_some).await;
    let (stream, arrived) = &mut *world.try_lock().unwrap();
    while arrived.len() < BYTES.len() {
        arrived.extend_from_slice(&read(stream).await.unwrap().expect("it is not the end"));
    }
    assert_eq!(arrived, BYTES);
    assert!(!matches!(read(stream).await, Ok(Some(_))));
    writer.await.unwrap();
}
