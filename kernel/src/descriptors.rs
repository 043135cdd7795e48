//! The table that owns the descriptors of a reactor.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

use runtime_core::errno::Errno;
use runtime_core::op::Fd;

/// All descriptors of a reactor, by number, each with what that reactor knows of it.
///
/// A name is a number and a generation, which tells two users of the number apart: so a name that is stale or was never
/// given reaches nobody else's descriptor.
#[derive(Default)]
pub struct Descriptors<S> {
    entries: Vec<Entry<S>>,
}

#[derive(Default)]
struct Entry<S> {
    generation: u32,
    owner: Option<Owner>,
    state: S,
}

/// Who has a descriptor open.
pub enum Owner {
    /// Nobody but the table.
    Sole(OwnedFd),
    /// Others, too: whoever was given it by [`Descriptors::share`], or a call on another thread.
    Shared(Arc<OwnedFd>),
}

impl<S: Default> Descriptors<S> {
    /// Takes over a descriptor, and names it.
    pub fn insert(&mut self, fd: OwnedFd) -> Fd {
        let number = fd.as_raw_fd() as usize;
        if number >= self.entries.len() {
            self.entries.resize_with(number + 1, Entry::default);
        }
        let entry = &mut self.entries[number];
        if let Some(Owner::Sole(former)) = entry.vacate().0 {
            // Somebody has closed it behind the table's back, for the kernel has given its number to another one. To
            // close it again would close that.
            let _ = former.into_raw_fd();
        }
        entry.owner = Some(Owner::Sole(fd));
        Fd::new(number as u32, entry.generation)
    }

    /// Takes a descriptor out, with what is known of it.
    ///
    /// # Errors
    ///
    /// `EBADF` if the name is of none.
    pub fn remove(&mut self, fd: Fd) -> Result<(Owner, S), Errno> {
        let (owner, state) = self.entry(fd)?.vacate();
        Ok((owner.ok_or(Errno::EBADF)?, state))
    }

    /// The descriptor of that name.
    ///
    /// # Errors
    ///
    /// `EBADF` if the name is of none.
    #[inline]
    pub fn get(&self, fd: Fd) -> Result<BorrowedFd<'_>, Errno> {
        let entry = self.entries.get(fd.number() as usize).ok_or(Errno::EBADF)?;
        match &entry.owner {
            Some(owner) if entry.generation == fd.generation() => Ok(owner.as_fd()),
            _ => Err(Errno::EBADF),
        }
    }

    /// The descriptor of that name, and what is known of it.
    ///
    /// # Errors
    ///
    /// `EBADF` if the name is of none.
    #[inline]
    pub fn get_mut(&mut self, fd: Fd) -> Result<(BorrowedFd<'_>, &mut S), Errno> {
        let Entry { owner, state, .. } = self.entry(fd)?;
        match &*owner {
            Some(owner) => Ok((owner.as_fd(), state)),
            None => Err(Errno::EBADF),
        }
    }

    /// A second owner of the descriptor of that name.
    ///
    /// # Errors
    ///
    /// `EBADF` if the name is of none.
    pub fn share(&mut self, fd: Fd) -> Result<Arc<OwnedFd>, Errno> {
        let entry = self.entry(fd)?;
        let shared = match entry.owner.take().ok_or(Errno::EBADF)? {
            Owner::Sole(fd) => Arc::new(fd),
            Owner::Shared(fd) => fd,
        };
        entry.owner = Some(Owner::Shared(Arc::clone(&shared)));
        Ok(shared)
    }

    #[inline]
    fn entry(&mut self, fd: Fd) -> Result<&mut Entry<S>, Errno> {
        let entry = self.entries.get_mut(fd.number() as usize).ok_or(Errno::EBADF)?;
        if entry.generation == fd.generation() { Ok(entry) } else { Err(Errno::EBADF) }
    }
}

impl<S: Default> Entry<S> {
    fn vacate(&mut self) -> (Option<Owner>, S) {
        self.generation = self.generation.wrapping_add(1);
        (self.owner.take(), mem::take(&mut self.state))
    }
}

impl Owner {
    /// `close(2)`, unless somebody else has it open as well.
    ///
    /// # Errors
    ///
    /// Those of `close(2)`, which the drop of an [`OwnedFd`] swallows. The descriptor is closed all the same.
    pub fn close(self) -> Result<(), Errno> {
        let fd = match self {
            Owner::Sole(fd) => fd,
            Owner::Shared(fd) => match Arc::into_inner(fd) {
                Some(fd) => fd,
                None => return Ok(()),
            },
        };
        // SAFETY: `fd` owned the number and gave it up, so nobody else has it.
        match unsafe { libc::close(fd.into_raw_fd()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error().into()),
        }
    }

    /// The descriptor, or a duplicate of it if somebody else has it open as well.
    ///
    /// # Errors
    ///
    /// Those of `dup(2)`.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        match self {
            Owner::Sole(fd) => Ok(fd),
            Owner::Shared(fd) => Arc::try_unwrap(fd).or_else(|fd| fd.try_clone()),
        }
    }
}

impl AsFd for Owner {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Owner::Sole(fd) => fd.as_fd(),
            Owner::Shared(fd) => fd.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn null() -> OwnedFd {
        File::open("/dev/null").expect("/dev/null").into()
    }

    #[test]
    fn a_name_is_stale_when_its_descriptor_is_gone_also_if_the_number_comes_back() {
        let mut table = Descriptors::<u8>::default();
        let first = table.insert(null());
        *table.get_mut(first).unwrap().1 = 7;
        let (owner, state) = table.remove(first).unwrap();
        assert_eq!(state, 7);
        assert!(table.remove(first).is_err());
        let second = table.insert(owner.into_fd().unwrap());
        assert_eq!(second.number(), first.number());
        assert_eq!(table.get(first).unwrap_err(), Errno::EBADF);
        assert_eq!(*table.get_mut(second).unwrap().1, 0);
    }

    #[test]
    fn a_name_that_was_never_given_is_nobodys() {
        let mut table = Descriptors::<u8>::default();
        let fd = table.insert(null());
        for forged in [Fd::new(fd.number(), fd.generation() + 1), Fd::new(0, 0), Fd::new(u32::MAX, 0)] {
            assert_eq!(table.get(forged).unwrap_err(), Errno::EBADF);
            assert!(
                table.get_mut(forged).is_err()
                    && table.share(forged).is_err()
                    && table.remove(forged).is_err()
            );
        }
        assert!(table.get(fd).is_ok());
    }

    #[test]
    fn who_shares_a_descriptor_keeps_it_open() {
        let mut table = Descriptors::<u8>::default();
        let fd = table.insert(null());
        let shared = table.share(fd).unwrap();
        let (owner, _) = table.remove(fd).unwrap();
        owner.close().unwrap();
        assert!(File::from(shared.try_clone().unwrap()).metadata().is_ok());
        let again = table.insert(Arc::into_inner(shared).expect("the table has let go of it"));
        assert!(table.get(again).is_ok());
    }
}
