//! System calls without the C library, for code that runs where the C library
//! must not: a child that shares our memory and our thread-local storage.

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
