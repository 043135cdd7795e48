//! Why io_uring cannot be had, in words that help.

use std::borrow::Cow;
use std::{fmt, fs, io};

/// Why io_uring cannot be used here.
///
/// Displays as a sentence or two for the user: what failed, the likely cause, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError {
    step: &'static str,
    errno: Option<i32>,
    cause: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl SetupError {
    /// What failed: a system call, or the probe for what the kernel can do.
    pub fn step(&self) -> &'static str {
        self.step
    }

    /// The error number with which it failed; `None` if io_uring is there but lacks something.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }

    /// The likely cause, as a clause without a full stop.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What helps, as a clause without a full stop.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    pub(crate) fn failed(step: &'static str, error: &io::Error) -> Self {
        let errno = error.raw_os_error();
        let (cause, remedy) = explain(errno, &System::read());
        Self { step, errno, cause, remedy }
    }

    /// The kernel has io_uring, but not this of it.
    pub(crate) fn missing(feature: &str) -> Self {
        let kernel = System::read().kernel;
        Self {
            step: "the probe for io_uring's operations",
            errno: None,
            cause: format!("{kernel} lacks {feature}").into(),
            remedy: NEW_KERNEL.into(),
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.step)?;
        if let Some(errno) = self.errno {
            write!(f, " with {}", io::Error::from_raw_os_error(errno))?;
        }
        write!(f, ", likely because {}. To use io_uring, {}.", self.cause, self.remedy)
    }
}

impl std::error::Error for SetupError {}

const NEW_KERNEL: &str = "run on Linux 6.0 or newer, built with CONFIG_IO_URING";
const PROFILE: &str =
    "run with a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register";

/// What is known of the system besides the error number.
struct System {
    /// `kernel.io_uring_disabled`; 0 also where there is no such sysctl (before Linux 6.6).
    disabled: u8,
    /// Whether a seccomp filter watches this thread.
    seccomp: bool,
    kernel: String,
}

impl System {
    fn read() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            disabled: read("/proc/sys/kernel/io_uring_disabled").trim().parse().unwrap_or(0),
            // Of this thread: a filter need not cover the whole process. 2 is SECCOMP_MODE_FILTER.
            seccomp: read("/proc/thread-self/status")
                .lines()
                .any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2")),
            kernel: if release.is_empty() {
                "this kernel".into()
            } else {
                format!("Linux {}", release.trim())
            },
        }
    }
}

/// The likely cause and the remedy.
fn explain(errno: Option<i32>, system: &System) -> (Cow<'static, str>, Cow<'static, str>) {
    let kernel = &system.kernel;
    match errno {
        Some(libc::EPERM) if system.disabled == 2 => (
            "the sysctl kernel.io_uring_disabled is 2, which forbids io_uring to everyone".into(),
            "run `sysctl kernel.io_uring_disabled=0` as root".into(),
        ),
        Some(libc::EPERM) if system.disabled == 1 => (
            "the sysctl kernel.io_uring_disabled is 1, which forbids io_uring to processes without \
             CAP_SYS_ADMIN that are not in the group kernel.io_uring_group"
                .into(),
            "add the process to that group, or run `sysctl kernel.io_uring_disabled=0` as root".into(),
        ),
        Some(libc::EPERM) if system.seccomp => (
            "a seccomp filter forbids io_uring, as the default profile of Docker does".into(),
            PROFILE.into(),
        ),
        Some(libc::EPERM | libc::EACCES) => (
            "a security policy of this system forbids io_uring".into(),
            "allow it in that policy (SELinux, AppArmor, a container's profile)".into(),
        ),
        Some(libc::ENOSYS) if system.seccomp => {
            ("a seccomp filter hides io_uring from this process".into(), PROFILE.into())
        }
        Some(libc::ENOSYS) => (
            format!(
                "{kernel} has no io_uring: it is older than 5.1, was built without CONFIG_IO_URING, or is a \
                 sandbox that leaves it out"
            )
            .into(),
            NEW_KERNEL.into(),
        ),
        Some(libc::EINVAL) => {
            (format!("{kernel} does not know what is asked of it, as those before 6.0 do not").into(), NEW_KERNEL.into())
        }
        Some(libc::ENOMEM) => (
            "RLIMIT_MEMLOCK is too low for the queues (it counts without CAP_IPC_LOCK), or the memory cgroup \
             is at its limit"
                .into(),
            "raise `ulimit -l` (1024 KiB a thread are plenty) or the cgroup's memory limit".into(),
        ),
        Some(libc::EMFILE) => {
            ("this process has no descriptor left (RLIMIT_NOFILE)".into(), "raise `ulimit -n`".into())
        }
        Some(libc::ENFILE) => {
            ("the system has no descriptor left (fs.file-max)".into(), "raise `sysctl fs.file-max`".into())
        }
        _ => (
            format!("of something unforeseen on {kernel}").into(),
            "look the error up in io_uring_setup(2)".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause_and_remedy(errno: i32, disabled: u8, seccomp: bool) -> String {
        let system = System { disabled, seccomp, kernel: "Linux 5.4.0".into() };
        let (cause, remedy) = explain(Some(errno), &system);
        format!("{cause} / {remedy}")
    }

    #[test]
    fn each_way_to_be_refused_has_its_own_cause_and_remedy() {
        let expected = [
            (libc::EPERM, 2, true, "io_uring_disabled is 2"),
            (libc::EPERM, 1, false, "io_uring_group"),
            (libc::EPERM, 0, true, "Docker"),
            (libc::EPERM, 0, false, "security policy"),
            (libc::EACCES, 0, false, "SELinux"),
            (libc::ENOSYS, 0, true, "seccomp filter hides"),
            (libc::ENOSYS, 0, false, "Linux 5.4.0 has no io_uring"),
            (libc::EINVAL, 0, false, "before 6.0 do not"),
            (libc::ENOMEM, 0, false, "ulimit -l"),
            (libc::EMFILE, 0, false, "ulimit -n"),
            (libc::ENFILE, 0, false, "fs.file-max"),
            (libc::EIO, 0, false, "unforeseen"),
        ];
        for (errno, disabled, seccomp, part) in expected {
            let text = cause_and_remedy(errno, disabled, seccomp);
            assert!(text.contains(part), "errno {errno}: {text:?} does not say {part:?}");
        }
    }

    #[test]
    fn a_missing_operation_is_named() {
        let error = SetupError::missing("IORING_OP_TEA");
        assert_eq!(error.errno(), None);
        assert!(
            error.to_string().contains("lacks IORING_OP_TEA. To use io_uring, run on Linux 6.0"),
            "{error}"
        );
    }

    #[test]
    fn reads_as_a_sentence() {
        let error = SetupError {
            step: "io_uring_setup",
            errno: Some(libc::EMFILE),
            cause: "this process has no descriptor left (RLIMIT_NOFILE)".into(),
            remedy: "raise `ulimit -n`".into(),
        };
        assert_eq!(
            error.to_string(),
            "io_uring_setup failed with Too many open files (os error 24), likely because this process has no \
             descriptor left (RLIMIT_NOFILE). To use io_uring, raise `ulimit -n`."
        );
    }
}
