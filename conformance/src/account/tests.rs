use runtime_core::pool::Pool;

use super::*;

const FD: Fd = Fd::new(9, 1);
const CLOSE: Op = Op::Close { fd: FD };
const RECEIVE: Op = Op::Receive { fd: FD };

fn account() -> Account {
    let mut account = Account::default();
    account.named(FD);
    account
}

#[test]
fn an_operation_ends_once_and_its_slot_is_used_again() {
    let mut account = account();
    let first = account.issue(&CLOSE);
    account.settle(&Completion::last(first, Ok(Outcome::Done)));
    assert_eq!(account.in_flight().count(), 0);
    assert_eq!(account.issue(&CLOSE), Token::new(0, 1));
}

#[test]
#[should_panic(expected = "of nothing in flight")]
fn twice_is_once_too_often() {
    let mut account = account();
    let token = account.issue(&CLOSE);
    account.settle(&Completion::last(token, Ok(Outcome::Done)));
    account.settle(&Completion::last(token, Ok(Outcome::Done)));
}

#[test]
#[should_panic(expected = "of nothing in flight")]
fn a_late_result_does_not_reach_the_next_user_of_the_slot() {
    let mut account = account();
    let old = account.issue(&RECEIVE);
    account.settle(&Completion::last(old, Ok(Outcome::Done)));
    account.issue(&RECEIVE);
    account.settle(&Completion::last(old, Ok(Outcome::Done)));
}

#[test]
#[should_panic(expected = "nobody cancelled")]
fn cancelled_by_nobody() {
    let mut account = account();
    let token = account.issue(&RECEIVE);
    account.settle(&Completion::last(token, Err(Errno::ECANCELED)));
}

#[test]
fn a_close_cancels_what_waits_and_what_comes_later_is_of_nobody() {
    let mut account = account();
    let (waits, close, late) = (account.issue(&RECEIVE), account.issue(&CLOSE), account.issue(&RECEIVE));
    account.settle(&Completion::last(close, Ok(Outcome::Done)));
    account.settle(&Completion::last(waits, Err(Errno::ECANCELED)));
    account.settle(&Completion::last(late, Err(Errno::EBADF)));
    assert!(account.open.is_empty());
}

#[test]
#[should_panic(expected = "is nobody's")]
fn a_stale_name_must_not_reach_anybody() {
    let mut account = account();
    account.issue(&CLOSE);
    let late = account.issue(&RECEIVE);
    account.settle(&Completion::last(late, Err(Errno::ENOTCONN)));
}

#[test]
#[should_panic(expected = "is somebody's")]
fn an_open_name_is_known() {
    let mut account = account();
    let token = account.issue(&RECEIVE);
    account.settle(&Completion::last(token, Err(Errno::EBADF)));
}

#[test]
#[should_panic(expected = "somebody else's name")]
fn a_name_is_given_once() {
    let mut account = account();
    let accept = account.issue(&Op::Accept { fd: FD });
    account.settle(&Completion::one(accept, Outcome::Fd(FD), None));
}

#[test]
#[should_panic(expected = "failed and goes on")]
fn an_error_is_terminal() {
    let mut account = account();
    let token = account.issue(&RECEIVE);
    account.settle(&Completion { more: true, ..Completion::last(token, Err(Errno::ECONNRESET)) });
}

#[test]
#[should_panic(expected = "bytes come in a chunk")]
fn bytes_do_not_come_without_a_chunk() {
    let mut account = account();
    let token = account.issue(&RECEIVE);
    account.settle(&Completion::one(token, Outcome::Count(5), None));
}

#[test]
#[should_panic(expected = "another length")]
fn a_count_is_that_of_its_chunk() {
    let pool = Pool::new(1, 8).expect("a pool");
    let mut account = account();
    let token = account.issue(&RECEIVE);
    let chunk = pool.take().map(Data::Chunk);
    account.settle(&Completion::one(token, Outcome::Count(5), chunk));
}

#[test]
fn data_comes_back_as_it_was() {
    let mut account = account();
    let send = Op::Send { fd: FD, data: b"hello".to_vec().into() };
    let token = account.issue(&send);
    let Op::Send { data, .. } = send else { unreachable!() };
    account.settle(&Completion::last_with(token, Err(Errno::EAGAIN), data));
}

#[test]
#[should_panic(expected = "does not come back")]
fn a_copy_of_the_data_is_not_the_data() {
    let mut account = account();
    let send = Op::Send { fd: FD, data: b"hello".to_vec().into() };
    let token = account.issue(&send);
    account.settle(&Completion::last_with(token, Ok(Outcome::Count(5)), b"hello".to_vec().into()));
    drop(send);
}

#[test]
fn what_is_read_comes_behind_what_was_there() {
    let mut account = account();
    let (token, mut bytes) = read(&mut account);
    bytes.extend_from_slice(b" and more");
    account.settle(&Completion::last_with(token, Ok(Outcome::Count(9)), bytes.into()));
}

#[test]
#[should_panic(expected = "do not come back")]
fn a_read_gives_its_bytes_back_when_it_fails() {
    let mut account = account();
    let (token, _bytes) = read(&mut account);
    account.settle(&Completion::last(token, Err(Errno::EIO)));
}

#[test]
fn a_read_that_goes_on_after_its_cancel_keeps_its_bytes() {
    let mut account = account();
    let (token, _bytes) = read(&mut account);
    account.cancelled(token);
    account.settle(&Completion::last(token, Err(Errno::ECANCELED)));
}

/// A read with bytes of its own, as the reactor has them.
fn read(account: &mut Account) -> (Token, Vec<u8>) {
    let mut bytes = Vec::with_capacity(100);
    bytes.extend_from_slice(b"these");
    let op = Op::Call(Call::ReadAt { fd: FD, offset: 0, bytes });
    let token = account.issue(&op);
    let Op::Call(call) = op else { unreachable!() };
    let Call::ReadAt { bytes, .. } = call else { unreachable!() };
    (token, bytes)
}
