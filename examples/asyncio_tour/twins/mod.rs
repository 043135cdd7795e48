//! The programs, each in a file with the name of its original in `../python`.

mod blocking;
mod callback;
mod chained;
mod cook;
mod coroutine_object;
mod create_task;
mod do_something_important;
mod done_callback;
mod execution_flow;
mod fetch_data;
mod future;
mod gather_raises;
mod gather_returns_exceptions;
mod greet_not_run;
mod greet_run;
mod one_yield;
mod say_after;
mod say_hello;
mod sequential;
mod subtasks;
mod two_runs;
mod two_tasks;
mod two_yields;

/// A program of the tour.
#[derive(Debug)]
pub struct Twin {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(),
}

/// All programs, in the order in which the tour runs them.
pub const TOUR: &[Twin] = &[
    // From "Understanding the Event Loop".
    twin("subtasks", "a main coroutine waits for three others, which take turns", subtasks::program),
    twin("done_callback", "a callback receives the result of a task", done_callback::program),
    // From "Async IO Package".
    twin("two_tasks", "two tasks sleep at the same time", two_tasks::program),
    twin("blocking", "what blocks stops the entire loop, what awaits does not", blocking::program),
    // From "What is the Event Loop?".
    twin("cook", "three dishes start at once and are done together", cook::program),
    twin("say_hello", "`run` starts the loop, `await` does not", say_hello::program),
    twin("greet_not_run", "a coroutine that nobody runs does nothing", greet_not_run::program),
    twin("greet_run", "the same coroutine, run: it takes a second, and prints nothing", greet_run::program),
    twin("one_yield", "two tasks that are ready take turns, first in first out", one_yield::program),
    twin("two_yields", "again, with two yields each", two_yields::program),
    twin("two_runs", "two `run`s are two loops, one after the other", two_runs::program),
    twin("fetch_data", "`gather` takes the longest, and keeps the order of results", fetch_data::program),
    twin("gather_raises", "the first error ends the wait for all", gather_raises::program),
    twin("gather_returns_exceptions", "errors are results like others", gather_returns_exceptions::program),
    twin("sequential", "one after the other takes the sum, together the longest", sequential::program),
    // From "An event loop is a design pattern".
    twin("callback", "a callback without any loop", callback::program),
    twin(
        "do_something_important",
        "one sleep of ten seconds; prints nothing",
        do_something_important::program,
    ),
    twin("say_after", "two delays of three seconds take three seconds", say_after::program),
    twin("chained", "coroutines that await one another, on a loop kept by hand", chained::program),
    // From "asyncio: Core Idea of Asyncio".
    twin("coroutine_object", "calling a coroutine does not run it", coroutine_object::program),
    twin("create_task", "a task starts by itself", create_task::program),
    twin("future", "a value, or an error, that will exist later", future::program),
    twin("execution_flow", "the eight steps of a task's life", execution_flow::program),
];

const fn twin(name: &'static str, about: &'static str, run: fn()) -> Twin {
    Twin { name, about, run }
}
