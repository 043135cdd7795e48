//! Operations in flight: who waits for which token, and what the next turn is to perform.

use std::cell::{Cell, RefCell};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use slab::Slab;

use crate::endings::Endings;
use crate::op::{Op, Token};
use crate::outbox::Outbox;
use crate::reactor::Completion;

/// Hears of an operation's results.
///
/// The table owns it until the terminal completion, and with it whatever memory the operation names, unless that is
/// still the future's (`WriteChunk`). That is all there is to orphans: a future or socket that goes away cancels its
/// operation and leaves the rest here.
pub(crate) trait Completer {
    /// Takes one result. Called with no borrow of the runtime held.
    fn complete(self: Rc<Self>, completion: Completion);

    /// Called once before a coming turn for each completer that asked for it ([`Operations::settle_later`]): as soon
    /// as the tasks that its results woke have run, or the pool runs short.
    fn settle(self: Rc<Self>) {}
}

/// The operations of one runtime.
pub(crate) struct Operations {
    table: RefCell<Slab<Entry>>,
    /// Counts operations, so that a late completion does not reach the wrong one.
    generation: Cell<u32>,
    pub(crate) staged: RefCell<Vec<(Token, Op)>>,
    unsettled: RefCell<Vec<Rc<dyn Completer>>>,
    pub(crate) endings: Endings,
    /// How many attempts to write are in flight.
    sends: Cell<usize>,
    /// What they are to write, as far as it is copied.
    outbox: Rc<Outbox>,
    ignore: Rc<Ignore>,
}

struct Entry {
    generation: u32,
    name: &'static str,
    /// It is an attempt to write.
    sends: bool,
    /// What it writes is in the outbox until it ends.
    in_outbox: bool,
    /// The epoch in which it was asked to end.
    ending: Option<u64>,
    completer: Rc<dyn Completer>,
}

impl Operations {
    pub(crate) fn new() -> Self {
        Self {
            table: RefCell::new(Slab::new()),
            generation: Cell::new(0),
            staged: RefCell::new(Vec::new()),
            unsettled: RefCell::new(Vec::new()),
            endings: Endings::default(),
            sends: Cell::new(0),
            outbox: Rc::default(),
            ignore: Rc::new(Ignore),
        }
    }

    /// Stages `op` for the next turn. Its results go to `completer`.
    ///
    /// # Safety
    ///
    /// Memory that `op` names is not freed, moved or changed before the terminal completion, or before it is withdrawn:
    /// `completer` owns it, or whoever owns it hands it to `completer` rather than let go of it. Its descriptor stays
    /// open until then, or until the op is cancelled and then closed.
    pub(crate) unsafe fn start(&self, op: Op, completer: Rc<dyn Completer>) -> Token {
        self.enter(op, completer, false)
    }

    /// Stages an attempt to write a copy of `bytes`. `None` if so much is staged already that there is no room.
    ///
    /// # Safety
    ///
    /// The descriptor stays open until the attempt ends, or until it is closed behind it.
    pub(crate) unsafe fn send(&self, fd: RawFd, bytes: &[u8], completer: Rc<dyn Completer>) -> Option<Token> {
        let bytes = self.outbox.insert(bytes)?;
        Some(self.enter(Op::Send { fd, bytes }, completer, true))
    }

    /// Whether attempts to write are in flight, which is until the next turn as a rule.
    pub(crate) fn any_send(&self) -> bool {
        self.sends.get() > 0
    }

    /// Whether this operation, which is in flight, is an attempt to write.
    pub(crate) fn is_send(&self, token: Token) -> bool {
        self.table.borrow().get(token.slot()).is_some_and(|entry| entry.sends)
    }

    fn enter(&self, op: Op, completer: Rc<dyn Completer>, in_outbox: bool) -> Token {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let sends = matches!(op, Op::Send { .. });
        self.sends.set(self.sends.get() + usize::from(sends));
        let entry = Entry { generation, name: op.name(), sends, in_outbox, ending: None, completer };
        let slot = self.table.borrow_mut().insert(entry);
        let token = Token::new(slot as u32, generation);
        self.staged.borrow_mut().push((token, op));
        token
    }

    /// Asks for the end of an operation; its terminal completion follows in any case.
    pub(crate) fn cancel(&self, target: Token) {
        self.is_ending(target);
        self.staged.borrow_mut().push((target, Op::Cancel { target }));
    }

    /// Takes back an attempt to write that no turn has seen yet, so that it is not made and has no completion. `false`
    /// if it is too late for that.
    pub(crate) fn withdraw(&self, token: Token) -> bool {
        let is_it = |(staged, op): &(Token, Op)| *staged == token && matches!(op, Op::Send { .. });
        let Some(place) = self.staged.borrow().iter().position(is_it) else { return false };
        self.staged.borrow_mut().remove(place);
        let entry = self.leave(&mut self.table.borrow_mut(), token.slot());
        // With nothing borrowed any more.
        drop(entry);
        true
    }

    /// Closes a descriptor in the next turn.
    pub(crate) fn close(&self, fd: OwnedFd) {
        let completer = Rc::clone(&self.ignore) as Rc<dyn Completer>;
        // SAFETY: a close names no memory, and owns its descriptor from here on.
        let token = unsafe { self.start(Op::Close { fd: fd.into_raw_fd() }, completer) };
        self.is_ending(token);
    }

    /// From now on, who waits for operations to end waits for this one, too.
    pub(crate) fn is_ending(&self, token: Token) {
        if let Some(entry) = self.table.borrow_mut().get_mut(token.slot())
            && entry.generation == token.generation()
            && entry.ending.is_none()
        {
            entry.ending = Some(self.endings.begin());
        }
    }

    /// Whether any operation waits for a completion.
    pub(crate) fn any_in_flight(&self) -> bool {
        !self.table.borrow().is_empty()
    }

    /// Hands a completion to whom it belongs.
    pub(crate) fn dispatch(&self, completion: Completion) {
        let (completer, ending) = {
            let mut table = self.table.borrow_mut();
            let slot = completion.token.slot();
            match table.get(slot) {
                Some(entry) if entry.generation == completion.token.generation() => {
                    if completion.more {
                        (Rc::clone(&entry.completer), entry.ending)
                    } else {
                        let entry = self.leave(&mut table, slot);
                        (entry.completer, entry.ending)
                    }
                }
                _ => unreachable!("the reactor completed an operation twice: {completion:?}"),
            }
        };
        match ending {
            None => completer.complete(completion),
            Some(epoch) => self.endings.hand_out(epoch, !completion.more, || completer.complete(completion)),
        }
    }

    /// An operation is over.
    #[inline]
    fn leave(&self, table: &mut Slab<Entry>, slot: usize) -> Entry {
        let entry = table.remove(slot);
        self.sends.set(self.sends.get() - usize::from(entry.sends));
        if entry.in_outbox {
            self.outbox.remove();
        }
        entry
    }

    /// Has `completer` settle before the next turn.
    pub(crate) fn settle_later(&self, completer: Rc<dyn Completer>) {
        self.unsettled.borrow_mut().push(completer);
    }

    /// Settles who asked for it.
    pub(crate) fn settle(&self) {
        // By index, one borrow each: settling stages operations.
        while let Some(completer) = self.next_unsettled() {
            completer.settle();
        }
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

    /// Gives up on what is still in flight: what the kernel may still use is never freed.
    pub(crate) fn leak(&self) {
        std::mem::forget(std::mem::take(&mut *self.table.borrow_mut()));
        std::mem::forget(Rc::clone(&self.outbox));
    }

    fn next_unsettled(&self) -> Option<Rc<dyn Completer>> {
        self.unsettled.borrow_mut().pop()
    }
}

/// For operations whose result interests nobody.
struct Ignore;

impl Completer for Ignore {
    fn complete(self: Rc<Self>, _: Completion) {}
}
