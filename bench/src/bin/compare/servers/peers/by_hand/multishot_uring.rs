//! io_uring with everything that helps an echo server: accepts and receives in many shots, a small ring of
//! buffers that stays in the cache, sends straight from those buffers, and one system call for all of it.
#![expect(unsafe_code, reason = "the kernel is told addresses of memory")]

use std::alloc::{self, Layout};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::connections::listen;
use crate::servers::peers::READ_BUFFER;
use crate::servers::ready;

const SUBMISSIONS: u32 = 256;
const COMPLETIONS: u32 = 4096;

/// How many buffers there are; a power of two.
const BUFFERS: u16 = 64;
const GROUP: u16 = 0;

/// What a request is, in the upper half of its `user_data`. The lower half is the descriptor.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

pub fn serve(addr: SocketAddr) -> io::Result<()> {
    let mut server = Server::new(listen(addr)?).map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => io::Error::new(ErrorKind::Unsupported, "the kernel is too old (6.1 is needed)"),
        _ => error,
    })?;
    ready(server.listener.local_addr()?)?;
    server.accept();
    let mut completions = Vec::with_capacity(COMPLETIONS as usize);
    loop {
        match server.ring.submit_and_wait(1) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        completions.extend(server.ring.completion());
        for completion in completions.drain(..) {
            server.complete(&completion)?;
        }
        server.resume();
    }
}

struct Server {
    ring: IoUring,
    buffers: Buffers,
    listener: TcpListener,
    /// By their descriptors.
    connections: Vec<Option<Connection>>,
    /// Those for whose receives there was no buffer.
    starved: Vec<RawFd>,
}

/// A client. It is closed when it is neither receiving nor has anything left to send.
struct Connection {
    stream: TcpStream,
    receiving: bool,
    /// Buffers with their lengths, of which the first is being sent: two at once might overtake each other.
    unsent: VecDeque<(u16, u32)>,
}

impl Server {
    fn new(listener: TcpListener) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(COMPLETIONS).setup_submit_all();
        builder.setup_single_issuer().setup_defer_taskrun();
        let ring = builder.build(SUBMISSIONS)?;
        let buffers = Buffers::register(&ring)?;
        Ok(Self { ring, buffers, listener, connections: Vec::new(), starved: Vec::new() })
    }

    fn complete(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let (kind, fd) = (completion.user_data() >> 32, completion.user_data() as u32 as RawFd);
        let more = cqueue::more(completion.flags());
        match kind {
            ACCEPT => {
                self.welcome(completion.result())?;
                if !more {
                    self.accept();
                }
            }
            RECEIVE => self.received(fd, completion, more),
            _ => self.sent(fd, completion.result()),
        }
        Ok(())
    }

    fn accept(&mut self) {
        let listener = self.listener.as_raw_fd();
        let accept = opcode::AcceptMulti::new(Fd(listener)).flags(libc::SOCK_CLOEXEC).build();
        self.submit(accept, ACCEPT, listener);
    }

    fn welcome(&mut self, fd: i32) -> io::Result<()> {
        if fd < 0 {
            return Err(io::Error::from_raw_os_error(-fd));
        }
        // SAFETY: the result of an accept is a new descriptor, which nobody else has seen.
        let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
        stream.set_nodelay(true)?;
        let index = fd as usize;
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        self.connections[index] = Some(Connection { stream, receiving: true, unsent: VecDeque::new() });
        self.receive(fd);
        Ok(())
    }

    fn receive(&mut self, fd: RawFd) {
        self.submit(opcode::RecvMulti::new(Fd(fd), GROUP).build(), RECEIVE, fd);
    }

    fn received(&mut self, fd: RawFd, completion: &cqueue::Entry, more: bool) {
        let connection = self.connections[fd as usize].as_mut().expect("open while it receives");
        if let Some(buffer) = cqueue::buffer_select(completion.flags()) {
            self.buffers.available -= 1;
            connection.unsent.push_back((buffer, completion.result().max(0) as u32));
            if connection.unsent.len() == 1 {
                self.send(fd);
            }
        }
        match completion.result() {
            _ if more => {}
            1.. => self.receive(fd),
            result if result == -libc::ENOBUFS => self.starved.push(fd),
            _ => {
                self.connection(fd).receiving = false;
                self.close_if_done(fd);
            }
        }
    }

    /// Lets as many receives go on as there are buffers.
    fn resume(&mut self) {
        let count = self.starved.len().min(self.buffers.available.into());
        for fd in self.starved.drain(..count).collect::<Vec<_>>() {
            self.receive(fd);
        }
    }

    /// Sends the first buffer that is unsent, all of it.
    fn send(&mut self, fd: RawFd) {
        let (buffer, len) = self.connection(fd).unsent[0];
        let send = opcode::Send::new(Fd(fd), self.buffers.start(buffer), len);
        self.submit(send.flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL).build(), SEND, fd);
    }

    fn sent(&mut self, fd: RawFd, result: i32) {
        let connection = self.connections[fd as usize].as_mut().expect("open while it sends");
        let (buffer, len) = connection.unsent.pop_front().expect("the one that was being sent");
        self.buffers.give(buffer);
        if result != len as i32 {
            // The client is gone. This ends the receive, and with it the connection.
            let _ = connection.stream.shutdown(Shutdown::Both);
            for (buffer, _) in connection.unsent.drain(..) {
                self.buffers.give(buffer);
            }
        }
        if connection.unsent.is_empty() {
            self.close_if_done(fd);
        } else {
            self.send(fd);
        }
    }

    fn close_if_done(&mut self, fd: RawFd) {
        let connection = self.connection(fd);
        if !connection.receiving && connection.unsent.is_empty() {
            self.connections[fd as usize] = None;
        }
    }

    fn connection(&mut self, fd: RawFd) -> &mut Connection {
        self.connections[fd as usize].as_mut().expect("there is a request of it")
    }

    fn submit(&mut self, request: squeue::Entry, kind: u64, fd: RawFd) {
        let request = request.user_data(kind << 32 | fd as u64);
        // SAFETY: the only memory that requests name is that of the buffers, which is never freed. What is
        // sent is not given back before its completion.
        while unsafe { self.ring.submission().push(&request) }.is_err() {
            self.ring.submit().expect("the kernel takes what the queue holds");
        }
    }
}

/// Buffers in one piece, and the ring from which the kernel takes them. Never freed.
struct Buffers {
    memory: NonNull<u8>,
    ring: NonNull<BufRingEntry>,
    tail: u16,
    /// How many the kernel has, so far as completions have told.
    available: u16,
}

impl Buffers {
    fn register(ring: &IoUring) -> io::Result<Self> {
        let pages = |len| Layout::from_size_align(len, 4096).expect("a small size");
        let zeroed = |layout| {
            // SAFETY: no layout here is of size 0.
            NonNull::new(unsafe { alloc::alloc_zeroed(layout) }).ok_or(ErrorKind::OutOfMemory)
        };
        let memory = zeroed(pages(usize::from(BUFFERS) * READ_BUFFER))?;
        let entries = zeroed(pages(usize::from(BUFFERS) * size_of::<BufRingEntry>()))?.cast();
        // SAFETY: the pages are aligned, hold so many entries, and are never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, BUFFERS, GROUP, 0)? };
        let mut buffers = Self { memory, ring: entries, tail: 0, available: 0 };
        (0..BUFFERS).for_each(|buffer| buffers.give(buffer));
        Ok(buffers)
    }

    fn start(&self, buffer: u16) -> *mut u8 {
        // SAFETY: numbers are less than `BUFFERS`, so this is inside.
        unsafe { self.memory.add(usize::from(buffer) * READ_BUFFER).as_ptr() }
    }

    /// Gives a buffer to the kernel, which has had it before or never.
    fn give(&mut self, buffer: u16) {
        let place = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: inside the ring, and zeroed at first. The kernel has taken what was there, or else it would
        // have more buffers than there are.
        let entry = unsafe { self.ring.add(place).as_mut() };
        entry.set_addr(self.start(buffer) as u64);
        entry.set_len(READ_BUFFER as u32);
        entry.set_bid(buffer);
        self.available += 1;
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is in the first entry, aligned, and only ever accessed so.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
