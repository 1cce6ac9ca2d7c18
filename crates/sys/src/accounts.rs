//! Users and groups, and becoming one of them.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem::MaybeUninit;

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// Room for the strings of one record of the user database.
const RECORD_BYTES: usize = 16 << 10;

/// Most groups of one user: the kernel's own limit.
const GROUPS_MAX: usize = 65536;

/// The user of that name.
#[must_use]
pub fn user_by_name(name: &str) -> Option<Account> {
    let name = CString::new(name).ok()?;
    look_up(|record, strings, found| {
        // SAFETY: the name is closed by a NUL; the rest is as `look_up` says.
        unsafe { libc::getpwnam_r(name.as_ptr(), record, strings, RECORD_BYTES, found) }
    })
}

/// The user of that number.
#[must_use]
pub fn user_by_id(uid: u32) -> Option<Account> {
    look_up(|record, strings, found| {
        // SAFETY: as `look_up` says.
        unsafe { libc::getpwuid_r(uid, record, strings, RECORD_BYTES, found) }
    })
}

fn look_up(
    call: impl FnOnce(*mut libc::passwd, *mut c_char, *mut *mut libc::passwd) -> i32,
) -> Option<Account> {
    let mut record = MaybeUninit::<libc::passwd>::uninit();
    let mut strings = vec![0; RECORD_BYTES];
    let mut found = std::ptr::null_mut();
    let result = call(record.as_mut_ptr(), strings.as_mut_ptr(), &raw mut found);
    if result != 0 || found.is_null() {
        return None;
    }
    // SAFETY: a record was found, so it is filled in and its strings are closed by
    // NULs and lie in `strings`.
    let (record, name, home) = unsafe {
        let record = record.assume_init();
        (record, CStr::from_ptr(record.pw_name), CStr::from_ptr(record.pw_dir))
    };
    Some(Account {
        name: name.to_string_lossy().into_owned(),
        uid: record.pw_uid,
        gid: record.pw_gid,
        home: home.to_string_lossy().into_owned(),
    })
}

/// All groups of a user, the primary one first.
#[must_use]
pub fn groups_of(account: &Account) -> Vec<u32> {
    let Ok(name) = CString::new(account.name.as_str()) else {
        return vec![account.gid];
    };
    let mut groups = vec![0; 64];
    loop {
        let mut count = i32::try_from(groups.len()).unwrap_or(i32::MAX);
        // SAFETY: `groups` has room for `count` numbers.
        let result = unsafe {
            libc::getgrouplist(name.as_ptr(), account.gid, groups.as_mut_ptr(), &raw mut count)
        };
        let needed = usize::try_from(count).unwrap_or(0);
        if result >= 0 {
            groups.truncate(needed);
            return groups;
        }
        if groups.len() >= GROUPS_MAX {
            return vec![account.gid];
        }
        groups.resize((groups.len() * 2).max(needed).min(GROUPS_MAX), 0);
    }
}

/// The number of the group of that name.
#[must_use]
pub fn group_by_name(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name is closed by a NUL. The answer lies in static memory that only
    // a later call changes, and there is no other thread at the places that ask.
    let record = unsafe { libc::getgrnam(name.as_ptr()) };
    // SAFETY: not null, so it points to a whole record.
    (!record.is_null()).then(|| unsafe { (*record).gr_gid })
}

/// Whether there is a group of that number.
#[must_use]
pub fn has_group(gid: u32) -> bool {
    // SAFETY: a plain number; only whether there is an answer is looked at.
    !unsafe { libc::getgrgid(gid) }.is_null()
}

/// Becomes another user, for good: groups first, then group, then user. To be
/// called while there is one thread.
///
/// # Errors
/// What `setgroups`, `setgid` or `setuid` says.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let check = |result: i32| {
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the list has the stated length.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: a plain number.
    check(unsafe { libc::setgid(gid) })?;
    // SAFETY: a plain number.
    check(unsafe { libc::setuid(uid) })
}

/// Does something as another user, and is the superuser again. To be called by the superuser
/// while there is one thread.
///
/// # Errors
/// What `setegid` or `seteuid` says; who cannot be the superuser again is the other user.
pub fn while_being<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> io::Result<T> {
    let check = |result: i32| {
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: nothing can go wrong.
    let own = unsafe { libc::getegid() };
    // SAFETY: a plain number.
    check(unsafe { libc::setegid(gid) })?;
    // SAFETY: a plain number.
    let became = check(unsafe { libc::seteuid(uid) });
    let done = became.map(|()| act());
    // SAFETY: a plain number.
    check(unsafe { libc::seteuid(0) })?;
    // SAFETY: a plain number.
    check(unsafe { libc::setegid(own) })?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superuser_is_found_by_name_and_number() {
        let root = user_by_name("root").unwrap();

        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_id(0), Some(root.clone()));
        assert_eq!(groups_of(&root).first(), Some(&0));
        assert_eq!(user_by_name("no such user"), None);
        assert!(has_group(0));
    }
}
