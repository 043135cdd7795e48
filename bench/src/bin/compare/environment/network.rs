//! A network for this run alone: a namespace whose loopback interface nobody else uses, and where nothing is
//! configured that another machine would not have.

use std::fmt;
use std::fs;
use std::io;

use bench::program::Failure;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use serde::Serialize;

use crate::scenario::Scenario;

/// What the connections go through.
#[derive(Serialize)]
pub struct Network {
    /// Whether it is a namespace of its own.
    pub own_namespace: bool,
    pub congestion_control: Option<String>,
    /// The core on which the kernel processes what arrives, see [`Network::receive`]; otherwise it does so on the core
    /// of whoever sends.
    pub receives_on_core: Option<usize>,
    /// What could not be had, and why.
    pub notes: Vec<String>,
}

const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

impl Network {
    /// Makes a namespace for this thread and the processes that it starts, if `own` and if that is allowed.
    pub fn prepare(own: bool, server_core: Option<usize>) -> Result<Self, Failure> {
        let mut notes = Vec::new();
        let own_namespace = own
            && unshare(CloneFlags::CLONE_NEWNET)
                .inspect_err(|error| {
                    notes.push(format!(
                        "no network namespace of its own ({}): it takes root; so other traffic and settings \
                         of this machine count in",
                        io::Error::from(*error)
                    ));
                })
                .is_ok();
        let mut receives_on_core = None;
        if own_namespace {
            let hint = "lo in a network namespace of its own (--no-netns does without)";
            set_up_loopback().map_err(|error| Failure::from(error).in_context(hint))?;
            // The default may be one that paces by timers, such as BBR.
            if let Err(error) = fs::write(CONGESTION_CONTROL, "reno") {
                notes.push(format!("{CONGESTION_CONTROL} cannot be set: {error}"));
            }
            if let Some(core) = server_core {
                match receive_on(&mask(core)) {
                    Ok(()) => receives_on_core = Some(core),
                    Err(error) => notes.push(format!("receive processing stays with the sender: {error}")),
                }
            }
        }
        let congestion_control =
            fs::read_to_string(CONGESTION_CONTROL).ok().map(|text| text.trim().to_owned());
        Ok(Self { own_namespace, congestion_control, receives_on_core, notes })
    }

    /// Has what arrives processed where this scenario wants it. On the server's core the server is the limit and not
    /// the load. With one connection nobody is: there it would only be one more interrupt between the cores.
    pub fn receive(&self, scenario: Scenario) -> io::Result<()> {
        match self.receives_on_core {
            Some(core) if scenario.connections > 1 => receive_on(&mask(core)),
            Some(_) => receive_on(NO_CORE),
            None => Ok(()),
        }
    }
}

/// `ip link set lo up`, without needing `ip`: see rtnetlink(7).
fn set_up_loopback() -> io::Result<()> {
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const LOOPBACK_INDEX: i32 = 1;
    const IFF_UP: u32 = 1;
    let mut request = Vec::with_capacity(LENGTH as usize);
    // struct nlmsghdr: length, type, flags, sequence number, port
    request.extend(LENGTH.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    request.extend([0; 8]);
    // struct ifinfomsg: family, padding, type, index, flags, which flags to change
    request.extend([0; 4]);
    request.extend(LOOPBACK_INDEX.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());

    // NETLINK_ROUTE is protocol 0, the default.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &request, SendFlags::empty())?;
    let mut answer = [0; 64];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    // struct nlmsgerr: a header, and -errno or 0
    match answer[..length].get(16..20).and_then(|errno| errno.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::Error::other("an answer that is too short")),
    }
}

/// Has the kernel process on a core of the set `cores` what arrives on the loopback interface.
fn receive_on(cores: &str) -> io::Result<()> {
    // The /sys that is mounted shows the interfaces of the namespace in which it was. This one shows ours,
    // and is gone when it is closed.
    let sysfs = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&sysfs)?;
    let sysfs = fsmount(&sysfs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let path = "devices/virtual/net/lo/queues/rx-0/rps_cpus";
    let file = openat(&sysfs, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, cores.as_bytes())?;
    Ok(())
}

/// The empty set: what arrives is processed on the core of whoever sends.
const NO_CORE: &str = "0";

/// The set of one core as the kernel reads it: words of 32 bits in hexadecimal, the highest first.
fn mask(core: usize) -> String {
    let lower = ",00000000".repeat(core / 32);
    format!("{:x}{lower}", 1_u32 << (core % 32))
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace =
            if self.own_namespace { "a network namespace of its own" } else { "the machine's network" };
        let congestion_control = self.congestion_control.as_deref().unwrap_or("unknown");
        write!(f, "{namespace}, congestion control {congestion_control}")?;
        if let Some(core) = self.receives_on_core {
            write!(f, ", receive processing on core {core} where there are several connections")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn a_core_is_a_bit_of_words() {
        assert_eq!(mask(0), "1");
        assert_eq!(mask(5), "20");
        assert_eq!(mask(32), "1,00000000");
        assert_eq!(mask(95), "80000000,00000000,00000000");
    }
}
