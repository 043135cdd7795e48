//! What travels through the network, and what it does where it arrives.

use std::mem;

use runtime_core::errno::Errno;

use super::connection::{Connection, ReceiveSide, Segment, SendSide};
use super::listener::Syn;
use super::socket::{Role, Socket, SocketId};
use super::state::State;

/// What happens at some time.
pub(crate) enum Event {
    /// The wish for a connection arrives at its address.
    Syn(Syn),
    /// The answer to it arrives.
    Answer(Syn, Answer),
    /// A segment arrives at its socket.
    Segment { from: SocketId, to: SocketId, segment: Segment },
    /// Nobody has answered a connect.
    GiveUp(SocketId),
}

/// What a client hears of its wish.
pub(crate) enum Answer {
    /// The connection is there (`SYN ACK`): its other end is `child`, and has room for so many bytes.
    Accepted { child: SocketId, window: usize },
    /// Nobody listens (`RST`).
    Refused,
}

impl State {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Syn(syn) => self.syn_arrives(syn),
            Event::Answer(syn, answer) => self.answer_arrives(&syn, answer),
            Event::Segment { from, to, segment } => match segment {
                Segment::HandshakeDone => self.handshake_done(to),
                Segment::Data(bytes) => self.data_arrives(from, to, bytes),
                Segment::Ack(count) => self.ack_arrives(to, count),
                Segment::Window(count) => self.window_arrives(to, count),
                Segment::Fin => self.fin_arrives(to),
                Segment::Reset => self.reset_arrives(from, to),
            },
            Event::GiveUp(id) => self.stop_connecting(id, Errno::ETIMEDOUT),
        }
    }

    fn syn_arrives(&mut self, syn: Syn) {
        let Some(id) = self.ports.listener(syn.to) else {
            return self.transmit(Event::Answer(syn, Answer::Refused));
        };
        let Role::Listening(listener) = &mut self.get(id).role else { return };
        if listener.is_full() {
            listener.let_wait(syn);
        } else {
            self.admit(id, syn);
        }
    }

    /// A listener takes in those who wait, as far as there is room.
    pub(super) fn admit_waiting(&mut self, id: SocketId) {
        while let Role::Listening(listener) = &mut self.get(id).role
            && let Some(syn) = listener.next_waiting()
        {
            self.admit(id, syn);
        }
    }

    fn admit(&mut self, id: SocketId, syn: Syn) {
        let listener = self.get(id);
        let settings = listener.settings.clone();
        let window = settings.receive_capacity();
        let sending = SendSide::new(settings.send_capacity(), syn.window);
        let connection = Connection::new((syn.to, syn.from), syn.client, sending, ReceiveSide::new(window));
        let mut child = Socket::new(listener.family(), settings, Role::Connected(connection));
        child.listener = Some(id);
        let child = self.add(child);
        self.ports.take(syn.to.port(), child);
        if let Role::Listening(listener) = &mut self.get(id).role {
            listener.handshake_begins(child);
        }
        self.transmit(Event::Answer(syn, Answer::Accepted { child, window }));
    }

    /// It may be too late: the client has given up since, or asks somebody else.
    fn answer_arrives(&mut self, syn: &Syn, answer: Answer) {
        let is_awaited = self.sockets.get(&syn.client).is_some_and(|client| match &client.role {
            Role::Connecting(attempt) => (attempt.local, attempt.remote) == (syn.from, syn.to),
            Role::Fresh | Role::Listening(_) | Role::Connected(_) => false,
        });
        match answer {
            Answer::Accepted { child, window } if is_awaited => self.client_connected(syn, child, window),
            Answer::Accepted { child, .. } => self.send(syn.client, child, Segment::Reset),
            Answer::Refused if is_awaited => self.stop_connecting(syn.client, Errno::ECONNREFUSED),
            Answer::Refused => {}
        }
    }

    /// The client's end is there.
    fn client_connected(&mut self, syn: &Syn, child: SocketId, window: usize) {
        let Socket { role, settings, .. } = self.get(syn.client);
        let sending = SendSide::new(settings.send_capacity(), window);
        let mut receiving = ReceiveSide::new(syn.window);
        receiving.set_capacity(settings.receive_capacity());
        let connection = Connection::new((syn.from, syn.to), child, sending, receiving);
        if let Role::Connecting(attempt) = mem::replace(role, Role::Connected(connection)) {
            self.clock.cancel(attempt.gives_up);
        }
        self.send(syn.client, child, Segment::HandshakeDone);
        self.widen(syn.client);
        self.notify(syn.client);
    }

    /// The listener's end is there, and can be accepted.
    fn handshake_done(&mut self, child: SocketId) {
        let Some(id) = self.sockets.get_mut(&child).and_then(|socket| socket.listener.take()) else { return };
        if let Role::Listening(listener) = &mut self.get(id).role {
            listener.handshake_ends(child);
        }
        self.notify(id);
    }

    fn data_arrives(&mut self, from: SocketId, to: SocketId, bytes: Vec<u8>) {
        let Some(socket) = self.sockets.get_mut(&to) else { return self.send(to, from, Segment::Reset) };
        if socket.is_orphan {
            // Nobody will read it.
            self.reset(to);
            return self.remove(to);
        }
        let Some(connection) = socket.connection() else { return };
        let count = bytes.len();
        connection.receiving.arrived(bytes);
        self.send(to, from, Segment::Ack(count));
        self.notify(to);
    }

    fn ack_arrives(&mut self, to: SocketId, count: usize) {
        if let Some(connection) = self.connection(to) {
            connection.sending.acknowledged(count);
            if connection.sending.has_room() {
                self.notify(to);
            }
        }
    }

    fn window_arrives(&mut self, to: SocketId, count: usize) {
        if let Some(connection) = self.connection(to) {
            connection.sending.widened(count);
            self.flush(to);
        }
    }

    fn fin_arrives(&mut self, to: SocketId) {
        if let Some(connection) = self.connection(to) {
            connection.receiving.ended();
            self.notify(to);
        }
    }

    fn reset_arrives(&mut self, from: SocketId, to: SocketId) {
        let Some(socket) = self.sockets.get_mut(&to) else { return };
        if let Some(id) = socket.listener {
            if let Role::Listening(listener) = &mut self.get(id).role {
                listener.forget(to);
            }
            self.remove(to);
            return self.admit_waiting(id);
        }
        if socket.is_orphan {
            return self.remove(to);
        }
        match &mut socket.role {
            Role::Connected(connection) if connection.peer == from && !connection.is_over() => {
                // As `tcp_reset` has it.
                let is_close_wait = connection.receiving.has_ended() && !connection.sending.is_done();
                socket.error = Some(if is_close_wait { Errno::EPIPE } else { Errno::ECONNRESET });
                connection.reset();
                self.notify(to);
            }
            Role::Fresh | Role::Listening(_) | Role::Connecting(_) | Role::Connected(_) => {}
        }
    }

    /// Sends what can be sent.
    pub(super) fn flush(&mut self, id: SocketId) {
        while let Some(connection) = self.connection(id)
            && let Some(segment) = connection.sending.next()
        {
            let peer = connection.peer;
            self.send(id, peer, segment);
        }
        let socket = self.get(id);
        let is_orphan = socket.is_orphan;
        if is_orphan && socket.connection().is_none_or(|connection| connection.sending.is_done()) {
            self.remove(id);
        }
    }

    /// Says how much room there is, if it is more than the other end knows of.
    pub(super) fn widen(&mut self, id: SocketId) {
        if let Some(connection) = self.connection(id)
            && let Some(segment) = connection.receiving.widen()
        {
            let peer = connection.peer;
            self.send(id, peer, segment);
        }
    }

    /// Tells the other end that there is no connection any more.
    pub(super) fn reset(&mut self, id: SocketId) {
        if let Some(connection) = self.connection(id) {
            connection.reset();
            let peer = connection.peer;
            self.send(id, peer, Segment::Reset);
        }
    }

    /// Ends an attempt to connect.
    pub(super) fn stop_connecting(&mut self, id: SocketId, error: Errno) {
        let socket = self.get(id);
        let Role::Connecting(attempt) = &socket.role else { return };
        let (port, gives_up) = (attempt.local.port(), attempt.gives_up);
        socket.role = Role::Fresh;
        socket.error = Some(error);
        if socket.bound.is_none() {
            self.ports.release(port, id);
        }
        self.clock.cancel(gives_up);
        self.notify(id);
    }

    /// A listener becomes a socket like others. Who has not been accepted never will be.
    pub(super) fn stop_listening(&mut self, id: SocketId) {
        let socket = self.get(id);
        let Role::Listening(listener) = mem::replace(&mut socket.role, Role::Fresh) else { return };
        if let Some(addr) = socket.bound {
            self.ports.remove_listener(addr);
        }
        let (children, waiting) = listener.into_parts();
        for child in children {
            self.reset(child);
            self.remove(child);
        }
        for syn in waiting {
            self.transmit(Event::Answer(syn, Answer::Refused));
        }
    }
}
