//! Operations in flight: who is told of which token's results, and what the next turn is to perform.

pub(crate) mod quiesce;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use slab::Slab;

use crate::op::{Completion, Op, Token};

use quiesce::Quiesce;

/// Is told of an operation's results. `F` is what owns a descriptor that comes with one.
///
/// The table owns it until the terminal completion. That is all there is to orphans: a future or socket that goes away
/// cancels its operation, and what comes of it is dropped here.
pub(crate) trait Completer<F> {
    /// Takes one result of the operation that it started as `role`. Called with no borrow of the runtime held.
    fn complete(self: Rc<Self>, role: Role, completion: Completion<F>);

    /// Called once before a coming turn for each completer that asked for it ([`Operations::settle_later`]): as soon
    /// as the tasks that its results woke have run, or the pool runs short.
    fn settle(self: Rc<Self>) {}
}

/// What an operation is to its completer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It brings what arrives.
    Source,
    /// It attempts to write.
    Send,
    /// It waits for room to write.
    Room,
    /// It is the only one.
    Request,
}

/// The operations of one runtime.
pub(crate) struct Operations<F> {
    table: RefCell<Slab<Entry<F>>>,
    /// Counts operations, so that a late completion does not reach the wrong one.
    generation: Cell<u32>,
    staged: RefCell<Vec<(Token, Op)>>,
    unsettled: RefCell<Vec<Rc<dyn Completer<F>>>>,
    quiesce: Quiesce,
    /// How many attempts to write are in flight.
    sends: Cell<usize>,
}

struct Entry<F> {
    generation: u32,
    role: Role,
    name: &'static str,
    /// The epoch in which it was asked to end.
    ending: Option<u64>,
    /// `None` if nobody is interested.
    completer: Option<Rc<dyn Completer<F>>>,
}

impl<F> Operations<F> {
    pub(crate) fn new() -> Self {
        Self {
            table: RefCell::default(),
            generation: Cell::new(0),
            staged: RefCell::default(),
            unsettled: RefCell::default(),
            quiesce: Quiesce::default(),
            sends: Cell::new(0),
        }
    }

    /// Stages `op` for the next turn. Its results go to `completer`.
    #[inline]
    pub(crate) fn start(&self, op: Op, role: Role, completer: Rc<dyn Completer<F>>) -> Token {
        self.stage(op, role, Some(completer))
    }

    /// Stages an operation whose result interests nobody. From now on, whoever waits for operations to end waits for it,
    /// too.
    pub(crate) fn start_last(&self, op: Op) {
        let token = self.stage(op, Role::Request, None);
        self.mark_ending(token);
    }

    #[inline]
    fn stage(&self, op: Op, role: Role, completer: Option<Rc<dyn Completer<F>>>) -> Token {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        if role == Role::Send {
            self.sends.set(self.sends.get() + 1);
        }
        let entry = Entry { generation, role, name: op.name(), ending: None, completer };
        let slot = self.table.borrow_mut().insert(entry);
        let token = Token::new(slot as u32, generation);
        self.staged.borrow_mut().push((token, op));
        token
    }

    /// Asks for the end of an operation; its terminal completion follows in any case.
    pub(crate) fn cancel(&self, target: Token) {
        self.mark_ending(target);
        self.staged.borrow_mut().push((target, Op::Cancel { target }));
    }

    /// From now on, whoever waits for operations to end waits for this one, too.
    pub(crate) fn mark_ending(&self, token: Token) {
        if let Some(entry) = self.table.borrow_mut().get_mut(token.slot())
            && entry.generation == token.generation()
            && entry.ending.is_none()
        {
            entry.ending = Some(self.quiesce.begin());
        }
    }

    /// What is staged, for a turn to perform.
    #[inline]
    pub(crate) fn staged(&self) -> &RefCell<Vec<(Token, Op)>> {
        &self.staged
    }

    /// Whether any operation waits for a completion.
    #[inline]
    pub(crate) fn any_in_flight(&self) -> bool {
        !self.table.borrow().is_empty()
    }

    /// Whether attempts to write are in flight, which is until the next turn as a rule.
    #[inline]
    pub(crate) fn any_send(&self) -> bool {
        self.sends.get() > 0
    }

    /// Hands a completion to its completer.
    #[inline]
    pub(crate) fn dispatch(&self, completion: Completion<F>) {
        let slot = completion.token.slot();
        let mut table = self.table.borrow_mut();
        let entry = table.get(slot).filter(|entry| entry.generation == completion.token.generation());
        let Some(entry) = entry else {
            unreachable!("the reactor completed {:?}, which is not under way", completion.token)
        };
        let (role, ending) = (entry.role, entry.ending);
        let completer = if completion.more {
            entry.completer.clone()
        } else {
            if role == Role::Send {
                self.sends.set(self.sends.get() - 1);
            }
            table.remove(slot).completer
        };
        drop(table);
        match ending {
            None => {
                if let Some(completer) = completer {
                    completer.complete(role, completion);
                }
            }
            Some(epoch) => self.quiesce.hand_out(epoch, !completion.more, || {
                // Without a completer what the result brings is dropped here, within the epoch.
                match completer {
                    Some(completer) => completer.complete(role, completion),
                    None => drop(completion),
                }
            }),
        }
    }

    /// Has `completer` settle before the next turn.
    #[inline]
    pub(crate) fn settle_later(&self, completer: Rc<dyn Completer<F>>) {
        self.unsettled.borrow_mut().push(completer);
    }

    /// Settles who asked for it.
    pub(crate) fn settle(&self) {
        // One borrow each: settling stages operations.
        while let Some(completer) = self.next_unsettled() {
            completer.settle();
        }
    }

    fn next_unsettled(&self) -> Option<Rc<dyn Completer<F>>> {
        self.unsettled.borrow_mut().pop()
    }

    /// Cancels everything in flight.
    pub(crate) fn cancel_all(&self) {
        let table = self.table.borrow();
        let mut staged = self.staged.borrow_mut();
        for (slot, entry) in table.iter() {
            let target = Token::new(slot as u32, entry.generation);
            staged.push((target, Op::Cancel { target }));
        }
    }

    /// The names of the operations in flight.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.table.borrow().iter().map(|(_, entry)| entry.name).collect()
    }

    /// From now on, nobody is told of what is still in flight, nor asked to settle. So nothing in here keeps the sockets, and
    /// with them the reactor, which owns what they have open.
    pub(crate) fn abandon(&self) {
        let unsettled = self.unsettled.take();
        let completers: Vec<_> =
            self.table.borrow_mut().iter_mut().filter_map(|(_, entry)| entry.completer.take()).collect();
        // With nothing borrowed: they may own what is to be closed.
        drop((unsettled, completers));
    }

    /// The operations that were asked to end.
    pub(crate) fn quiesce(&self) -> &Quiesce {
        &self.quiesce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::Errno;
    use crate::op::{Fd, Outcome};

    /// Keeps what it is told.
    #[derive(Default)]
    struct Log {
        told: RefCell<Vec<(Role, bool)>>,
        settled: Cell<usize>,
    }

    impl Completer<Fd> for Log {
        fn complete(self: Rc<Self>, role: Role, completion: Completion) {
            self.told.borrow_mut().push((role, completion.more));
        }

        fn settle(self: Rc<Self>) {
            self.settled.set(self.settled.get() + 1);
        }
    }

    const FD: Fd = Fd::new(7, 0);

    fn accept(operations: &Operations<Fd>, log: &Rc<Log>) -> Token {
        operations.start(Op::Accept { fd: FD }, Role::Source, Rc::clone(log) as _)
    }

    #[test]
    fn each_result_goes_to_its_completer_and_the_last_one_frees_the_slot() {
        let (operations, log) = (Operations::new(), Rc::<Log>::default());
        let token = accept(&operations, &log);
        operations.dispatch(Completion::one(token, Outcome::Fd(FD), None));
        operations.dispatch(Completion::last(token, Err(Errno::ECANCELED)));
        assert_eq!(*log.told.borrow(), [(Role::Source, true), (Role::Source, false)]);
        assert!(!operations.any_in_flight());
        let next = accept(&operations, &log);
        assert_eq!(next.slot(), token.slot());
        assert_ne!(next, token, "a late completion of the first does not reach the second");
    }

    #[test]
    #[should_panic(expected = "which is not under way")]
    fn a_second_end_is_noticed() {
        let (operations, log) = (Operations::new(), Rc::<Log>::default());
        let token = accept(&operations, &log);
        operations.dispatch(Completion::last(token, Ok(Outcome::Done)));
        operations.dispatch(Completion::last(token, Ok(Outcome::Done)));
    }

    #[test]
    fn sends_are_counted_until_they_end() {
        let (operations, log) = (Operations::new(), Rc::<Log>::default());
        let op = Op::Send { fd: FD, data: vec![1].into() };
        let token = operations.start(op, Role::Send, Rc::clone(&log) as _);
        assert!(operations.any_send());
        operations.dispatch(Completion::last_with(token, Ok(Outcome::Count(1)), vec![1].into()));
        assert!(!operations.any_send());
    }

    #[test]
    fn whoever_waits_for_the_end_waits_for_what_nobody_is_told_of() {
        let operations = Operations::<Fd>::new();
        operations.start_last(Op::Close { fd: FD });
        let (token, _) = operations.staged().borrow_mut().pop().expect("it is staged");
        let wait = operations.quiesce().snapshot().expect("something is ending");
        assert!(operations.quiesce().wait(wait, std::task::Waker::noop().clone()).is_ok());
        operations.dispatch(Completion::last(token, Ok(Outcome::Done)));
        assert!(operations.quiesce().wait(wait, std::task::Waker::noop().clone()).is_err(), "it is over");
    }

    #[test]
    fn settling_comes_once_for_each_time_that_it_was_asked_for() {
        let (operations, log) = (Operations::<Fd>::new(), Rc::<Log>::default());
        operations.settle_later(Rc::clone(&log) as _);
        operations.settle();
        operations.settle();
        assert_eq!(log.settled.get(), 1);
    }

    #[test]
    fn cancelling_all_names_each_once() {
        let (operations, log) = (Operations::new(), Rc::<Log>::default());
        let (a, b) = (accept(&operations, &log), accept(&operations, &log));
        operations.staged().borrow_mut().clear();
        operations.cancel_all();
        let targets: Vec<_> = operations.staged().borrow().iter().map(|(target, _)| *target).collect();
        assert_eq!(targets, [a, b]);
        assert_eq!(operations.names(), ["accept", "accept"]);
    }
}
