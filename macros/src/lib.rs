//! The attributes `#[carhop::main]` and `#[carhop::test]`.
//!
//! Users reach them through `carhop`, and the generated code calls only `carhop`. The user's function stays as it was
//! written: it moves into a function of the same name that is not `async` and hands it to the runtime. So types, lints
//! and the compiler's errors are those of the user's function.

#![forbid(unsafe_code)]

mod expand;
mod options;

use proc_macro::TokenStream;

use crate::expand::{Entry, expand};

/// Runs an `async fn main` on a carhop runtime.
///
/// ```ignore
/// #[carhop::main]
/// async fn main() {
///     carhop::time::sleep(Duration::from_secs(1)).await;
///     println!("a second later");
/// }
/// ```
///
/// is short for
///
/// ```ignore
/// fn main() {
///     async fn main() {
///         carhop::time::sleep(Duration::from_secs(1)).await;
///         println!("a second later");
///     }
///     carhop::run(main())
/// }
/// ```
///
/// except that where no backend is available, the program prints why on stderr and exits with code 1 rather than
/// panicking.
///
/// Each call makes a runtime. The function may have any name, but must not be called from within a runtime.
///
/// # Options
///
/// - `backend = "auto"`, `"epoll"` or `"uring"`: the backend of the runtime.
/// - `crate = "path"`: where to find carhop, if it is renamed or re-exported. `::carhop` by default.
///
/// ```ignore
/// #[carhop::main(backend = "uring")]
/// async fn main() {}
/// ```
///
/// # Errors
///
/// Does not compile if the function is not a plain `async fn` without parameters and generics, or if an
/// option is unknown, malformed or given twice.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(Entry::Main, options.into(), item.into()).into()
}

/// Makes a test of an `async fn`, and runs it on every backend.
///
/// The function is called once for each backend that is linked and that this machine offers, one after the other, each
/// time on a runtime of its own. The test ends with the first backend on which it fails.
///
/// ```ignore
/// #[carhop::test]
/// async fn a_sleep_is_never_short() {
///     let start = Instant::now();
///     carhop::time::sleep(Duration::from_millis(1)).await;
///     assert!(start.elapsed() >= Duration::from_millis(1));
/// }
/// ```
///
/// Other attributes work as on any test. One with `#[should_panic]` has to panic on every backend; an
/// `expected` message is compared with the last panic only.
///
/// # Options
///
/// - `backend = "auto"`, `"epoll"`, `"uring"` or `"sim"`: runs on this backend only, and fails if it is unavailable.
/// - `sim`: short for `backend = "sim"`. Time is virtual, and costs nothing; the network is in memory.
/// - `crate = "path"`: where to find carhop, if it is renamed or re-exported. `::carhop` by default.
///
/// ```ignore
/// #[carhop::test(backend = "epoll")]
/// #[should_panic(expected = "only here")]
/// async fn panics_on_epoll() {
///     panic!("only here");
/// }
/// ```
///
/// # Errors
///
/// As [`macro@main`]; and if the function is made a test twice.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(Entry::Test, options.into(), item.into()).into()
}
