//! From "An event loop is a design pattern", its example of a callback function in plain Python.

use crate::show::say;

fn print_result(result: i32) {
    say!("The result is {result}");
}

fn calculate_sum(a: i32, b: i32, callback: impl FnOnce(i32)) {
    let sum = a + b;
    callback(sum);
}

pub fn program() {
    calculate_sum(5, 10, print_result);
}
