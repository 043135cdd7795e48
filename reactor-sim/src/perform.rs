//! Staged operations: what can be done at once is done, the rest waits at its descriptor or on a thread.

use std::collections::VecDeque;

use runtime_core::address::SockAddr;
use runtime_core::call::{Call, Job};
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Outcome, Token};

use crate::descriptors::{Reader, Waiting, Writer};
use crate::network::socket::Role;
use crate::reactor::SimReactor;

/// What an operation has come to, if it is over.
type Ended = Option<Result<Outcome, Errno>>;

impl SimReactor {
    /// Performs one staged operation.
    pub(crate) fn perform(
        &mut self,
        token: Token,
        op: Op,
        done: &mut VecDeque<Completion>,
        sent: &mut VecDeque<Completion>,
    ) {
        let ended = match op {
            Op::Accept { fd } => self.accept(token, fd),
            Op::Receive { fd } => self.wait_to_read(token, fd, Reader::Receive),
            Op::Connect { fd, addr } => self.connect(token, fd, &addr),
            Op::Writable { fd } => self.wait_for_room(token, fd),
            Op::Send { fd, data } => {
                let result = self.send(fd, &data).map(Outcome::Count);
                return sent.push_back(Completion::last_with(token, result, data));
            }
            Op::Call(call) => match call {
                Call::Resolve { host, port } => {
                    Some(Ok(Outcome::Addresses(Box::new(self.network.resolve(&host, port)))))
                }
                Call::Open { .. } | Call::Stat { .. } => Some(Err(Errno::ENOSYS)),
                Call::ReadAt { bytes, .. } => {
                    return done.push_back(Completion::last_with(
                        token,
                        Err(Errno::ENOSYS),
                        Data::from(bytes),
                    ));
                }
                Call::Run(job) => self.run(token, job),
            },
            Op::Close { fd } => Some(self.close(fd).map(|()| Outcome::Done)),
            Op::Cancel { target } => return self.cancel(target),
        };
        done.extend(ended.map(|result| Completion::last(token, result)));
    }

    /// Reports what this turn's cancels and closes have ended.
    pub(crate) fn report_cancelled(&mut self, done: &mut VecDeque<Completion>) {
        done.extend(self.cancelled.drain(..).map(|token| Completion::last(token, Err(Errno::ECANCELED))));
    }

    fn accept(&mut self, token: Token, fd: Fd) -> Ended {
        match self.with_socket(fd, |state, socket| Ok(matches!(state.get(socket).role, Role::Listening(_)))) {
            Ok(true) => self.wait_to_read(token, fd, Reader::Accept),
            Ok(false) => Some(Err(Errno::EINVAL)),
            Err(error) => Some(Err(error)),
        }
    }

    fn connect(&mut self, token: Token, fd: Fd, addr: &SockAddr) -> Ended {
        match self.with_socket(fd, |state, socket| state.connect(socket, addr)) {
            Ok(()) => self.wait_to_write(token, fd, Writer::Connect),
            Err(error) => Some(Err(error)),
        }
    }

    fn wait_for_room(&mut self, token: Token, fd: Fd) -> Ended {
        match self.with_socket(fd, |state, socket| Ok(state.is_writable(socket))) {
            Ok(true) => Some(Ok(Outcome::Done)),
            Ok(false) => self.wait_to_write(token, fd, Writer::Writable),
            Err(error) => Some(Err(error)),
        }
    }

    fn wait_to_read(&mut self, token: Token, fd: Fd, kind: Reader) -> Ended {
        match self.descriptors.wait_to_read(fd, Waiting { token, kind }) {
            Ok(()) => self.look_at(fd),
            Err(error) => Some(Err(error)),
        }
    }

    fn wait_to_write(&mut self, token: Token, fd: Fd, kind: Writer) -> Ended {
        match self.descriptors.wait_to_write(fd, Waiting { token, kind }) {
            Ok(()) => self.look_at(fd),
            Err(error) => Some(Err(error)),
        }
    }

    /// What an operation waits for may be there already.
    fn look_at(&self, fd: Fd) -> Ended {
        let told = self.with_socket(fd, |state, socket| {
            state.notify(socket);
            Ok(())
        });
        told.err().map(Err)
    }

    fn run(&mut self, token: Token, job: Job) -> Ended {
        match self.jobs.start(token, job) {
            Ok(()) => {
                self.network.with(|state| state.calls += 1);
                None
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    fn close(&mut self, fd: Fd) -> Result<(), Errno> {
        let descriptor = self.descriptors.remove(fd)?;
        self.cancelled.extend(descriptor.waiting());
        self.network.with(|state| state.close(descriptor.socket, false));
        Ok(())
    }

    fn cancel(&mut self, target: Token) {
        let is_call = self.jobs.cancel(target);
        if is_call {
            self.network.with(|state| state.calls -= 1);
        }
        if is_call || self.descriptors.end_wait(target) {
            self.cancelled.push(target);
        }
    }
}
