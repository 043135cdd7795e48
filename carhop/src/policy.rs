//! Scheduling policies: which of the ready tasks runs next.
//!
//! Without a policy the order is first in, first out, as in asyncio, and the loop looks at one flag. With a policy, the
//! loop asks it before each poll. A policy cannot interrupt a poll.
//!
//! ```
//! use carhop::policy::Lifo;
//! use carhop::{Builder, spawn};
//! use std::{cell::RefCell, rc::Rc};
//!
//! let order = Rc::new(RefCell::new(String::new()));
//! let runtime = Builder::new().policy(Lifo::new).build()?;
//! runtime.block_on(async {
//!     let tasks = ["a", "b", "c"].map(|name| {
//!         let order = Rc::clone(&order);
//!         spawn(async move { order.borrow_mut().push_str(name) })
//!     });
//!     for task in tasks {
//!         task.await.unwrap();
//!     }
//! });
//! assert_eq!(*order.borrow(), "cba");
//! # Ok::<(), carhop::BuildError>(())
//! ```
//!
//! | policy | order | which tasks starve |
//! |---|---|---|
//! | none | first in, first out | none |
//! | [`Lifo`] | last in, first out | those that became ready early, while others go on becoming ready |
//! | [`Priority`] | highest number first; equals first in, first out | low numbers, while higher ones are ready |
//! | [`WeightedShares`] | each class has its share of the polls | none, unless its weight is tiny |
//! | [`SeededRandom`] | drawn by lot, the same for the same seed | none, in the long run |
//!
//! Shares count polls, not time: a task that computes for long in each poll gets more of the processor.
//! A type that implements [`Policy`] is used just like these. This one lets tasks run two by two, the later one first:
//!
//! ```
//! use carhop::policy::{Policy, Ready};
//! use carhop::task::TaskId;
//! use carhop::{Builder, yield_now};
//! use std::collections::VecDeque;
//!
//! #[derive(Default)]
//! struct Pairs(VecDeque<TaskId>);
//!
//! impl Policy for Pairs {
//!     fn push(&mut self, task: Ready) {
//!         self.0.push_back(task.task);
//!     }
//!
//!     fn pop(&mut self) -> Option<TaskId> {
//!         if self.0.len() >= 2 {
//!             self.0.swap(0, 1);
//!         }
//!         self.0.pop_front()
//!     }
//! }
//!
//! let runtime = Builder::new().policy(Pairs::default).build()?;
//! runtime.block_on(yield_now());
//! # Ok::<(), carhop::BuildError>(())
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

pub use runtime_core::policy::{Policy, Ready};
use runtime_core::task::TaskId;

/// Last in, first out. A task that became ready early waits as long as others go on becoming ready: a task that keeps
/// waking itself starves all others.
#[derive(Debug, Default)]
pub struct Lifo {
    stack: Vec<TaskId>,
}

impl Lifo {
    /// A policy without ready tasks.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Policy for Lifo {
    fn push(&mut self, task: Ready) {
        self.stack.push(task.task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.stack.pop()
    }
}

/// The highest [priority](crate::task::Builder::priority) first, and first in, first out among equals. Low priorities
/// starve while higher ones are ready.
#[derive(Debug, Default)]
pub struct Priority {
    /// Each with the number of its arrival, reversed: of equal priorities, the earlier one is the greater.
    ready: BinaryHeap<(u32, Reverse<u64>, TaskId)>,
    arrivals: u64,
}

impl Priority {
    /// A policy without ready tasks.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Policy for Priority {
    fn push(&mut self, task: Ready) {
        self.ready.push((task.priority, Reverse(self.arrivals), task.task));
        self.arrivals += 1;
    }

    fn pop(&mut self) -> Option<TaskId> {
        self.ready.pop().map(|(.., task)| task)
    }
}

/// Shares the polls among classes of tasks: while several have ready tasks, each is polled in proportion to its weight
/// (stride scheduling, Waldspurger and Weihl 1995). The class of a task is its
/// [priority](crate::task::Builder::priority). Within a class it is first in, first out. A class that was idle is
/// not compensated for that time. Meant for few classes: each choice looks at all that there ever were.
#[derive(Debug)]
pub struct WeightedShares {
    classes: BTreeMap<u32, Class>,
    /// The pass of the class that was chosen last.
    pass: u128,
}

#[derive(Debug)]
struct Class {
    /// How far a poll moves its pass: the less, the more often it is chosen.
    stride: u128,
    /// The class with the lowest pass is chosen.
    pass: u128,
    ready: VecDeque<TaskId>,
}

impl Class {
    fn new(weight: u32) -> Self {
        Self { stride: Self::STRIDE_OF_ONE / u128::from(weight), pass: 0, ready: VecDeque::new() }
    }

    /// Large against all weights, so that rounding does not matter, and small against 128 bits, so that the sum does
    /// not overflow in centuries.
    const STRIDE_OF_ONE: u128 = 1 << 64;
}

impl WeightedShares {
    /// Pairs of class and weight: `[(1, 3), (2, 1)]` gives three polls to tasks of priority 1 for one to those of
    /// priority 2. Other classes have weight 1.
    ///
    /// # Panics
    ///
    /// If a weight is zero.
    #[track_caller]
    pub fn new(weights: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut classes = BTreeMap::new();
        for (class, weight) in weights {
            assert!(weight > 0, "class {class} has weight 0: it would never run");
            classes.insert(class, Class::new(weight));
        }
        Self { classes, pass: 0 }
    }
}

impl Policy for WeightedShares {
    fn push(&mut self, task: Ready) {
        let class = self.classes.entry(task.priority).or_insert_with(|| Class::new(1));
        if class.ready.is_empty() {
            class.pass = class.pass.max(self.pass);
        }
        class.ready.push_back(task.task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        let waiting = self.classes.values_mut().filter(|class| !class.ready.is_empty());
        let class = waiting.min_by_key(|class| class.pass)?;
        self.pass = class.pass;
        class.pass += class.stride;
        class.ready.pop_front()
    }
}

/// Draws lots among the ready tasks. The same seed gives the same order, so a bug that depends on the order can be
/// searched for with many seeds and found again with one. Events from outside (sockets, timers, other threads) do not
/// become repeatable by this.
#[derive(Debug)]
pub struct SeededRandom {
    lots: fastrand::Rng,
    ready: Vec<TaskId>,
}

impl SeededRandom {
    /// A policy without ready tasks.
    pub fn new(seed: u64) -> Self {
        Self { lots: fastrand::Rng::with_seed(seed), ready: Vec::new() }
    }
}

impl Policy for SeededRandom {
    fn push(&mut self, task: Ready) {
        self.ready.push(task.task);
    }

    fn pop(&mut self) -> Option<TaskId> {
        if self.ready.is_empty() {
            return None;
        }
        let lot = self.lots.usize(..self.ready.len());
        Some(self.ready.swap_remove(lot))
    }
}
