//! What can be said of a task to those who look from outside, as plain data.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::awaits::Awaits;
use super::id::TaskId;

/// A task, as it was when somebody looked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number, which is used again some time after the task has ended.
    pub id: TaskId,
    /// Its name, if it was given one.
    pub name: Option<Cow<'static, str>>,
    /// Where in the program it was spawned.
    pub location: &'static Location<'static>,
    /// The task that spawned it, which may have ended since.
    pub parent: Option<TaskId>,
    /// What it does.
    pub state: State,
    /// How long ago it was spawned, to the step of the loop.
    pub age: Duration,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is being polled.
    Running,
    /// It is in the queue of those to be polled.
    Ready,
    /// It waits.
    Waiting {
        /// For what; the last thing that its last poll came to.
        awaits: Awaits,
        /// For how many things else.
        others: u32,
        /// If it waits for a timer that fires some day: how long that takes yet.
        left: Option<Duration>,
    },
}

impl TaskInfo {
    /// The name, or where the task was spawned: what a person knows it by.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("`{name}`"),
            None => format!("at {}", Site(self.location)),
        }
    }
}

/// `#3.1 `name` at src/main.rs:7, waits for accept on fd 5, 1.2 s old`
impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        write!(f, " at {}, {}, {} old", Site(self.location), self.state, Rough(self.age))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (awaits, others) = match self {
            State::Running => return f.write_str("running"),
            State::Ready => return f.write_str("ready"),
            State::Waiting { left: Some(left), others, .. } => {
                write!(f, "waits for a timer ({} left)", Rough(*left))?;
                return and_others(f, *others);
            }
            State::Waiting { awaits, others, .. } => (awaits, others),
        };
        match awaits {
            Awaits::Unknown => f.write_str("waits for something of its own")?,
            Awaits::Operation { name, fd } => write!(f, "waits for {name} on {fd}")?,
            Awaits::Timer { .. } => f.write_str("waits for a timer that never fires")?,
            Awaits::Task(task) => write!(f, "waits for task {task}")?,
            Awaits::Named(name) => write!(f, "waits for {name}")?,
        }
        and_others(f, *others)
    }
}

fn and_others(f: &mut fmt::Formatter<'_>, others: u32) -> fmt::Result {
    if others > 0 { write!(f, " and {others} more") } else { Ok(()) }
}

/// Without column, which tells nobody anything.
struct Site(&'static Location<'static>);

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}

/// A duration as people say it, to a tenth of its unit.
struct Rough(Duration);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?}", self.0)
    }
}
