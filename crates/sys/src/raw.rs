//! System calls without the C library, for code that runs where the C library
//! must not: a child that shares our memory and our thread-local storage.

use std::ffi::{c_int, c_void};

/// The second version of `struct clone_args`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct CloneArguments {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}

/// What a cloned process begins with.
pub(crate) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Clones a process that calls `entry` with `argument` on a stack of its own. Returns the
/// child's number or a negative errno.
///
/// # Safety
/// The arguments must name a stack that is nobody else's, and `entry` must never return.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn clone3(
    arguments: &CloneArguments,
    entry: Entry,
    argument: *mut c_void,
) -> isize {
    let result;
    // SAFETY: the caller vouches for the arguments. Only the child, whose registers but
    // the stack pointer are copies of ours, goes on behind the jump, and never leaves.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            in("r12") argument,
            in("r13") entry,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") arguments,
            in("rsi") size_of::<CloneArguments>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// Clones a process that calls `entry` with `argument` on a stack of its own. Returns the
/// child's number or a negative errno.
///
/// # Safety
/// The arguments must name a stack that is nobody else's, and `entry` must never return.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn clone3(
    arguments: &CloneArguments,
    entry: Entry,
    argument: *mut c_void,
) -> isize {
    let result;
    // SAFETY: the caller vouches for the arguments. Only the child, whose registers but
    // the stack pointer are copies of ours, goes on behind the jump, and never leaves.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            in("x9") argument,
            in("x10") entry,
            in("x8") libc::SYS_clone3 as isize,
            inlateout("x0") core::ptr::from_ref(arguments).addr() as isize => result,
            in("x1") size_of::<CloneArguments>(),
        );
    }
    result
}

/// Makes a system call and returns what the kernel returned: a negative errno or
/// the result.
///
/// # Safety
/// The arguments must be valid for the system call named by `number`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: libc::c_long, arguments: [usize; 5]) -> isize {
    let result;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers rcx, r11
    // and the result register only.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a system call and returns what the kernel returned: a negative errno or
/// the result.
///
/// # Safety
/// The arguments must be valid for the system call named by `number`.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: libc::c_long, arguments: [usize; 5]) -> isize {
    let result;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers the result
    // register only.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            options(nostack),
        );
    }
    result
}
