//! What a program does with a socket: each function is a system call of the same name, and says what Linux would say.
//!
//! None of them waits. What would have to wait is `EAGAIN`, or goes on by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::Duration;

use runtime_core::address::{Family, SockAddr};
use runtime_core::errno::Errno;
use runtime_core::op::SocketOption;

use super::hosts::source_towards;
use super::listener::{Listener, Syn};
use super::packets::Event;
use super::ports::overlap;
use super::socket::{Attempt, Role, Settings, Socket, SocketId};
use super::state::State;

/// Another attempt to connect is under way.
const EALREADY: Errno = Errno::new(114);

/// How long a connection is asked for (`tcp_syn_retries`, ip-sysctl).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(131);

impl State {
    /// A stream socket.
    pub(crate) fn socket(&mut self, family: Family) -> SocketId {
        self.add(Socket::new(family, Settings::default(), Role::Fresh))
    }

    pub(crate) fn bind(&mut self, id: SocketId, addr: &SockAddr) -> Result<(), Errno> {
        let socket = self.get(id);
        let addr = canonical(socket.family(), addr)?;
        if socket.bound.is_some() || !matches!(socket.role, Role::Fresh) {
            return Err(Errno::EINVAL);
        }
        if !self.hosts.has(addr.ip()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let addr = match addr.port() {
            0 => SocketAddr::new(addr.ip(), self.ports.find_free().ok_or(Errno::EADDRINUSE)?),
            _ => addr,
        };
        self.check_free(id, addr)?;
        self.take_address(id, addr);
        Ok(())
    }

    pub(crate) fn listen(&mut self, id: SocketId, backlog: i32) -> Result<(), Errno> {
        let socket = self.get(id);
        match &mut socket.role {
            Role::Listening(listener) => listener.set_backlog(backlog),
            Role::Fresh => {
                let addr = match socket.bound {
                    Some(addr) => addr,
                    None => {
                        let any = any(socket.family());
                        let port = self.ports.find_free().ok_or(Errno::EADDRINUSE)?;
                        SocketAddr::new(any, port)
                    }
                };
                self.check_free(id, addr)?;
                self.take_address(id, addr);
                self.ports.add_listener(addr, id);
                self.get(id).role = Role::Listening(Listener::new(backlog));
            }
            Role::Connecting(_) | Role::Connected(_) => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// The next connection of a listener. It has no owner yet.
    pub(crate) fn accept(&mut self, id: SocketId) -> Result<SocketId, Errno> {
        let Role::Listening(listener) = &mut self.get(id).role else { return Err(Errno::EINVAL) };
        let child = listener.accept().ok_or(Errno::EAGAIN)?;
        self.admit_waiting(id);
        Ok(child)
    }

    /// Whether [`State::accept`] would not have to wait.
    pub(crate) fn is_acceptable(&self, id: SocketId) -> bool {
        match &self.peek(id).role {
            Role::Listening(listener) => listener.is_acceptable(),
            Role::Fresh | Role::Connecting(_) | Role::Connected(_) => true,
        }
    }

    /// Asks for a connection. What comes of it, [`State::connected`] says.
    pub(crate) fn connect(&mut self, id: SocketId, addr: &SockAddr) -> Result<(), Errno> {
        let socket = self.get(id);
        let to = canonical(socket.family(), addr)?;
        match socket.role {
            // What came of the attempt before, if nobody has been told.
            Role::Fresh => socket.error.take().map_or(Ok(()), Err)?,
            Role::Connecting(_) => return Err(EALREADY),
            Role::Listening(_) | Role::Connected(_) => return Err(Errno::EISCONN),
        }
        let remote = match to.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, to.port()).into(),
            IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, to.port()).into(),
            _ => to,
        };
        let window = socket.settings.receive_capacity();
        let local = match socket.bound {
            Some(bound) if bound.ip().is_unspecified() => {
                SocketAddr::new(source_towards(remote.ip()), bound.port())
            }
            Some(bound) => bound,
            None => {
                let port = self.ports.find_free().ok_or(Errno::EADDRNOTAVAIL)?;
                self.ports.take(port, id);
                SocketAddr::new(source_towards(remote.ip()), port)
            }
        };
        let deadline = self.clock.now().saturating_add(CONNECT_TIMEOUT);
        let gives_up = self.clock.schedule(deadline, Event::GiveUp(id));
        self.get(id).role = Role::Connecting(Attempt { local, remote, gives_up });
        self.transmit(Event::Syn(Syn { client: id, from: local, to: remote, window }));
        Ok(())
    }

    /// Whether an attempt to connect has come to anything.
    pub(crate) fn is_decided(&self, id: SocketId) -> bool {
        !matches!(self.peek(id).role, Role::Connecting(_))
    }

    /// What an attempt to connect has come to. `EAGAIN` if that is not known yet.
    pub(crate) fn connected(&mut self, id: SocketId) -> Result<(), Errno> {
        let socket = self.get(id);
        match socket.role {
            Role::Connecting(_) => Err(Errno::EAGAIN),
            Role::Connected(_) => socket.error.take().map_or(Ok(()), Err),
            Role::Fresh | Role::Listening(_) => Err(socket.error.take().unwrap_or(Errno::ENOTCONN)),
        }
    }

    /// Takes as many of the bytes as there is room for. An error is told once.
    pub(crate) fn write(&mut self, id: SocketId, bytes: &[u8]) -> Result<usize, Errno> {
        let socket = self.get(id);
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        match &mut socket.role {
            Role::Connecting(_) => Err(Errno::EAGAIN),
            Role::Connected(connection) if !connection.is_over() && !connection.sending.is_finished() => {
                let count = connection.sending.write(bytes);
                self.flush(id);
                if count == 0 && !bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(count) }
            }
            Role::Fresh | Role::Listening(_) | Role::Connected(_) => Err(Errno::EPIPE),
        }
    }

    /// Whether [`State::write`] is worth while: it need not succeed.
    pub(crate) fn is_writable(&self, id: SocketId) -> bool {
        let socket = self.peek(id);
        match &socket.role {
            Role::Connecting(_) => false,
            Role::Connected(connection) => {
                socket.error.is_some()
                    || connection.is_over()
                    || connection.sending.is_finished()
                    || connection.sending.has_room()
            }
            Role::Fresh | Role::Listening(_) => true,
        }
    }

    /// How many bytes can be read at once.
    pub(crate) fn unread(&self, id: SocketId) -> usize {
        match &self.peek(id).role {
            Role::Connected(connection) => connection.receiving.len(),
            Role::Fresh | Role::Listening(_) | Role::Connecting(_) => 0,
        }
    }

    /// Reads what can be read at once.
    pub(crate) fn read(&mut self, id: SocketId, space: &mut [u8]) -> usize {
        let Some(connection) = self.get(id).connection() else { return 0 };
        let count = connection.receiving.read(space);
        self.widen(id);
        count
    }

    /// What comes behind the last byte, if there is nothing to read and that is known: the end, or an error.
    pub(crate) fn end(&self, id: SocketId) -> Option<Result<(), Errno>> {
        let socket = self.peek(id);
        match &socket.role {
            Role::Connecting(_) => None,
            Role::Connected(connection) => {
                let receiving = &connection.receiving;
                if receiving.len() > 0 {
                    return None;
                }
                match socket.error {
                    Some(error) if !receiving.has_ended() => Some(Err(error)),
                    Some(_) | None => {
                        let is_end = receiving.has_ended() || receiving.is_shut() || connection.is_over();
                        is_end.then_some(Ok(()))
                    }
                }
            }
            Role::Fresh | Role::Listening(_) => Some(Err(socket.error.unwrap_or(Errno::ENOTCONN))),
        }
    }

    /// The same. An error is told once.
    pub(crate) fn take_end(&mut self, id: SocketId) -> Option<Result<(), Errno>> {
        let end = self.end(id);
        if let Some(Err(_)) = end {
            self.get(id).error = None;
        }
        end
    }

    pub(crate) fn shutdown(&mut self, id: SocketId, how: Shutdown) -> Result<(), Errno> {
        let socket = self.get(id);
        match &mut socket.role {
            Role::Connected(connection) if !connection.is_over() => {
                if how != Shutdown::Write {
                    connection.receiving.shut();
                }
                if how != Shutdown::Read {
                    connection.sending.finish();
                }
                self.flush(id);
            }
            Role::Listening(_) if how == Shutdown::Write => {}
            Role::Listening(_) => self.stop_listening(id),
            Role::Connecting(_) => self.stop_connecting(id, Errno::ECONNRESET),
            Role::Fresh | Role::Connected(_) => return Err(Errno::ENOTCONN),
        }
        self.notify(id);
        Ok(())
    }

    /// With unread bytes the connection is reset, as with `SO_LINGER` of zero seconds (`abort`). Else it ends when all
    /// bytes are sent.
    pub(crate) fn close(&mut self, id: SocketId, abort: bool) {
        let socket = self.get(id);
        socket.owner = None;
        match &mut socket.role {
            Role::Listening(_) => self.stop_listening(id),
            Role::Connecting(_) => self.stop_connecting(id, Errno::ECONNRESET),
            Role::Connected(connection) if connection.is_over() => {}
            Role::Connected(connection) if abort || connection.receiving.len() > 0 => self.reset(id),
            Role::Connected(connection) => {
                connection.sending.finish();
                socket.is_orphan = true;
                return self.flush(id);
            }
            Role::Fresh => {}
        }
        self.remove(id);
    }

    pub(crate) fn set_option(&mut self, id: SocketId, option: SocketOption, value: u32) {
        let socket = self.get(id);
        socket.settings.set(option, value);
        let (send, receive) = (socket.settings.send_capacity(), socket.settings.receive_capacity());
        if let Some(connection) = socket.connection() {
            connection.sending.set_capacity(send);
            connection.receiving.set_capacity(receive);
            self.widen(id);
        }
    }

    /// Refuses an address that somebody else has (`inet_csk_bind_conflict`).
    fn check_free(&self, id: SocketId, addr: SocketAddr) -> Result<(), Errno> {
        let own = self.peek(id);
        let conflicts = |other: &Socket| {
            let is_gone = match &other.role {
                Role::Connected(connection) => connection.is_over() && other.bound.is_none(),
                Role::Fresh | Role::Listening(_) | Role::Connecting(_) => false,
            };
            let may_share =
                [own, other].iter().all(|socket| socket.settings.get(SocketOption::ReuseAddress) != 0);
            let shares = may_share && !matches!(other.role, Role::Listening(_));
            !is_gone && !shares && other.address().is_some_and(|theirs| overlap(addr, theirs))
        };
        let others = self.ports.holders(addr.port()).filter(|&other| other != id);
        let is_taken = others.map(|other| self.peek(other)).any(conflicts);
        if is_taken { Err(Errno::EADDRINUSE) } else { Ok(()) }
    }

    fn take_address(&mut self, id: SocketId, addr: SocketAddr) {
        self.get(id).bound = Some(addr);
        self.ports.take(addr.port(), id);
    }
}

/// An address that a program names, for a socket of that family.
fn canonical(family: Family, addr: &SockAddr) -> Result<SocketAddr, Errno> {
    match (family, addr) {
        (Family::V4, SockAddr::Inet(addr @ SocketAddr::V4(_))) => Ok(*addr),
        (Family::V6, SockAddr::Inet(SocketAddr::V6(addr))) => {
            Ok(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
        }
        // It is shorter than an address of the family (`SIN6_LEN_RFC2133`).
        (Family::V6, SockAddr::Inet(SocketAddr::V4(_))) => Err(Errno::EINVAL),
        (Family::V4 | Family::V6 | Family::Unix, SockAddr::Inet(_) | SockAddr::Unix(_)) => {
            Err(Errno::EAFNOSUPPORT)
        }
    }
}

/// All addresses of a family.
fn any(family: Family) -> IpAddr {
    match family {
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        Family::V4 | Family::Unix => Ipv4Addr::UNSPECIFIED.into(),
    }
}
