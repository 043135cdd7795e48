//! The load: clients on plain epoll, in one thread, with no async runtime.
//!
//! [`Load::connect`] opens the connections, [`Load::run`] sends requests and measures a window of time,
//! [`Load::finish`] looks for what should not have come. Between warming up and the window nothing stops, so
//! that the window begins in the middle of the usual.

mod bytes;
mod connect;
mod connection;
mod pacer;
mod window;

use std::time::{Duration, Instant};

use bench::program::{Failure, Interrupt};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::scenario::{Pace, Scenario};
pub use connect::connect;
use connection::{Connection, Scratch};
use pacer::Pacer;
pub use window::{Span, Window};

/// How the load is to be.
pub struct Plan<'a> {
    pub scenario: Scenario,
    pub pace: Pace,
    /// How long to measure.
    pub window: Duration,
    /// Whether to check each byte that comes back.
    pub verify: bool,
    /// Whether to ask for events again and again instead of sleeping, so that what is measured does not have
    /// the load's own waking up in it. Only where the load has a core of its own.
    pub spin: bool,
    /// How long to wait when nothing comes back.
    pub patience: Duration,
    pub interrupt: &'a Interrupt,
}

impl Plan<'_> {
    /// How long to wait before measuring.
    pub fn warm_up(&self) -> Duration {
        self.window / 4
    }
}

/// Clients that are connected.
pub struct Load<'a> {
    plan: &'a Plan<'a>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    scratch: Scratch,
    events: Vec<Event>,
    started: Instant,
    /// Requests without an answer.
    waiting: usize,
    /// When the last bytes came, or the first request was sent after a silence.
    progress_ns: u64,
    /// Time in which there was nothing to do.
    idle_ns: u64,
}

impl<'a> Load<'a> {
    /// Connects the clients, some at a time. Each sends a request and waits for its answer, so that the server
    /// has accepted it before the next ones come.
    pub fn connect(port: u16, plan: &'a Plan<'a>) -> Result<Self, Failure> {
        const AT_A_TIME: usize = 64;
        const EVENTS: usize = 1024;
        let total = plan.scenario.connections;
        let mut load = Self {
            plan,
            epoll: epoll::create(CreateFlags::CLOEXEC).map_err(std::io::Error::from)?,
            connections: Vec::with_capacity(total),
            scratch: Scratch::new(plan.verify),
            events: Vec::with_capacity(EVENTS),
            started: Instant::now(),
            waiting: 0,
            progress_ns: 0,
            idle_ns: 0,
        };
        while load.connections.len() < total {
            let first = load.connections.len();
            let end = total.min(first + AT_A_TIME);
            for index in first..end {
                plan.interrupt.check()?;
                let failed = |error| format!("connection {} of {total}: {error}", index + 1);
                load.add(port).map_err(failed)?;
            }
            for index in first..end {
                load.request(index, 1, load.now_ns())?;
            }
            while load.waiting > 0 {
                load.turn(None, |_, _| false)?;
            }
        }
        Ok(load)
    }

    fn add(&mut self, port: u16) -> std::io::Result<()> {
        let socket = connect(port, self.plan.patience)?;
        socket.set_nonblocking(true)?;
        // Any number will do that differs from those of the others.
        let index = self.connections.len() as u64;
        epoll::add(&self.epoll, &socket, EventData::new_u64(index), EventFlags::IN)?;
        self.connections.push(Connection::new(socket, index + 1));
        Ok(())
    }

    /// Sends requests for the time of `warm_up` and then of `window`, and waits for the answers. The window lasts
    /// longer where nothing has been measured by its end. `probe` is called when it begins and when it ends.
    pub fn run(
        &mut self,
        warm_up: Duration,
        window: Duration,
        probe: &mut dyn FnMut(),
    ) -> Result<Window, Failure> {
        let begin = self.now_ns();
        let mut span = Span::new(begin, warm_up, window);
        let mut result = Window::default();
        let mut pacer = Pacer::new(begin, self.plan.pace);
        if self.plan.pace == Pace::Closed {
            for index in 0..self.connections.len() {
                self.request(index, self.plan.scenario.pipeline, self.now_ns())?;
            }
        }
        let mut idle_before = 0;
        while !span.is_over() || self.waiting > 0 {
            let now = self.now_ns();
            if span.begins(now) {
                probe();
                idle_before = self.idle_ns;
                span.begun_ns = Some(self.now_ns());
            } else if span.ends(now) && !result.latency.is_empty() {
                span.ended_ns = Some(now);
                result.idle_ns = self.idle_ns - idle_before;
                probe();
            }
            let open = span.ended_ns.is_none();
            if open {
                pacer.send_due(self, now)?;
            } else if pacer.next_due_ns.is_some() && span.is_past_by(now, self.plan.patience) {
                break;
            }
            let next = if open { pacer.next_due_ns.into_iter().chain([span.next_ns()]).min() } else { None };
            let closed = self.plan.pace == Pace::Closed;
            self.turn(next, |due, now| {
                result.count(&span, due, now);
                closed && open
            })?;
        }
        // Only at a fixed rate that the server cannot keep up with: it still works on what piled up.
        let now = self.now_ns();
        for connection in &self.connections {
            connection.unanswered().for_each(|due| result.give_up(&span, due, now));
        }
        result.span_ns = span.length_ns();
        Ok(result)
    }

    /// Sends so many requests, as answers bring them, and waits until all are answered. Adds those that are to
    /// `answers`, also if it fails.
    pub fn exchange(&mut self, requests: u64, answers: &mut u64) -> Result<(), Failure> {
        let mut left = requests;
        for index in 0..self.connections.len() {
            let first = left.min(self.plan.scenario.pipeline as u64);
            left -= first;
            self.request(index, first as usize, self.now_ns())?;
        }
        while self.waiting > 0 {
            self.turn(None, |_, _| {
                *answers += 1;
                let goes_on = left > 0;
                left -= u64::from(goes_on);
                goes_on
            })?;
        }
        Ok(())
    }

    /// With `verify`: ends each client's direction, and waits until the server has ended its own. An error if
    /// anything comes before that. A server that does not end it within a while has sent nothing more.
    pub fn finish(mut self) -> Result<(), Failure> {
        const AFTERMATH: Duration = Duration::from_millis(500);
        if !self.plan.verify || self.waiting > 0 {
            return Ok(());
        }
        for connection in &self.connections {
            // One that is broken already shows below.
            let _ = connection.end();
        }
        let deadline = Instant::now() + AFTERMATH.min(self.plan.patience);
        let mut left = self.connections.len();
        while left > 0 && Instant::now() < deadline {
            self.wait(Some(Duration::from_millis(10)))?;
            let events = std::mem::take(&mut self.events);
            for event in &events {
                let connection = &mut self.connections[event.data.u64() as usize];
                if connection.has_ended(&mut self.scratch)? {
                    epoll::delete(&self.epoll, &*connection).map_err(std::io::Error::from)?;
                    left -= 1;
                }
            }
            self.events = events;
        }
        Ok(())
    }

    /// Adds `count` requests on connection `index`, and sends what there is room for.
    fn request(&mut self, index: usize, count: usize, due_ns: u64) -> Result<(), Failure> {
        if self.waiting == 0 {
            self.progress_ns = self.now_ns();
        }
        for _ in 0..count {
            self.connections[index].request(self.plan.scenario.size, due_ns);
        }
        self.waiting += count;
        self.send(index)
    }

    fn send(&mut self, index: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[index];
        let blocked = !connection.send(&mut self.scratch)?;
        if blocked != connection.awaits_room {
            connection.awaits_room = blocked;
            let interest = if blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &*connection, EventData::new_u64(index as u64), interest)
                .map_err(std::io::Error::from)?;
        }
        Ok(())
    }

    /// Waits for events, until `until_ns` at the latest, and handles them. `answered` hears of each answer (when
    /// its request was due, and when it came), and says whether to send another request in its place.
    fn turn(
        &mut self,
        until_ns: Option<u64>,
        mut answered: impl FnMut(u64, u64) -> bool,
    ) -> Result<(), Failure> {
        let before = self.now_ns();
        let timeout = until_ns.map(|until| Duration::from_nanos(until.saturating_sub(before)));
        self.wait(timeout)?;
        if self.events.is_empty() {
            let now = self.now_ns();
            self.idle_ns += now - before;
            return self.check_progress(now);
        }
        let events = std::mem::take(&mut self.events);
        for &Event { data, flags } in &events {
            let index = data.u64() as usize;
            let connection = &mut self.connections[index];
            let count = connection.receive(&mut self.scratch)?;
            let now = self.started.elapsed().as_nanos() as u64;
            if count > 0 {
                self.progress_ns = now;
            }
            let mut again = 0;
            while let Some(due) = connection.next_answered(self.plan.scenario.size) {
                self.waiting -= 1;
                again += usize::from(answered(due, now));
            }
            if again > 0 {
                self.request(index, again, now)?;
            } else if flags.contains(EventFlags::OUT) {
                self.send(index)?;
            }
        }
        self.events = events;
        Ok(())
    }

    /// Fills `events`.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Failure> {
        /// How often to look up at least.
        const LONGEST: Duration = Duration::from_millis(20);
        self.plan.interrupt.check()?;
        let timeout = if self.plan.spin { Duration::ZERO } else { timeout.unwrap_or(LONGEST).min(LONGEST) };
        let timeout = Timespec::try_from(timeout).expect("it is short");
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            // Before Linux 5.11 there are no timeouts under a millisecond: then it asks again at once.
            Ok(_) | Err(Errno::INTR | Errno::NOSYS) => Ok(()),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }

    fn check_progress(&self, now_ns: u64) -> Result<(), Failure> {
        let silence = Duration::from_nanos(now_ns.saturating_sub(self.progress_ns));
        if self.waiting == 0 || silence < self.plan.patience {
            return Ok(());
        }
        let (waiting, patience) = (self.waiting, self.plan.patience.as_secs_f64());
        Err(Failure::Because(format!(
            "nothing came back for {patience} s; requests without an answer: {waiting}"
        )))
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}
