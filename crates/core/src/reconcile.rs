//! What is there against what was asked for.
//!
//! First start, `reread` and `update`, and SIGHUP all come through here: at the
//! first start nothing is there, so everything is new.

use std::sync::Arc;

use crate::spec::{
    Configuration, EndsAll, GroupKind, GroupSpec, LogSpec, LogTarget, Origin, ProgramSpec,
    ServiceSpec,
};

/// How a loaded configuration differs from what is there, by group names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Groups to add, in the order of the configuration.
    pub added: Vec<Arc<str>>,
    /// Groups to replace, in the order of the configuration.
    pub changed: Vec<Arc<str>>,
    /// Groups to remove, in the order in which they are there.
    pub removed: Vec<Arc<str>>,
}

impl Difference {
    /// Compares what was `loaded` with what is `present`. Groups that were brought up are
    /// none of the file's business; one of the same name waits until they are gone.
    #[must_use]
    pub fn between<'a>(
        present: impl Iterator<Item = &'a Arc<GroupSpec>> + Clone,
        loaded: &Configuration,
    ) -> Self {
        let mut difference = Self::default();
        for group in &loaded.groups {
            match present.clone().find(|there| there.name == group.name) {
                None => difference.added.push(Arc::clone(&group.name)),
                Some(there) if there.origin == Origin::File && !same_group(there, group) => {
                    difference.changed.push(Arc::clone(&group.name));
                }
                Some(_) => {}
            }
        }
        difference.removed = present
            .filter(|there| there.origin == Origin::File && loaded.group(&there.name).is_none())
            .map(|there| Arc::clone(&there.name))
            .collect();
        difference
    }
}

/// Which part of a loaded configuration is made real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One group is added.
    Add(Arc<str>),
    /// One group is removed.
    Remove(Arc<str>),
}

/// Whether two groups are the same to `reread`. Of a FastCGI socket only the
/// address counts, as in Supervisor.
fn same_group(one: &GroupSpec, other: &GroupSpec) -> bool {
    let kinds = match (&one.kind, &other.kind) {
        (GroupKind::FastCgi(one), GroupKind::FastCgi(other)) => one.address == other.address,
        (one, other) => one == other,
    };
    kinds
        && one.name == other.name
        && one.priority == other.priority
        && one.services.len() == other.services.len()
        && one.services.iter().zip(&other.services).all(|(one, other)| same_service(one, other))
}

fn same_service(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    same_program(&one.program, &other.program)
        && one.name == other.name
        && one.command == other.command
        && one.directory == other.directory
        && one.environment == other.environment
        && same_log(&one.stdout, &other.stdout)
        && same_log(&one.stderr, &other.stderr)
}

/// Of a socket only the address counts here, too. With what everything ends is said in
/// `[supervisord]`, of which no part is compared: a program that goes on keeps what it has.
fn same_program(one: &ProgramSpec, other: &ProgramSpec) -> bool {
    let address = |program: &ProgramSpec| Some(program.socket.as_ref()?.address.clone());
    let rest = |program: &ProgramSpec| ProgramSpec {
        socket: None,
        ends_all: EndsAll::Never,
        ..program.clone()
    };
    one == other || (address(one) == address(other) && rest(one) == rest(other))
}

/// Whether two logs are the same to `reread`: a file that is automatic on either
/// side is not compared, because its name is made up anew each time.
fn same_log(one: &LogSpec, other: &LogSpec) -> bool {
    let targets = one.target == LogTarget::Auto
        || other.target == LogTarget::Auto
        || one.target == other.target;
    targets
        && one.bytes_max == other.bytes_max
        && one.backups == other.backups
        && one.compress == other.compress
        && one.capture_bytes_max == other.capture_bytes_max
        && one.events == other.events
        && one.syslog == other.syslog
        && one.prefix == other.prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{configuration, group, plain_group, program, service};
    use crate::spec::{SocketAddress, SocketSpec};

    fn difference(present: &[&Arc<GroupSpec>], loaded: &[&Arc<GroupSpec>]) -> [Vec<String>; 3] {
        let found = Difference::between(present.iter().copied(), &configuration(loaded));
        [found.added, found.changed, found.removed]
            .map(|names| names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn groups_are_added_changed_or_removed_by_name() {
        let (a, b) = (plain_group("a", 1, &["x"]), plain_group("b", 1, &["x"]));
        let (changed, c) = (plain_group("b", 2, &["x"]), plain_group("c", 1, &["x"]));

        let found = difference(&[&a, &b], &[&c, &changed]);

        assert_eq!(found, [vec!["c"], vec!["b"], vec!["a"]]);
    }

    #[test]
    fn the_same_text_makes_no_difference() {
        let one = plain_group("a", 1, &["x", "y"]);
        let other = plain_group("a", 1, &["x", "y"]);

        assert_eq!(difference(&[&one], &[&other]), <[Vec<String>; 3]>::default());
    }

    #[test]
    fn a_log_that_is_to_be_compressed_from_now_on_changes_the_group() {
        let plain = group("a", 1, vec![service("x", program())]);
        let mut compressed = service("x", program());
        Arc::make_mut(&mut compressed).stderr.compress = true;

        let found = difference(&[&plain], &[&group("a", 1, vec![compressed])]);

        assert_eq!(found, [vec![], vec!["a".to_owned()], vec![]]);
    }

    #[test]
    fn another_prefix_of_lines_changes_the_group() {
        let plain = group("a", 1, vec![service("x", program())]);
        let mut marked = service("x", program());
        Arc::make_mut(&mut marked).stdout.prefix = "x | ".into();

        let found = difference(&[&plain], &[&group("a", 1, vec![marked])]);

        assert_eq!(found, [vec![], vec!["a".to_owned()], vec![]]);
    }

    #[test]
    fn a_changed_program_or_number_of_members_changes_the_group() {
        let mut slower = program();
        slower.stop.wait = crate::spec::Seconds(60);
        let one = plain_group("a", 1, &["x"]);
        let slower = group("a", 1, vec![service("x", slower)]);
        let more = plain_group("a", 1, &["x", "y"]);

        for other in [&slower, &more] {
            assert_eq!(difference(&[&one], &[other]), [vec![], vec!["a"], vec![]]);
        }
    }

    #[test]
    fn the_name_of_an_automatic_log_makes_no_difference() {
        let with = |target: LogTarget| {
            let mut spec = ServiceSpec::clone(&service("x", program()));
            spec.stdout.target = target;
            group("a", 1, vec![Arc::new(spec)])
        };
        let file = |name| with(LogTarget::File(Arc::from(name)));

        assert_eq!(difference(&[&file("x1")], &[&with(LogTarget::Auto)])[1], [""; 0]);
        assert_eq!(difference(&[&file("x1")], &[&file("x2")])[1], ["a"]);
    }

    #[test]
    fn of_a_fastcgi_socket_only_the_address_counts() {
        let with = |path: &str, mode| {
            let address = SocketAddress::Unix(Arc::from(path));
            let socket = SocketSpec { address, backlog: None, owner: None, mode };
            let mut spec = GroupSpec::clone(&plain_group("a", 1, &["x"]));
            spec.kind = GroupKind::FastCgi(socket);
            Arc::new(spec)
        };
        let one = with("/s", None);

        assert_eq!(difference(&[&one], &[&with("/s", Some(0o777))])[1], [""; 0]);
        assert_eq!(difference(&[&one], &[&with("/t", None)])[1], ["a"]);
    }

    #[test]
    fn with_what_everything_ends_is_not_compared() {
        let with = |ends_all| {
            let mut spec = GroupSpec::clone(&plain_group("a", 1, &["x"]));
            let mut service = ServiceSpec::clone(&spec.services[0]);
            let mut program = ProgramSpec::clone(&service.program);
            program.ends_all = ends_all;
            service.program = Arc::new(program);
            spec.services = [Arc::new(service)].into();
            Arc::new(spec)
        };

        assert_eq!(difference(&[&with(EndsAll::Never)], &[&with(EndsAll::Down)])[1], [""; 0]);
    }
}
