//! The descriptors of one node, and the operations that wait on them.

use std::collections::HashMap;

use runtime_core::errno::Errno;
use runtime_core::op::{Fd, Token};

use crate::network::socket::SocketId;

/// A table of sockets by the names that programs know them by.
#[derive(Default)]
pub(crate) struct Descriptors {
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    /// Where each waiting operation waits.
    places: HashMap<Token, Fd>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Descriptor>,
}

/// An open socket.
pub(crate) struct Descriptor {
    pub(crate) socket: SocketId,
    pub(crate) reader: Option<Waiting<Reader>>,
    pub(crate) writer: Option<Waiting<Writer>>,
}

/// An operation that waits.
#[derive(Clone, Copy)]
pub(crate) struct Waiting<K> {
    pub(crate) token: Token,
    pub(crate) kind: K,
}

/// What waits for something to come.
#[derive(Clone, Copy)]
pub(crate) enum Reader {
    Accept,
    Receive,
}

/// What waits for something to be able to go.
#[derive(Clone, Copy)]
pub(crate) enum Writer {
    Connect,
    Writable,
}

impl Descriptors {
    /// Gives a socket a name. The number that became free last is used first.
    pub(crate) fn insert(&mut self, socket: SocketId) -> Fd {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[number as usize];
        slot.entry = Some(Descriptor { socket, reader: None, writer: None });
        Fd::new(number, slot.generation)
    }

    /// Takes a name away: the socket, and who still waits.
    pub(crate) fn remove(&mut self, fd: Fd) -> Result<Descriptor, Errno> {
        let slot = self.slots.get_mut(fd.number() as usize).ok_or(Errno::EBADF)?;
        let descriptor = slot.entry.take_if(|_| slot.generation == fd.generation()).ok_or(Errno::EBADF)?;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(fd.number());
        for token in descriptor.waiting() {
            self.places.remove(&token);
        }
        Ok(descriptor)
    }

    pub(crate) fn get(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        let slot = self.slots.get(fd.number() as usize).filter(|slot| slot.generation == fd.generation());
        slot.and_then(|slot| slot.entry.as_ref()).ok_or(Errno::EBADF)
    }

    fn get_mut(&mut self, fd: Fd) -> Result<&mut Descriptor, Errno> {
        let slot = self.slots.get_mut(fd.number() as usize).filter(|slot| slot.generation == fd.generation());
        slot.and_then(|slot| slot.entry.as_mut()).ok_or(Errno::EBADF)
    }

    /// Lets an operation wait, unless another one does.
    pub(crate) fn wait_to_read(&mut self, fd: Fd, reader: Waiting<Reader>) -> Result<(), Errno> {
        let place = &mut self.get_mut(fd)?.reader;
        if place.is_some() {
            return Err(Errno::EBUSY);
        }
        *place = Some(reader);
        self.places.insert(reader.token, fd);
        Ok(())
    }

    /// Lets an operation wait, unless another one does.
    pub(crate) fn wait_to_write(&mut self, fd: Fd, writer: Waiting<Writer>) -> Result<(), Errno> {
        let place = &mut self.get_mut(fd)?.writer;
        if place.is_some() {
            return Err(Errno::EBUSY);
        }
        *place = Some(writer);
        self.places.insert(writer.token, fd);
        Ok(())
    }

    /// An operation waits no longer. Says whether it did.
    pub(crate) fn end_wait(&mut self, token: Token) -> bool {
        let Some(fd) = self.places.remove(&token) else { return false };
        if let Ok(descriptor) = self.get_mut(fd) {
            descriptor.reader = descriptor.reader.filter(|reader| reader.token != token);
            descriptor.writer = descriptor.writer.filter(|writer| writer.token != token);
        }
        true
    }

    /// All sockets.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref()).map(|descriptor| descriptor.socket)
    }
}

impl Descriptor {
    /// Which operations wait: first the one that reads.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Token> + use<> {
        let reader = self.reader.map(|reader| reader.token);
        reader.into_iter().chain(self.writer.map(|writer| writer.token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Waiting<Reader> = Waiting { token: Token::new(1, 0), kind: Reader::Receive };
    const WRITER: Waiting<Writer> = Waiting { token: Token::new(2, 0), kind: Writer::Writable };

    #[test]
    fn a_name_is_stale_when_its_socket_is_gone_also_if_the_number_comes_back() {
        let mut table = Descriptors::default();
        let first = table.insert(SocketId::new(1));
        assert_eq!(table.remove(first).unwrap().socket, SocketId::new(1));
        let second = table.insert(SocketId::new(2));
        assert_eq!(second.number(), first.number());
        assert!(table.get(first).is_err() && table.remove(first).is_err());
        assert_eq!(table.wait_to_read(first, READER), Err(Errno::EBADF));
        assert_eq!(table.get(second).unwrap().socket, SocketId::new(2));
        assert!(table.get(Fd::new(u32::MAX, 0)).is_err());
    }

    #[test]
    fn one_operation_waits_on_each_side() {
        let mut table = Descriptors::default();
        let fd = table.insert(SocketId::new(1));
        assert_eq!(table.wait_to_read(fd, READER), Ok(()));
        assert_eq!(table.wait_to_write(fd, WRITER), Ok(()));
        assert_eq!(table.wait_to_read(fd, READER), Err(Errno::EBUSY));
        assert_eq!(table.wait_to_write(fd, WRITER), Err(Errno::EBUSY));
        assert!(table.end_wait(READER.token) && !table.end_wait(READER.token));
        assert_eq!(table.wait_to_read(fd, READER), Ok(()));
    }

    #[test]
    fn who_waits_on_a_descriptor_that_is_removed_waits_no_longer() {
        let mut table = Descriptors::default();
        let fd = table.insert(SocketId::new(1));
        table.wait_to_write(fd, WRITER).unwrap();
        table.wait_to_read(fd, READER).unwrap();
        let left = table.remove(fd).unwrap().waiting().collect::<Vec<_>>();
        assert_eq!(left, [READER.token, WRITER.token]);
        assert!(!table.end_wait(READER.token) && !table.end_wait(WRITER.token));
    }
}
