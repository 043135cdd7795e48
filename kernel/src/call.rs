//! Calls that may block, as system calls.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::net::ToSocketAddrs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use runtime_core::call::{Call, Resolved, Stat, Timestamp};
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Outcome, Token};
use rustix::buffer::spare_capacity;

use crate::descriptors::Descriptors;

/// What `statx(2)` is asked for, so that [`stat_of`] finds it.
pub const STATX_MASK: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME;

/// A call with the file that it names, ready to be made on any thread.
pub struct Prepared {
    call: Call,
    /// Open for as long as the call is under way, whoever closes its name meanwhile.
    file: Option<Arc<OwnedFd>>,
}

/// What a call brought.
pub struct Answer {
    result: Result<Outcome<OwnedFd>, Errno>,
    /// Those that the call owned.
    bytes: Option<Vec<u8>>,
}

/// Who waits for a call: it is made on threads for such calls alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The library, for an answer of the system.
    Library,
    /// The program, for a closure of its own, which may wait for anything.
    Program,
}

impl Prepared {
    /// Takes hold of what the call names.
    ///
    /// # Errors
    ///
    /// `EBADF` if that is no descriptor. The call comes back.
    pub fn new<S: Default>(call: Call, descriptors: &mut Descriptors<S>) -> Result<Self, (Errno, Call)> {
        match file_of(&call).map(|fd| descriptors.share(fd)).transpose() {
            Ok(file) => Ok(Self { call, file }),
            Err(errno) => Err((errno, call)),
        }
    }

    /// Makes the call, on this thread. A job that hands out an answer by itself calls `done` before that.
    pub fn make(self, done: &dyn Fn()) -> Answer {
        match self.call {
            Call::Resolve { host, port } => {
                Answer::of(Ok(Outcome::Addresses(Box::new(resolve(&host, port)))))
            }
            Call::Open { path } => Answer::of(File::open(path).map(|file| Outcome::Fd(file.into()))),
            Call::Stat { path } => Answer::of(stat(&path).map(|stat| Outcome::Stat(Box::new(stat)))),
            Call::ReadAt { fd: _, offset, mut bytes } => {
                let count = match &self.file {
                    Some(file) => uninterrupted(|| read(file.as_fd(), offset, &mut bytes)),
                    None => Err(Errno::EBADF.into()),
                };
                Answer { bytes: Some(bytes), ..Answer::of(count.map(Outcome::Count)) }
            }
            Call::Run(job) => {
                job.run(done);
                Answer::of(Ok(Outcome::Done))
            }
        }
    }

    /// Drops the call unmade.
    pub(crate) fn refuse(self, errno: Errno) -> Answer {
        Answer { result: Err(errno), bytes: bytes_of(self.call) }
    }

    pub(crate) fn origin(&self) -> Origin {
        match &self.call {
            Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::ReadAt { .. } => {
                Origin::Library
            }
            Call::Run(_) => Origin::Program,
        }
    }
}

impl Answer {
    fn of(result: io::Result<Outcome<OwnedFd>>) -> Self {
        Self { result: result.map_err(Errno::from), bytes: None }
    }

    /// The answer to a call of which nothing is left.
    pub(crate) fn failed(errno: Errno) -> Self {
        Self { result: Err(errno), bytes: None }
    }

    /// The terminal completion of the call's operation. A new descriptor goes into the table.
    pub fn into_completion<S: Default>(self, token: Token, descriptors: &mut Descriptors<S>) -> Completion {
        let Self { result, bytes } = self;
        let completion = Completion { token, result, more: false, data: bytes.map(Data::from) };
        completion.map_fd(|fd| descriptors.insert(fd))
    }
}

/// The terminal completion of a call that is not made. Gives back the bytes that it owned.
pub fn refused(call: Call, token: Token, errno: Errno) -> Completion {
    Completion { token, result: Err(errno), more: false, data: bytes_of(call).map(Data::from) }
}

/// The file that a call is about, if it is open already.
fn file_of(call: &Call) -> Option<Fd> {
    match call {
        Call::ReadAt { fd, .. } => Some(*fd),
        Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_) => None,
    }
}

fn bytes_of(call: Call) -> Option<Vec<u8>> {
    match call {
        Call::ReadAt { bytes, .. } => Some(bytes),
        Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_) => None,
    }
}

fn resolve(host: &str, port: u16) -> Resolved {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")));
    }
    Ok(addresses)
}

/// `statx(2)`, which follows symbolic links.
fn stat(path: &Path) -> io::Result<Stat> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut statx = MaybeUninit::<libc::statx>::zeroed();
    let place = statx.as_mut_ptr();
    uninterrupted(|| {
        // SAFETY: the path ends with a zero and is only read; `place` has room for what the kernel writes.
        let result = unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, STATX_MASK, place) };
        check(result as isize)
    })?;
    // SAFETY: plain data, zero where the kernel wrote nothing.
    Ok(stat_of(&unsafe { statx.assume_init() }))
}

/// What `statx(2)` says if it is asked for [`STATX_MASK`].
pub fn stat_of(statx: &libc::statx) -> Stat {
    let timestamp = |time: libc::statx_timestamp| Timestamp { seconds: time.tv_sec, nanos: time.tv_nsec };
    Stat {
        mode: statx.stx_mode.into(),
        size: statx.stx_size,
        links: statx.stx_nlink.into(),
        user: statx.stx_uid,
        group: statx.stx_gid,
        inode: statx.stx_ino,
        device: (statx.stx_dev_major, statx.stx_dev_minor),
        modified: timestamp(statx.stx_mtime),
        accessed: timestamp(statx.stx_atime),
        created: (statx.stx_mask & libc::STATX_BTIME != 0).then(|| timestamp(statx.stx_btime)),
    }
}

/// Reads at an offset into the spare capacity, as `pread(2)` does, if that need not wait for the device.
///
/// # Errors
///
/// `EAGAIN` if some of the bytes are not in memory: then none is read. `EOPNOTSUPP`, `ENOSYS` or, from a seccomp filter,
/// `EPERM` if the kernel cannot tell that of this file. Those of `pread(2)`.
#[inline]
pub fn read_now(file: BorrowedFd<'_>, offset: u64, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let before = bytes.len();
    let count = read_cached(file, offset, bytes)?;
    let is_short = count > 0 && bytes.len() < bytes.capacity();
    // The file ends here, or what follows is not in memory.
    if is_short && !matches!(read_cached(file, offset + count as u64, bytes), Ok(0)) {
        bytes.truncate(before);
        return Err(Errno::EAGAIN.into());
    }
    Ok(count)
}

/// `preadv2(2)` with `RWF_NOWAIT`: as many of the first bytes as are in memory.
#[inline]
fn read_cached(file: BorrowedFd<'_>, offset: u64, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    // The kernel takes the offset in two halves, of which the upper one counts where a word is of 32 bits.
    let (low, high) = (offset as libc::c_ulong, (offset >> 32) as libc::c_ulong);
    let space = bytes.spare_capacity_mut();
    let space = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
    let (fd, flags) = (file.as_raw_fd(), libc::RWF_NOWAIT);
    // Not through libc's function, which older C libraries lack.
    // SAFETY: `space` describes memory that the kernel may write to, and is itself only read.
    let count = check(unsafe { libc::syscall(libc::SYS_preadv2, fd, &space, 1, low, high, flags) as isize })?;
    // SAFETY: the kernel has written so many bytes behind those that there were.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(count)
}

/// `pread(2)`, into the spare capacity.
fn read(file: BorrowedFd<'_>, offset: u64, bytes: &mut Vec<u8>) -> io::Result<usize> {
    file_offset(offset)?;
    if bytes.len() == bytes.capacity() {
        // Nothing is read, but whether it could be is for the kernel to say. The library wants some spare capacity.
        return Ok(rustix::io::pread(file, &mut [0; 0][..], offset)?);
    }
    Ok(rustix::io::pread(file, spare_capacity(bytes), offset)?)
}

/// An offset as the kernel takes it. Never negative: -1 would be the file's own position, for some calls.
///
/// # Errors
///
/// `EINVAL` if no file is so long.
pub fn file_offset(offset: u64) -> Result<i64, Errno> {
    i64::try_from(offset).map_err(|_| Errno::EINVAL)
}

/// Repeats what a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[inline]
fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const TOKEN: Token = Token::new(3, 5);

    /// What comes of a call that is made on this thread.
    fn make(call: Call, descriptors: &mut Descriptors<()>) -> Completion {
        let prepared =
            Prepared::new(call, descriptors).map_err(|(errno, _)| errno).expect("what it names is open");
        prepared.make(&|| ()).into_completion(TOKEN, descriptors)
    }

    fn make_alone(call: Call) -> Result<Outcome, Errno> {
        make(call, &mut Descriptors::default()).result
    }

    fn this_file() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/call.rs"))
    }

    #[test]
    fn a_file_is_opened_and_read_behind_the_bytes_that_there_are() {
        let table = &mut Descriptors::<()>::default();
        let opened = make(Call::Open { path: this_file().into() }, table);
        let Ok(Outcome::Fd(fd)) = opened.result else { panic!("{opened:?}") };
        assert!((opened.token, opened.more) == (TOKEN, false));

        let text = std::fs::read(this_file()).unwrap();
        let mut bytes = Vec::with_capacity(50);
        bytes.extend_from_slice(b"before");
        let room = bytes.capacity() - bytes.len();
        let read = make(Call::ReadAt { fd, offset: 100, bytes }, table);
        assert!(matches!(read.result, Ok(Outcome::Count(count)) if count == room));
        assert_eq!(read.data.as_deref(), Some(&[b"before", &text[100..100 + room]].concat()[..]));

        let end = make(Call::ReadAt { fd, offset: text.len() as u64, bytes: Vec::with_capacity(1) }, table);
        assert!(matches!(end.result, Ok(Outcome::Count(0))));
    }

    #[test]
    fn a_read_that_fails_gives_the_bytes_back() {
        let table = &mut Descriptors::<()>::default();
        let fd = table.insert(File::open(this_file()).unwrap().into());
        let read = |fd, offset| Call::ReadAt { fd, offset, bytes: b"mine".to_vec() };
        let beyond = make(read(fd, u64::MAX), table);
        assert_eq!((beyond.result.unwrap_err(), beyond.data.as_deref()), (Errno::EINVAL, Some(&b"mine"[..])));

        let Err((errno, call)) = Prepared::new(read(Fd::new(9999, 1), 0), table) else { panic!("forged") };
        let stale = refused(call, TOKEN, errno);
        assert_eq!((stale.result.unwrap_err(), stale.data.as_deref()), (Errno::EBADF, Some(&b"mine"[..])));
    }

    #[test]
    fn a_read_has_its_file_even_when_the_name_is_closed() {
        let table = &mut Descriptors::<()>::default();
        let fd = table.insert(File::open(this_file()).unwrap().into());
        let read = Call::ReadAt { fd, offset: 0, bytes: Vec::with_capacity(8) };
        let prepared = Prepared::new(read, table).map_err(|(errno, _)| errno).unwrap();
        table.remove(fd).unwrap().0.close().unwrap();
        let read = prepared.make(&|| ()).into_completion(TOKEN, table);
        assert!(matches!(read.result, Ok(Outcome::Count(1..))));
    }

    #[test]
    fn what_is_in_memory_is_read_at_once_and_else_nothing() {
        const LEN: usize = 64 * 4096;
        let path = std::env::temp_dir().join(format!("carhop-read-now-{}", std::process::id()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        // One page at a time, so that the kernel keeps, and drops, each by itself.
        (0..LEN / 4096).for_each(|_| file.write_all(&[7; 4096]).unwrap());
        std::fs::remove_file(path).unwrap();
        let mut bytes = Vec::with_capacity(LEN + 4);
        bytes.extend(b"mine");
        let read = |bytes: &mut Vec<u8>| match read_now(file.as_fd(), 0, bytes) {
            Ok(count) => assert_eq!((count, bytes.len()), (LEN, LEN + 4)),
            // The kernel has dropped it, or cannot tell.
            Err(error) => {
                assert!(matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EOPNOTSUPP)), "{error}");
                assert_eq!(*bytes, b"mine");
            }
        };
        read(&mut bytes);

        // The first half stays, unless this is a file system in memory.
        file.sync_all().unwrap();
        let half = LEN as i64 / 2;
        // SAFETY: no memory is involved.
        let advice = unsafe { libc::posix_fadvise(file.as_raw_fd(), half, half, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(advice, 0);
        bytes.truncate(4);
        read(&mut bytes);

        // It ends before the room does.
        bytes.truncate(4);
        let tail = read_now(file.as_fd(), LEN as u64 - 1, &mut bytes);
        assert!(tail.is_err() || matches!(tail, Ok(1)));
        let beyond = read_now(file.as_fd(), u64::MAX, &mut bytes).unwrap_err();
        assert_eq!(beyond.raw_os_error(), Some(libc::EINVAL), "-1 would be the file's own position");
    }

    #[test]
    fn a_stat_says_what_the_standard_library_says() {
        let Ok(Outcome::Stat(stat)) = make_alone(Call::Stat { path: this_file().into() }) else {
            panic!("no stat")
        };
        let std = std::fs::metadata(this_file()).unwrap();
        assert_eq!((stat.mode, stat.size, stat.links), (std.mode(), std.size(), std.nlink()));
        assert_eq!((stat.user, stat.group, stat.inode), (std.uid(), std.gid(), std.ino()));
        assert_eq!(libc::makedev(stat.device.0, stat.device.1), std.dev());
        assert_eq!(std::time::SystemTime::from(stat.modified), std.modified().unwrap());
        assert_eq!(stat.created.map(std::time::SystemTime::from), std.created().ok());
    }

    #[test]
    fn paths_that_name_no_file_are_errors() {
        for (path, errno) in [("/none/such", Errno::ENOENT), ("a\0zero", Errno::EINVAL)] {
            assert_eq!(make_alone(Call::Open { path: path.into() }).unwrap_err(), errno);
            assert_eq!(make_alone(Call::Stat { path: path.into() }).unwrap_err(), errno);
        }
    }

    #[test]
    fn a_look_up_answers_with_addresses_or_its_own_error() {
        let resolve = |host: &str| match make_alone(Call::Resolve { host: host.to_owned(), port: 80 }) {
            Ok(Outcome::Addresses(resolved)) => *resolved,
            other => panic!("{other:?}"),
        };
        assert_eq!(resolve("127.0.0.1").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("::1").unwrap(), ["[::1]:80".parse().unwrap()]);
        assert_eq!(resolve("a\0zero").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn answers_may_go_to_other_threads() {
        fn is_send<T: Send>() {}
        is_send::<Prepared>();
        is_send::<Answer>();
    }
}
