//! The opcodes of io_uring that the reactor uses.
//!
//! There is one list. Requests are built of what is on it, and the kernel is asked for all that is on it.

use io_uring::{Probe, Submitter, opcode, squeue};

use crate::error::SetupError;

/// A request whose opcode is on the list.
pub(crate) trait Request {
    const CODE: u8;

    /// The entry for the submission queue. Requests are built by this and by nothing else.
    fn entry(self) -> squeue::Entry;
}

/// What the reactor does on a kernel without an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// It cannot be there.
    Refuse,
    /// Calls that need it are made on threads.
    UseThreads,
}

struct Opcode {
    code: u8,
    name: &'static str,
    without: Without,
}

macro_rules! opcodes {
    ($($request:ident: $name:literal, $without:ident;)*) => {
        const OPCODES: &[Opcode] =
            &[$(Opcode { code: opcode::$request::CODE, name: $name, without: Without::$without }),*];

        $(impl Request for opcode::$request {
            const CODE: u8 = opcode::$request::CODE;

            #[inline]
            fn entry(self) -> squeue::Entry {
                self.build()
            }
        })*
    };
}

opcodes! {
    AcceptMulti: "IORING_OP_ACCEPT", Refuse;
    AsyncCancel: "IORING_OP_ASYNC_CANCEL", Refuse;
    Close: "IORING_OP_CLOSE", Refuse;
    Connect: "IORING_OP_CONNECT", Refuse;
    Nop: "IORING_OP_NOP", Refuse;
    OpenAt: "IORING_OP_OPENAT", UseThreads;
    PollAdd: "IORING_OP_POLL_ADD", Refuse;
    Read: "IORING_OP_READ", UseThreads;
    Recv: "IORING_OP_RECV", Refuse;
    RecvMulti: "IORING_OP_RECV", Refuse;
    Send: "IORING_OP_SEND", Refuse;
    Statx: "IORING_OP_STATX", UseThreads;
}

/// A probe cannot ask for multishot receives, which are a flag. This opcode, which the reactor does not use, came with
/// the same version.
const MULTISHOT_RECEIVES: Opcode = Opcode {
    code: opcode::SendZc::CODE,
    name: "multishot receives (they came with Linux 6.0)",
    without: Without::Refuse,
};

/// Which opcodes of the list the kernel has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supported(u64);

impl Supported {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// It does not answer, or lacks an opcode without which the reactor cannot be.
    pub(crate) fn probe(submitter: &Submitter<'_>) -> Result<Self, SetupError> {
        let mut probe = Probe::new();
        let probed = submitter.register_probe(&mut probe);
        probed.map_err(|error| SetupError::failed("io_uring_register", &error))?;
        Self::of(|code| probe.is_supported(code)).map_err(SetupError::missing)
    }

    /// # Errors
    ///
    /// The name of what is missing.
    fn of(is_supported: impl Fn(u8) -> bool) -> Result<Self, &'static str> {
        let mut supported = Self(0);
        for Opcode { code, name, without } in OPCODES.iter().chain([&MULTISHOT_RECEIVES]) {
            match (is_supported(*code), without) {
                (true, _) => supported.0 |= 1 << code,
                (false, Without::UseThreads) => {}
                (false, Without::Refuse) => return Err(name),
            }
        }
        Ok(supported)
    }

    /// Whether the kernel has the opcode of this request.
    pub(crate) fn has<R: Request>(self) -> bool {
        self.0 & (1 << R::CODE) != 0
    }

    /// What a kernel has that has nothing which the reactor can do without.
    #[cfg(test)]
    pub(crate) fn least() -> Self {
        let needs = |code| OPCODES.iter().any(|one| one.code == code && one.without == Without::Refuse);
        Self::of(|code| needs(code) || code == MULTISHOT_RECEIVES.code).expect("all that is needed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reactor_cannot_do_without_is_refused_by_name() {
        for lacking in OPCODES.iter().chain([&MULTISHOT_RECEIVES]) {
            let supported = Supported::of(|code| code != lacking.code).map(drop);
            match lacking.without {
                Without::Refuse => assert_eq!(supported, Err(lacking.name)),
                Without::UseThreads => assert_eq!(supported, Ok(())),
            }
        }
    }

    #[test]
    fn what_is_missing_is_known() {
        let supported =
            Supported::of(|code| code != opcode::Read::CODE).expect("reads can be made on threads");
        assert!(!supported.has::<opcode::Read>() && supported.has::<opcode::OpenAt>());
        let least = Supported::least();
        assert!(least.has::<opcode::Send>() && !least.has::<opcode::Statx>());
    }
}
