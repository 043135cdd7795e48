//! Work that blocks, as programs see it.

/// Does work that blocks on another thread, and lets tasks run meanwhile.
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
/// What not to do is to make such a call in a task. All tasks of a runtime share one thread: while one of them sits in
/// `std::fs::read`, `std::thread::sleep` or a long computation, no other runs, no socket is served, and no timer fires.
///
/// # Computations
///
/// A closure may compute as well as wait, but the limit of threads is made for those that wait: it is far above the
/// number of processors. To use all of these for one computation, let one closure fork and join, with
/// [`std::thread::scope`] as here, or with the crate `rayon`, whose threads are as many as the processors:
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

/// What a [`spawn_blocking`] will return.
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
