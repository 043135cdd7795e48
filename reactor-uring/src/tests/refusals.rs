//! Systems that refuse io_uring.

use std::thread;

use super::*;
use crate::SetupError;

/// Lets system call `number` of this thread fail with `errno`, and allows all others.
pub(super) fn refuse(number: libc::c_long, errno: i32) {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let ret = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut steps = [
        // The system call's number is the first field of `seccomp_data`.
        step(load, 0, 0, 0),
        step(jump, 0, 1, number as u32),
        step(ret, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(ret, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which is valid for the call. Both calls concern only this thread.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

/// What [`UringReactor::new`] says on a thread on which `number` fails with `errno`; `None` where it fails
/// anyway, for another reason.
fn refused(number: libc::c_long, errno: i32) -> Option<SetupError> {
    if let Err(error) = UringReactor::new() {
        eprintln!("skipped: {error}");
        return None;
    }
    let attempt = thread::spawn(move || {
        refuse(number, errno);
        UringReactor::new().err().expect("refused")
    });
    Some(attempt.join().expect("a filter can be installed"))
}

#[test]
fn a_seccomp_filter_is_named_as_the_cause() {
    for (number, step) in [
        (libc::SYS_io_uring_setup, "io_uring_setup"),
        (libc::SYS_io_uring_enter, "io_uring_enter"),
        (libc::SYS_io_uring_register, "io_uring_register"),
    ] {
        let Some(error) = refused(number, libc::EPERM) else { return };
        assert_eq!(error.step(), step);
        assert_eq!(error.errno(), Some(libc::EPERM));
        assert_eq!(
            error.to_string(),
            format!(
                "{step} failed with Operation not permitted (os error 1), likely because a seccomp filter forbids \
                 io_uring, as the default profile of Docker does. To use io_uring, run with a seccomp profile that \
                 allows io_uring_setup, io_uring_enter and io_uring_register."
            )
        );
    }
}

#[test]
fn a_filter_that_hides_io_uring_is_told_from_a_kernel_without_it() {
    let Some(error) = refused(libc::SYS_io_uring_setup, libc::ENOSYS) else { return };
    assert_eq!(error.errno(), Some(libc::ENOSYS));
    assert!(error.cause().contains("a seccomp filter hides io_uring"), "{error}");
}

#[test]
fn an_old_kernel_is_told_apart() {
    // The second attempt, with fewer flags, fails too.
    let Some(error) = refused(libc::SYS_io_uring_setup, libc::EINVAL) else { return };
    assert!(error.cause().contains("does not know what is asked of it"), "{error}");
    assert!(error.remedy().contains("Linux 6.0"), "{error}");
}
