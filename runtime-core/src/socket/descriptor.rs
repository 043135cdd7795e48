//! Ownership of a file descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use socket2::{Domain, SockAddr, Type};

use crate::core::Core;
use crate::op::{Control, End, SocketOption};

/// An open socket. Its drop closes it through the loop, so after whatever its owner cancelled just before;
/// if the runtime is gone, at once.
pub(super) struct Descriptor {
    pub(super) core: Rc<Core>,
    /// `None` only inside `drop`.
    fd: Option<OwnedFd>,
}

impl Descriptor {
    /// A new socket of the runtime's own.
    pub(super) fn open(core: &Rc<Core>, domain: Domain, kind: Type) -> io::Result<Self> {
        let fd = core.with_reactor(|reactor| reactor.open(domain, kind))?;
        Ok(Self::new(core, fd))
    }

    /// A socket that was made elsewhere.
    pub(super) fn adopt(core: &Rc<Core>, fd: OwnedFd) -> io::Result<Self> {
        core.with_reactor(|reactor| reactor.adopt(fd.as_fd()))?;
        Ok(Self::new(core, fd))
    }

    /// A socket that the reactor made.
    pub(super) fn new(core: &Rc<Core>, fd: OwnedFd) -> Self {
        Self { core: Rc::clone(core), fd: Some(fd) }
    }

    pub(super) fn control(&self, request: Control<'_>) -> io::Result<()> {
        self.core.with_reactor(|reactor| reactor.control(self.as_fd(), request))
    }

    pub(super) fn option(&self, option: SocketOption) -> io::Result<u32> {
        self.core.with_reactor(|reactor| reactor.option(self.as_fd(), option))
    }

    pub(super) fn address(&self, end: End) -> io::Result<SockAddr> {
        self.core.with_reactor(|reactor| reactor.address(self.as_fd(), end))
    }

    pub(super) fn raw(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("taken only by drop").as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            self.core.close(fd);
        }
    }
}
