//! A round trip through the loop-back device, on each backend. For servers see `compare`.

use std::pin::pin;
use std::time::Instant;

use bench::{backends, runtime};
use carhop::net::{TcpListener, TcpStream};
use carhop::spawn;
use criterion::{BenchmarkId, Criterion, Throughput};
use futures::future::try_join;

/// Client and server in one loop: a round trip is the work of both.
pub fn echo(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo, round trip");
    for &backend in backends() {
        let runtime = runtime(backend);
        let mut client = runtime.block_on(connect_to_echo());
        for (name, len) in [("64 B", 64), ("100 KB", 100_000)] {
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new(backend.name(), name), |b| {
                let (request, mut answer) = (vec![7; len], vec![0; len]);
                b.iter_custom(|iters| {
                    runtime.block_on(async {
                        let (mut reader, mut writer) = client.split();
                        let start = Instant::now();
                        for _ in 0..iters {
                            let sent = pin!(writer.write_all(&request));
                            let received = pin!(reader.read_exact(&mut answer));
                            try_join(sent, received).await.unwrap();
                        }
                        start.elapsed()
                    })
                });
            });
        }
    }
    group.finish();
}

async fn connect_to_echo() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    spawn(async move {
        let mut buf = vec![0; 16 * 1024];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => break,
                n => server.write_all(&buf[..n]).await.unwrap(),
            }
        }
    });
    client
}
