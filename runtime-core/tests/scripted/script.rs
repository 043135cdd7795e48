//! A reactor that a test plays: it says what is staged, and reports what it is told to.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::call::Call;
use runtime_core::clock::Nanos;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Attempt, Completion, Control, End, Fd, Op, Outcome, SocketOption, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};
use runtime_core::{Config, Runtime};

/// The test's hand on the reactor.
#[derive(Clone, Default)]
pub struct Script(Rc<State>);

#[derive(Default)]
struct State {
    now: Cell<Nanos>,
    log: RefCell<Vec<String>>,
    under_way: RefCell<Vec<(Token, Op)>>,
    /// What the next turn reports, in `done` and in `sent`.
    done: RefCell<VecDeque<Completion>>,
    sent: RefCell<VecDeque<Completion>>,
    /// What happens while a turn waits, one for each wait.
    events: RefCell<VecDeque<Event>>,
    manners: Cell<Manners>,
    /// No attempt to write finds room.
    is_full: Cell<bool>,
    /// What was written.
    wire: RefCell<Vec<u8>>,
    /// Open or not, by number.
    descriptors: RefCell<Vec<bool>>,
    pool: RefCell<Option<Rc<Pool>>>,
    bell: Arc<Bell>,
}

type Event = Box<dyn FnOnce(&Script)>;

/// How the reactor behaves.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Manners {
    /// As the contract says: closes and cancels are answered in the turn that they are staged in.
    #[default]
    Kept,
    /// Nothing that it was given ever ends.
    Deaf,
    /// A turn panics before it does anything.
    Panics,
    /// A turn fails before it does anything.
    Fails,
    /// A turn leaves what is staged where it is.
    Idles,
}

/// Counts how often it is rung.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Unpark for Bell {
    fn unpark(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Script {
    /// A runtime on this reactor, with as many receive buffers of 8 bytes.
    pub fn runtime(&self, pool_chunks: u16) -> Runtime {
        self.runtime_with(Config { pool_chunks, ..Config::default() })
    }

    /// The same, with a turn before each poll: so a yield is followed by one.
    pub fn runtime_of_single_polls(&self) -> Runtime {
        self.runtime_with(Config { pool_chunks: 4, polls_per_step: 1, ..Config::default() })
    }

    /// The same, with all that can be set, but for the length of the buffers.
    pub fn runtime_with(&self, config: Config) -> Runtime {
        // Tests bring incidents about on purpose, which would be reported in the middle of the list of tests.
        let on_incident = config.on_incident.clone().or(Some(Arc::new(|_| ())));
        Runtime::new(self.reactor(), &Config { chunk_len: 8, on_incident, ..config }).expect("a runtime")
    }

    pub fn reactor(&self) -> Box<dyn Reactor> {
        Box::new(ScriptedReactor(self.clone()))
    }

    pub fn behave(&self, manners: Manners) {
        self.0.manners.set(manners);
    }

    /// From now on, no attempt to write finds room.
    pub fn fill(&self) {
        self.0.is_full.set(true);
    }

    pub fn now(&self) -> Nanos {
        self.0.now.get()
    }

    pub fn pass(&self, duration: Duration) {
        self.0.now.set(self.now().saturating_add(duration));
    }

    pub fn log(&self, event: impl Into<String>) {
        self.0.log.borrow_mut().push(event.into());
    }

    /// What happened since the last time, with a comma between each two.
    pub fn take_log(&self) -> String {
        self.0.log.take().join(", ")
    }

    /// While the next turn waits that has nothing else to wait for, `event` happens.
    pub fn while_waiting(&self, event: impl FnOnce(&Script) + 'static) {
        self.0.events.borrow_mut().push_back(Box::new(event));
    }

    /// How often another thread ended a wait, or would have.
    pub fn unparks(&self) -> usize {
        self.0.bell.0.load(Ordering::Relaxed)
    }

    /// The names of what is under way.
    pub fn under_way(&self) -> Vec<&'static str> {
        self.0.under_way.borrow().iter().map(|(_, op)| op.name()).collect()
    }

    /// The bytes of the writes that are under way.
    pub fn staged_bytes(&self) -> Vec<String> {
        let text = |op: &Op| match op {
            Op::Send { data, .. } => Some(data.escape_ascii().to_string()),
            _ => None,
        };
        self.0.under_way.borrow().iter().filter_map(|(_, op)| text(op)).collect()
    }

    /// How many receive buffers are free.
    pub fn free_chunks(&self) -> usize {
        self.0.pool.borrow().as_ref().expect("there was a turn").available()
    }

    /// The number of open descriptors.
    pub fn open_descriptors(&self) -> usize {
        self.0.descriptors.borrow().iter().filter(|&&is_open| is_open).count()
    }

    /// A new descriptor.
    pub fn open_one(&self) -> Fd {
        let mut descriptors = self.0.descriptors.borrow_mut();
        descriptors.push(true);
        Fd::new(descriptors.len() as u32 - 1, 0)
    }

    fn close(&self, fd: Fd) {
        let was_open = std::mem::replace(&mut self.0.descriptors.borrow_mut()[fd.number() as usize], false);
        assert!(was_open, "{fd:?} is closed twice");
    }

    /// The token of the first operation of that name that is under way.
    pub fn token(&self, name: &str) -> Token {
        let under_way = self.0.under_way.borrow();
        let found = under_way.iter().find(|(_, op)| op.name() == name);
        found.unwrap_or_else(|| panic!("no {name} is under way, only {under_way:?}")).0
    }

    /// Has the next turn report one of several results of the first operation of that name.
    pub fn bring(&self, name: &str, outcome: Outcome, data: Option<Data>) {
        self.report(Completion::one(self.token(name), outcome, data));
    }

    /// Has the next turn report that these bytes were received by the first receive.
    pub fn receive(&self, bytes: &[u8]) {
        let chunk = self.chunk(bytes);
        self.bring("receive", Outcome::Count(bytes.len()), Some(chunk));
    }

    /// Has the next turn report the end of the first operation of that name, with what it owns.
    pub fn end(&self, name: &str, result: Result<Outcome, Errno>) {
        let token = self.token(name);
        let op = self.take(token).expect("it was just found");
        let queue = if let Op::Send { .. } = op { &self.0.sent } else { &self.0.done };
        queue.borrow_mut().push_back(Completion { token, result, more: false, data: op.into_data() });
    }

    /// What was written, of staged writes and of attempts.
    pub fn wire(&self) -> Vec<u8> {
        self.0.wire.borrow().clone()
    }

    /// Has the next turn report that so many bytes of the first staged write were written, at most, if there is one.
    pub fn take_of_send(&self, count: usize) {
        self.end_send(|data| {
            let taken = &data[..count.min(data.len())];
            self.0.wire.borrow_mut().extend_from_slice(taken);
            Ok(Outcome::Count(taken.len()))
        });
    }

    /// Has the next turn report that the first staged write failed, if there is one.
    pub fn fail_send(&self, errno: Errno) {
        self.end_send(|_| Err(errno));
    }

    /// Has the next turn report that there is room, if somebody waits for that.
    pub fn make_room(&self) {
        let under_way = self.0.under_way.borrow();
        let waiting =
            under_way.iter().find(|(_, op)| matches!(op, Op::Writable { .. })).map(|(token, _)| *token);
        drop(under_way);
        if let Some(token) = waiting {
            self.take(token);
            self.report(Completion::last(token, Ok(Outcome::Done)));
        }
    }

    fn end_send(&self, result: impl FnOnce(&Data) -> Result<Outcome, Errno>) {
        let mut under_way = self.0.under_way.borrow_mut();
        let Some(place) = under_way.iter().position(|(_, op)| matches!(op, Op::Send { .. })) else { return };
        let (token, Op::Send { data, .. }) = under_way.remove(place) else { unreachable!("it is a send") };
        self.0.sent.borrow_mut().push_back(Completion::last_with(token, result(&data), data));
    }

    /// Calls the closure that is under way, as a thread would, and has the next turn report that.
    pub fn run_job(&self) {
        let token = self.token("blocking work");
        let Some(Op::Call(call)) = self.take(token) else { panic!("it is no call") };
        let Call::Run(job) = call else { panic!("it is no closure") };
        job.run(&|| ());
        self.report(Completion::last(token, Ok(Outcome::Done)));
    }

    /// Has the next turn report something.
    pub fn report(&self, completion: Completion) {
        self.0.done.borrow_mut().push_back(completion);
    }

    /// These bytes, in a chunk of the pool.
    pub fn chunk(&self, bytes: &[u8]) -> Data {
        let pool = self.0.pool.borrow().clone().expect("there was a turn");
        let mut chunk = pool.take().expect("a chunk is free");
        chunk.space()[..bytes.len()].copy_from_slice(bytes);
        chunk.set_len(bytes.len());
        Data::Chunk(chunk)
    }

    fn take(&self, token: Token) -> Option<Op> {
        let mut under_way = self.0.under_way.borrow_mut();
        let place = under_way.iter().position(|(other, _)| *other == token)?;
        Some(under_way.remove(place).1)
    }

    fn perform(&self, token: Token, op: Op) {
        self.log(op.name());
        match op {
            Op::Cancel { target } => {
                if let Some(op) = self.take(target) {
                    let data = op.into_data();
                    self.report(Completion {
                        token: target,
                        result: Err(Errno::ECANCELED),
                        more: false,
                        data,
                    });
                }
            }
            Op::Close { fd } => {
                self.close(fd);
                self.report(Completion::last(token, Ok(Outcome::Done)));
            }
            op => self.0.under_way.borrow_mut().push((token, op)),
        }
    }

    fn has_news(&self) -> bool {
        !self.0.done.borrow().is_empty() || !self.0.sent.borrow().is_empty()
    }

    fn wait(&self, wait: Wait) {
        let event = self.0.events.borrow_mut().pop_front();
        match (event, wait) {
            (_, Wait::No) => unreachable!("it does not wait"),
            (Some(event), _) => event(self),
            (None, Wait::Until(deadline)) => self.0.now.set(self.now().max(deadline)),
            (None, Wait::Forever) => panic!("nothing will ever end this wait"),
        }
    }
}

struct ScriptedReactor(Script);

impl Reactor for ScriptedReactor {
    fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        let script = &self.0;
        script.0.pool.borrow_mut().get_or_insert_with(|| Rc::clone(turn.pool));
        script.log(match turn.wait {
            Wait::No => "turn",
            Wait::Until(_) => "turn that waits a while",
            Wait::Forever => "turn that waits",
        });
        match script.0.manners.get() {
            Manners::Kept => turn.staged.drain(..).for_each(|(token, op)| script.perform(token, op)),
            Manners::Deaf => script.0.under_way.borrow_mut().append(turn.staged),
            // Without the hook, which would report it in the middle of the list of tests.
            Manners::Panics => std::panic::resume_unwind(Box::new("the reactor panics")),
            Manners::Fails => return Err(io::Error::other("the reactor fails")),
            Manners::Idles => {}
        }
        if turn.wait != Wait::No && !turn.has_results() && !script.has_news() {
            script.wait(turn.wait);
        }
        turn.done.append(&mut script.0.done.borrow_mut());
        turn.sent.append(&mut script.0.sent.borrow_mut());
        Ok(())
    }

    fn idle(&self, _: &Pool) -> Wait {
        if self.0.has_news() { Wait::No } else { Wait::Forever }
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Nanos {
        self.0.now()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        Ok(Arc::clone(&self.0.0.bell) as _)
    }

    fn attempt(&mut self, _: Fd, attempt: Attempt<'_>) -> io::Result<usize> {
        let Attempt::Send(bytes) = attempt;
        if self.0.0.is_full.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.log(format!("attempt {}", bytes.escape_ascii()));
        self.0.0.wire.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn open(&mut self, _: Family, _: Kind) -> io::Result<Fd> {
        Ok(self.0.open_one())
    }

    fn import(&mut self, fd: OwnedFd) -> Result<Fd, (io::Error, OwnedFd)> {
        Err((io::ErrorKind::Unsupported.into(), fd))
    }

    fn export(&mut self, _: Fd) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn disown(&mut self, fd: Fd) {
        self.0.close(fd);
    }

    fn share(&mut self, _: Fd) -> io::Result<Arc<OwnedFd>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn control(&mut self, _: Fd, _: Control<'_>) -> io::Result<()> {
        Ok(())
    }

    fn option(&mut self, _: Fd, _: SocketOption) -> io::Result<u32> {
        Ok(0)
    }

    fn address(&mut self, _: Fd, _: End) -> io::Result<SockAddr> {
        Ok(SockAddr::Inet(([127, 0, 0, 1], 1).into()))
    }
}

/// What the reactor still owns is closed with it.
impl Drop for ScriptedReactor {
    fn drop(&mut self) {
        self.0.0.under_way.borrow_mut().clear();
        self.0.0.descriptors.borrow_mut().fill(false);
        self.0.log("reactor dropped");
    }
}
