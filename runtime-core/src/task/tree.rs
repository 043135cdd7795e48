//! All tasks, drawn as a tree.

use std::collections::HashMap;
use std::fmt;

use super::id::TaskId;
use super::info::TaskInfo;

/// All tasks of a runtime at one time. Its `Display` draws who spawned whom.
#[derive(Clone, Debug)]
pub struct TaskTree {
    tasks: Vec<TaskInfo>,
}

impl TaskTree {
    pub(crate) fn new(tasks: Vec<TaskInfo>) -> Self {
        Self { tasks }
    }

    /// The tasks, the future of `block_on` first, in the order of their slots.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }
}

/// Deeper tasks are drawn no further to the right: the room of a long chain would be its length squared.
const MAX_INDENTED: usize = 64;

impl fmt::Display for TaskTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: HashMap<TaskId, usize> =
            self.tasks.iter().enumerate().map(|(place, task)| (task.id, place)).collect();
        let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (place, task) in self.tasks.iter().enumerate() {
            let parent = task.parent.and_then(|parent| known.get(&parent)).copied();
            children.entry(parent).or_default().push(place);
        }
        // A stack of its own: chains of tasks may be long.
        let mut left: Vec<(usize, usize)> = Vec::new();
        let enter = |left: &mut Vec<(usize, usize)>, parent, depth| {
            let places = children.get(&parent).map_or(&[][..], Vec::as_slice);
            left.extend(places.iter().rev().map(|&place| (place, depth)));
        };
        enter(&mut left, None, 0);
        while let Some((place, depth)) = left.pop() {
            writeln!(f, "{:1$}{2}", "", 2 * depth.min(MAX_INDENTED), self.tasks[place])?;
            enter(&mut left, Some(place), depth + 1);
        }
        Ok(())
    }
}
