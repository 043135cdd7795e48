//! From "An event loop is a design pattern", section "Chaining Coroutines".

use carhop::Runtime;

use crate::show::say;

async fn coro3(k: u32) -> u32 {
    k + 3
}

async fn coro2(j: u32) -> u32 {
    let j = j * j;
    coro3(j).await
}

async fn coro1() {
    let mut i = 0;
    while i < 100 {
        let res = coro2(i).await;
        say!("f({i}) = {res}");
        i += 1;
    }
}

pub fn program() {
    // Calculate x^2+3 for the first 100 ints
    let cr = coro1();
    let runtime = Runtime::new().expect("a backend");
    runtime.block_on(cr);
}
