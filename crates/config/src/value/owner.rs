//! Users and groups.

use super::{ValueError, integer};
use crate::host::{Account, Host};

/// Who shall own a file: a user, and a group where one was named.
pub type Owner = (u32, Option<u32>);

/// A user by number or by name.
///
/// # Errors
///
/// When there is no such user.
pub fn account(host: &dyn Host, text: &str) -> Result<Account, ValueError> {
    match integer(text) {
        Ok(number) => u32::try_from(number)
            .ok()
            .and_then(|id| host.user_by_id(id))
            .ok_or_else(|| ValueError::UserId(text.to_owned())),
        Err(_) => host.user_by_name(text).ok_or_else(|| ValueError::UserName(text.to_owned())),
    }
}

/// `user` or `user:group`, each by number or by name.
///
/// # Errors
///
/// When there is no such user or no such group.
pub fn owner(host: &dyn Host, text: &str) -> Result<Owner, ValueError> {
    let refused = || ValueError::Owner(text.to_owned());
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let uid = account(host, user).map_err(|_| refused())?.uid;
    let gid = match group {
        None => None,
        Some(name) => Some(group_id(host, name).ok_or_else(refused)?),
    };
    Ok((uid, gid))
}

fn group_id(host: &dyn Host, text: &str) -> Option<u32> {
    match integer(text) {
        Ok(number) => u32::try_from(number).ok().filter(|id| host.has_group(*id)),
        Err(_) => host.group_by_name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let host = FakeHost::new();

        assert_eq!(account(&host, "root").map(|user| user.uid), Ok(0));
        assert_eq!(account(&host, "0").map(|user| user.uid), Ok(0));
    }

    #[test]
    fn an_unknown_user_is_refused() {
        let host = FakeHost::new();

        let by_name = account(&host, "no-such-user-here").unwrap_err();
        let by_number = account(&host, "54321987").unwrap_err();

        assert_eq!(by_name.to_string(), "Invalid user name no-such-user-here");
        assert_eq!(by_number.to_string(), "Invalid user id 54321987");
        assert_eq!(account(&host, "-1").unwrap_err().to_string(), "Invalid user id -1");
    }

    #[test]
    fn an_owner_may_leave_the_group_out() {
        let host = FakeHost::new();

        assert_eq!(owner(&host, "root"), Ok((0, None)));
        assert_eq!(owner(&host, "root:root"), Ok((0, Some(0))));
        assert_eq!(owner(&host, "0:0"), Ok((0, Some(0))));
        for text in ["nobody-here", "root:no-such-group", "root:", "root:99999", ""] {
            let wanted = format!("Invalid user:group definition {text}");
            assert_eq!(owner(&host, text).unwrap_err().to_string(), wanted);
        }
    }
}
