//! Runs a command and stops it before every system call that writes, counted over all of its threads.
//!
//! Goals: each point at which a process can die is reached, whichever thread gets there.
//! Non-goals: what is left of a system call that was cut in its middle.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `op` of `struct ptrace_syscall_info`.
const ENTRY: u8 = 1;
/// `FICLONE` and `FICLONERANGE` of `ioctl_ficlone(2)`.
const CLONES: [u64; 2] = [0x4004_9409, 0x4020_940d];

/// What is to become of a process that is about to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    Kill,
}

/// How a traced process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(i32),
    Killed,
}

/// Runs a command whose standard output goes to `output`; `judge` is told the number of each system call that is about to
/// write, the first being 0.
#[allow(clippy::zombie_processes)] // It is waited for as a traced process.
pub(crate) fn run(
    command: &Command,
    output: &Path,
    judge: &mut dyn FnMut(usize) -> Verdict,
) -> Ending {
    // The shell waits for a line, so that nothing runs before it is traced.
    let mut shell = Command::new("sh");
    shell.args(["-c", "read _; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    let written = File::create(output).unwrap();
    shell
        .stdin(Stdio::piped())
        .stderr(written.try_clone().unwrap())
        .stdout(written);
    let mut child = shell.spawn().unwrap();
    let leader = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(leader, options).expect("a process may be traced");
    ptrace::interrupt(leader).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    Trace {
        leader,
        written: 0,
        judge,
    }
    .follow()
}

struct Trace<'a> {
    leader: Pid,
    written: usize,
    judge: &'a mut dyn FnMut(usize) -> Verdict,
}

impl Trace<'_> {
    fn follow(&mut self) -> Ending {
        // Only the children of this thread: other tests have theirs.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags)).unwrap() {
                WaitStatus::Exited(pid, code) if pid == self.leader => return Ending::Code(code),
                WaitStatus::Signaled(pid, ..) if pid == self.leader => return Ending::Killed,
                WaitStatus::PtraceSyscall(pid) => self.at_call(pid),
                WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal)),
                WaitStatus::PtraceEvent(pid, ..) => resume(pid, None),
                _ => {}
            }
        }
    }

    fn at_call(&mut self, pid: Pid) {
        if is_about_to_write(pid) {
            let number = self.written;
            self.written += 1;
            if (self.judge)(number) == Verdict::Kill {
                signal::kill(self.leader, Signal::SIGKILL).unwrap();
            }
        }
        resume(pid, None);
    }
}

/// Lets a thread go on. One that was killed meanwhile is gone, which its parent is told.
fn resume(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// Whether a thread stopped before a system call that writes; what it says on its standard streams does not count.
fn is_about_to_write(pid: Pid) -> bool {
    let Ok(info) = ptrace::syscall_info(pid) else {
        return false;
    };
    if info.op != ENTRY {
        return false;
    }
    let Ok(call) = call(pid) else { return false };
    match call.number {
        libc::SYS_write | libc::SYS_writev => call.arguments[0] > 2,
        libc::SYS_openat => creates(call.arguments[2]),
        libc::SYS_openat2 => {
            let how = call.arguments[2] as ptrace::AddressType;
            ptrace::read(pid, how).is_ok_and(|flags| creates(flags.cast_unsigned()))
        }
        libc::SYS_ioctl => CLONES.contains(&call.arguments[1]),
        number => WRITING.contains(&number) || WRITING_OF_OLD.contains(&number),
    }
}

fn creates(flags: u64) -> bool {
    let flags = flags & 0xffff_ffff;
    let wanted = libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    flags & u64::from(wanted.cast_unsigned()) != 0
}

struct Call {
    number: i64,
    arguments: [u64; 3],
}

#[cfg(target_arch = "x86_64")]
fn call(pid: Pid) -> nix::Result<Call> {
    let registers = ptrace::getregs(pid)?;
    let arguments = [registers.rdi, registers.rsi, registers.rdx];
    Ok(Call {
        number: registers.orig_rax.cast_signed(),
        arguments,
    })
}

#[cfg(target_arch = "aarch64")]
fn call(pid: Pid) -> nix::Result<Call> {
    let registers = ptrace::getregs(pid)?;
    let arguments = [registers.regs[0], registers.regs[1], registers.regs[2]];
    Ok(Call {
        number: registers.regs[8].cast_signed(),
        arguments,
    })
}

/// Calls that write whatever their arguments are.
const WRITING: &[i64] = &[
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// Their forms from before the calls that take a descriptor.
#[cfg(target_arch = "x86_64")]
const WRITING_OF_OLD: &[i64] = &[
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_creat,
];
#[cfg(not(target_arch = "x86_64"))]
const WRITING_OF_OLD: &[i64] = &[];
