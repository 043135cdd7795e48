//! Programs in the simulator.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use carhop::net::{TcpListener, TcpStream};
use carhop::sim::{Network, NetworkBuilder, run_until};
use carhop::task::spawn_blocking;
use carhop::time::{Instant, Nanos, interval, sleep, timeout};
use carhop::{Builder, Runtime, spawn, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

const MILLISECOND: Duration = Duration::from_millis(1);

/// What happened, and when.
#[derive(Clone, Default)]
struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    fn log(&self, event: impl std::fmt::Display) {
        self.0.borrow_mut().push(format!("{:?} {event}", Instant::now()));
    }
}

fn node(network: &Network) -> Runtime {
    Builder::new().reactor(network.reactor()).build().unwrap()
}

async fn echo(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        spawn(async move {
            let mut buf = [0; 512];
            loop {
                match stream.read(&mut buf).await? {
                    0 => return io::Result::Ok(()),
                    count => stream.write_all(&buf[..count]).await?,
                }
            }
        });
    }
}

async fn ask(addr: &str, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[carhop::test(sim)]
async fn an_hour_takes_a_moment() {
    let start = Instant::now();
    sleep(HOUR).await;
    assert_eq!(start.elapsed(), HOUR);
    assert!(timeout(24 * HOUR, std::future::pending::<()>()).await.is_err());
    assert_eq!(start.elapsed(), 25 * HOUR);
    let mut every = interval(365 * 24 * HOUR);
    for _ in 0..100 {
        every.tick().await;
    }
    assert_eq!(start.elapsed(), 25 * HOUR + 99 * 365 * 24 * HOUR);
}

#[carhop::test(sim)]
async fn a_server_and_its_clients_talk_over_the_loopback() {
    drop(spawn(echo("127.0.0.1:7")));
    let clients: Vec<_> = (0..100u8)
        .map(|id| {
            spawn(async move {
                sleep(MILLISECOND * u32::from(id)).await;
                assert_eq!(ask("localhost:7", &[id; 300]).await.unwrap(), [id; 300]);
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(ask("127.0.0.1:8", b"?").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

/// It would wait for ever, if time stood still for as long as a task is ready.
#[carhop::test(sim)]
async fn a_busy_task_does_not_stop_the_clock() {
    let late = spawn(sleep(MILLISECOND));
    while !late.is_finished() {
        yield_now().await;
    }
    let until = Instant::now() + MILLISECOND;
    while Instant::now() < until {}
}

/// Time stands still for what takes real time.
#[carhop::test(sim)]
async fn blocking_work_takes_no_time() {
    let start = Instant::now();
    let work = spawn_blocking(|| std::thread::sleep(MILLISECOND));
    timeout(MILLISECOND, work).await.expect("it is in time").unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

fn nodes_and_their_trace(network: NetworkBuilder) -> Vec<String> {
    const CLIENTS: u8 = 3;
    let network = network.latency(MILLISECOND).build();
    network.add_host("server", "10.0.0.1".parse().unwrap());
    let server = node(&network);
    drop(server.spawn(echo("server:7")));
    let trace = Trace::default();
    let clients = [(); CLIENTS as usize].map(|()| node(&network));
    let mut tasks = Vec::new();
    for (client, node) in (0..CLIENTS).zip(&clients) {
        for task in 0..5 {
            let trace = trace.clone();
            tasks.push(node.spawn(async move {
                sleep(MILLISECOND).await;
                assert_eq!(ask("server:7", &[client, task]).await.unwrap(), [client, task]);
                trace.log(format_args!("{client}.{task}"));
            }));
        }
    }
    let nodes: Vec<&Runtime> = clients.iter().chain([&server]).collect();
    run_until(&network, &nodes, || tasks.iter().all(|task| task.is_finished())).unwrap();
    trace.0.take()
}

#[test]
fn several_runtimes_share_a_network() {
    let trace = nodes_and_their_trace(Network::builder());
    // To sleep, to connect and back, to ask and back.
    let expected: Vec<_> = (0..3).flat_map(|client| (0..5).map(move |task| (client, task))).collect();
    let expected = expected.iter().map(|(client, task)| format!("Instant(5ms) {client}.{task}"));
    assert_eq!(trace, expected.collect::<Vec<_>>());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| nodes_and_their_trace(Network::builder().seed(seed).shuffle(true));
    assert_eq!(run(7), run(7));
    assert!((0..8).any(|seed| run(seed) != run(7)), "and another one gives another");
}

/// The one that is stepped first hears last what the other ones do.
#[test]
fn a_node_that_hears_of_something_late_is_stepped_before_time_passes() {
    let network = Network::new();
    let nodes = [(); 3].map(|()| node(&network));
    let waits = nodes[0].spawn(async {
        let listener = TcpListener::bind("127.0.0.1:7").await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    });
    drop(nodes[1].spawn(async {
        let mut stream = TcpStream::connect("127.0.0.1:7").await.unwrap();
        stream.write_all(b"x").await.unwrap();
        std::future::pending::<()>().await
    }));
    let sleeps = nodes[2].spawn(sleep(HOUR));
    let all: Vec<_> = nodes.iter().collect();
    run_until(&network, &all, || waits.is_finished()).unwrap();
    assert_eq!(network.now(), Nanos(0));
    run_until(&network, &all, || sleeps.is_finished()).unwrap();
    assert_eq!(network.now(), Nanos(0).saturating_add(HOUR));
}

#[test]
fn nodes_that_can_do_nothing_any_more_are_an_error() {
    let network = Network::builder().patience(Duration::ZERO).build();
    let node = node(&network);
    drop(node.spawn(std::future::pending::<()>()));
    let error = run_until(&network, &[&node], || false).unwrap_err();
    assert!(error.to_string().starts_with("nothing can happen any more"), "{error}");
}
