//! What the reactors that talk to the Linux kernel share.
//!
//! - `descriptors`: the table that owns every descriptor of a reactor, and checks the names by which programs know them.
//! - `socket`: requests that answer at once, as system calls.
//! - `event`: ends a wait from another thread.
//! - `call`: calls that may block, as system calls.
//! - `workers`: threads on which they are made.

pub mod call;
pub mod descriptors;
pub mod event;
pub mod socket;
pub mod workers;

#[cfg(test)]
mod tests {
    use runtime_core::errno::Errno;

    #[test]
    fn the_error_numbers_are_those_of_the_c_library() {
        let pairs = [
            (Errno::ENOENT, libc::ENOENT),
            (Errno::EINTR, libc::EINTR),
            (Errno::EIO, libc::EIO),
            (Errno::EBADF, libc::EBADF),
            (Errno::EAGAIN, libc::EAGAIN),
            (Errno::ENOMEM, libc::ENOMEM),
            (Errno::EBUSY, libc::EBUSY),
            (Errno::EINVAL, libc::EINVAL),
            (Errno::EMFILE, libc::EMFILE),
            (Errno::EPIPE, libc::EPIPE),
            (Errno::ENOSYS, libc::ENOSYS),
            (Errno::ENOTSOCK, libc::ENOTSOCK),
            (Errno::EOPNOTSUPP, libc::EOPNOTSUPP),
            (Errno::EAFNOSUPPORT, libc::EAFNOSUPPORT),
            (Errno::EADDRINUSE, libc::EADDRINUSE),
            (Errno::EADDRNOTAVAIL, libc::EADDRNOTAVAIL),
            (Errno::ECONNABORTED, libc::ECONNABORTED),
            (Errno::ECONNRESET, libc::ECONNRESET),
            (Errno::EISCONN, libc::EISCONN),
            (Errno::ENOTCONN, libc::ENOTCONN),
            (Errno::ETIMEDOUT, libc::ETIMEDOUT),
            (Errno::ECONNREFUSED, libc::ECONNREFUSED),
            (Errno::ECANCELED, libc::ECANCELED),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours.number(), theirs);
        }
    }
}
