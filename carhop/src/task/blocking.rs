//! Work that blocks: the documentation of what `runtime-core` does.

/// Does blocking work on another thread, while tasks go on on this one.
///
/// ```
/// use carhop::task::spawn_blocking;
///
/// # fn main() -> std::io::Result<()> {
/// carhop::run(async {
///     // The outer `?` is for what can go wrong with the call, the inner one for what it returns.
///     let hosts = spawn_blocking(|| std::fs::read_to_string("/etc/hosts")).await??;
///     assert!(hosts.contains("localhost"));
///     Ok(())
/// })
/// # }
/// ```
///
/// Do not make such a call in a task. All tasks of a runtime share one thread: while one of them is in `std::fs::read`,
/// `std::thread::sleep` or a long computation, no other runs, no socket is served, and no timer fires.
///
/// # Computations
///
/// A closure may compute as well as wait, but the limit of threads is meant for closures that wait: it is far above the
/// number of processors. To use all processors for one computation, let one closure fork and join, with
/// [`std::thread::scope`] as here, or with the crate `rayon`, which has one thread for each processor:
///
/// ```
/// use std::thread;
/// use carhop::task::spawn_blocking;
///
/// fn sum_of_squares(numbers: &[u64]) -> u64 {
///     let processors = thread::available_parallelism().map_or(1, |count| count.get());
///     thread::scope(|scope| {
///         let parts = numbers.chunks(numbers.len().div_ceil(processors).max(1));
///         let forked: Vec<_> =
///             parts.map(|part| scope.spawn(|| part.iter().map(|n| n * n).sum::<u64>())).collect();
///         forked.into_iter().map(|part| part.join().unwrap()).sum()
///     })
/// }
///
/// carhop::run(async {
///     let numbers: Vec<u64> = (1..=1000).collect();
///     let sum = spawn_blocking(move || sum_of_squares(&numbers)).await.unwrap();
///     assert_eq!(sum, 333_833_500);
/// });
/// ```
///
/// # What happens
///
#[doc(inline)]
pub use runtime_core::spawn_blocking;

/// Waits for the closure of a [`spawn_blocking`].
///
/// ```
/// use carhop::Builder;
/// use carhop::task::spawn_blocking;
/// use std::sync::mpsc;
///
/// let runtime = Builder::new().blocking_threads(1).build()?;
/// runtime.block_on(async {
///     let (end, wait) = mpsc::channel::<()>();
///     let first = spawn_blocking(move || wait.recv().is_err());
///     let second = spawn_blocking(|| unreachable!("it waits for the only thread"));
///     second.abort();
///     drop(end);
///     assert!(first.await.unwrap());
///     assert!(second.await.unwrap_err().is_cancelled());
/// });
/// # Ok::<(), carhop::BuildError>(())
/// ```
///
#[doc(inline)]
pub use runtime_core::BlockingHandle;
