//! How long a turn waits, and what ends it.

use runtime_core::reactor::{Reactor, Wait};

use crate::rig::{Rig, refuse};

#[test]
fn a_wait_needs_no_epoll_pwait2() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        // The filter ends with the thread.
        let waits = std::thread::spawn(move || {
            refuse(libc::SYS_epoll_pwait2, errno);
            Rig::new().assert_quiet();
        });
        waits.join().unwrap();
    }
}

#[test]
fn an_unpark_that_a_turn_without_a_wait_came_upon_ends_the_next_wait() {
    let mut rig = Rig::new();
    rig.reactor.unparker().unwrap().unpark();
    rig.turn(Wait::No);
    rig.turn(Wait::Forever);
    rig.assert_quiet();
}
