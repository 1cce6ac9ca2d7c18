//! What a unit of systemd forbids, with one word for each to allow it again.
//!
//! Whatever is forbidden here is forbidden to every program that is supervised. So by
//! default it is only what no program needs that is not an administrator's own tool.

/// When something is forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Unless it is allowed.
    Usual,
    /// With `--hardened`, unless it is allowed.
    Hardened,
}

/// Something that can be forbidden.
#[derive(Debug, Clone, Copy)]
pub struct Restriction {
    /// The word behind `--allow`.
    pub name: &'static str,
    /// When it is forbidden.
    pub level: Level,
    /// The first version of systemd that knows the lines.
    pub since: u32,
    /// The lines of the unit.
    pub lines: &'static str,
    /// What is forbidden by them.
    pub help: &'static str,
}

impl Restriction {
    /// Whether one of its lines sets this.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.lines.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name == key))
    }
}

/// The only list of restrictions. The unit, the manual page and completion are made of it.
pub const RESTRICTIONS: &[Restriction] = &[
    Restriction {
        name: "kernel-modules",
        level: Level::Usual,
        since: 232,
        lines: "ProtectKernelModules=yes",
        help: "loading kernel modules",
    },
    Restriction {
        name: "kernel-logs",
        level: Level::Usual,
        since: 244,
        lines: "ProtectKernelLogs=yes",
        help: "reading and writing the kernel's log",
    },
    Restriction {
        name: "clock",
        level: Level::Usual,
        since: 245,
        // The first line alone would make every device but the clock's vanish.
        lines: "ProtectClock=yes\nDeviceAllow=char-* rwm\nDeviceAllow=block-* rwm",
        help: "setting the clock",
    },
    Restriction {
        name: "hostname",
        level: Level::Usual,
        since: 242,
        lines: "ProtectHostname=yes",
        help: "changing the name of the machine",
    },
    Restriction {
        name: "personality",
        level: Level::Usual,
        since: 235,
        lines: "LockPersonality=yes",
        help: "changing the execution domain of a process (personality(2))",
    },
    Restriction {
        name: "realtime",
        level: Level::Usual,
        since: 231,
        lines: "RestrictRealtime=yes",
        help: "realtime scheduling",
    },
    Restriction {
        name: "foreign-architectures",
        level: Level::Usual,
        since: 209,
        lines: "SystemCallArchitectures=native",
        help: "programs of other architectures, as 32-bit ones",
    },
    Restriction {
        name: "umask",
        level: Level::Usual,
        since: 0,
        lines: "UMask=0027",
        help: "files that everybody can read, where the configuration sets no umask",
    },
    Restriction {
        name: "capabilities",
        level: Level::Usual,
        since: 0,
        lines: "CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_TIME",
        help: "the capabilities CAP_SYS_MODULE, CAP_SYS_RAWIO and CAP_SYS_TIME",
    },
    Restriction {
        name: "new-privileges",
        level: Level::Hardened,
        since: 187,
        lines: "NoNewPrivileges=yes",
        help: "gaining rights by executing a program",
    },
    Restriction {
        name: "system-files",
        level: Level::Hardened,
        // Below that there is no folder for what is temporary that outlives a keeper.
        since: 238,
        lines: "ProtectSystem=strict",
        help: "writing anywhere but in /run/NAME, /var/lib/NAME, /var/log/NAME and /tmp",
    },
    Restriction {
        name: "shared-tmp",
        level: Level::Hardened,
        since: 238,
        // The folders of `PrivateTmp=` are deleted when a keeper ends, though programs live on;
        // these are there for as long as somebody has them.
        lines: "TemporaryFileSystem=/tmp:mode=1777 /var/tmp:mode=1777",
        help: "seeing the files of others in /tmp and /var/tmp: both are empty and in memory, and \
               new ones after a keeper was killed, beside those that its programs still have",
    },
    Restriction {
        name: "setuid-files",
        level: Level::Hardened,
        since: 242,
        lines: "RestrictSUIDSGID=yes",
        help: "making files that give their owner's rights to others",
    },
    Restriction {
        name: "system-calls",
        level: Level::Hardened,
        since: 239,
        lines: "SystemCallFilter=@system-service",
        help: "system calls that services do not need",
    },
];

/// What stays allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    level: Level,
    names: Vec<&'static str>,
}

impl Allowed {
    /// What is allowed when nothing is said.
    #[must_use]
    pub fn usual() -> Self {
        Self { level: Level::Usual, names: Vec::new() }
    }

    /// What is allowed with `--hardened`.
    pub fn harden(&mut self) {
        self.level = Level::Hardened;
    }

    /// Whether it is for programs that all run as one user.
    #[must_use]
    pub fn is_hardened(&self) -> bool {
        self.level == Level::Hardened
    }

    /// Allows what has that name, or `all`; `false` where nothing has it.
    pub fn allow(&mut self, name: &str) -> bool {
        let meant = RESTRICTIONS.iter().filter(|each| name == "all" || each.name == name);
        let before = self.names.len();
        self.names.extend(meant.map(|each| each.name));
        self.names.len() > before
    }

    /// Whether a restriction was switched off.
    #[must_use]
    pub fn allows(&self, restriction: &Restriction) -> bool {
        self.names.contains(&restriction.name)
    }

    /// Whether all of them were.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        RESTRICTIONS.iter().all(|each| self.allows(each))
    }

    /// The lines for a version of systemd that forbid the rest.
    #[must_use]
    pub fn lines(&self, version: u32) -> Vec<&'static str> {
        let is_meant = |each: &&Restriction| {
            (each.level == Level::Usual || self.is_hardened())
                && !self.allows(each)
                && each.since <= version
        };
        RESTRICTIONS.iter().filter(is_meant).flat_map(|each| each.lines.lines()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_restriction_can_be_switched_off_alone() {
        for restriction in RESTRICTIONS {
            let mut allowed = Allowed::usual();
            allowed.harden();
            let all = allowed.lines(u32::MAX);

            assert!(allowed.allow(restriction.name));

            let left = allowed.lines(u32::MAX);
            let lost: Vec<_> = all.iter().filter(|line| !left.contains(line)).copied().collect();
            assert_eq!(lost.join("\n"), restriction.lines);
        }
    }

    #[test]
    fn all_of_them_can_be_switched_off_and_nothing_unknown() {
        let mut allowed = Allowed::usual();

        assert!(!allowed.allow("everything"));
        assert!(allowed.allow("all"));
        assert!(allowed.lines(u32::MAX).is_empty());
    }

    #[test]
    fn an_old_systemd_is_told_only_what_it_knows() {
        let lines = Allowed::usual().lines(243);

        assert!(lines.contains(&"ProtectHostname=yes"));
        assert!(!lines.contains(&"ProtectKernelLogs=yes"));
    }
}
