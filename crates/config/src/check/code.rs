//! What can be found: one list, from which the documentation and the tests are checked.

use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing need be done.
    Remark,
    /// Something deserves attention.
    Warning,
    /// The file would be refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remark => "remark",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Makes the type, its names and its severities from one list.
macro_rules! codes {
    ($($variant:ident $name:literal $severity:ident $meaning:literal)*) => {
        /// What was found. The names are stable: programs may look at them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How much it matters.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }

            /// What it says, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    Unreadable "unreadable" Error "The file is not there, cannot be read, or is not UTF-8."
    Syntax "syntax" Error "A line is neither a section nor an option."
    MissingSection "missing-section" Error "A section that must be there is not."
    MissingOption "missing-option" Error "An option that must be there is not."
    BadValue "bad-value" Error "The value of an option is refused."
    BadEnvironment "bad-environment" Error "`environment` is not a list of KEY=value."
    BadFormat "bad-format" Error "A `%` in a value makes no sense."
    UnknownName "unknown-name" Error "A value contains a `%(name)s` that means nothing there."
    UnknownUser "unknown-user" Error "A user or a group is not known on this machine."
    MissingDirectory "missing-directory" Error "A directory that must be there is not."
    UnknownProgram "unknown-program" Error
        "A group lists a program that there is not, or twice, or `exit_on` names one that there is not."
    UnknownEvent "unknown-event" Error "A listener subscribes to an event that is never sent."
    UnknownDependency "unknown-dependency" Error
        "A program depends on one that there is not, or on a name that several have."
    CircularDependency "circular-dependency" Error "Programs wait for each other for ever."
    PythonPlugin "python-plugin" Error "A Python object is named that Bardo cannot load."
    IncompleteAuthentication "incomplete-authentication" Error
        "A user name stands without a password, or the reverse."

    UnknownSection "unknown-section" Warning "A section is ignored."
    SectionPrefix "section-prefix" Warning
        "A section counts as a server because of how its name begins."
    TextBehindSection "text-behind-section" Warning
        "What stands behind a section's name is ignored."
    UnknownOption "unknown-option" Warning "An option is ignored."
    RepeatedSection "repeated-section" Warning
        "Two sections of one name are merged into one program."
    RepeatedOption "repeated-option" Warning "An option is given twice; the last value counts."
    SwallowedLine "swallowed-line" Warning
        "A line that looks like an option or a section belongs to the value above it."
    ValueCutShort "value-cut-short" Warning "A comment ends a value where it was hardly meant to."
    LiteralQuotes "literal-quotes" Warning "Quotes around a value are part of it."
    EnvironmentCutShort "environment-cut-short" Warning
        "A value in `environment` ends at a character that should be in quotes."
    NoShellExpansion "no-shell-expansion" Warning "`$NAME` in `environment` stays as it is."
    IncludesNothing "includes-nothing" Warning "A pattern of `[include]` matches no file."
    IncludeUnreadable "include-unreadable" Warning "An included file cannot be read and is skipped."
    NestedInclude "nested-include" Warning "What an included file includes is ignored."
    ControlInInclude "control-in-include" Warning
        "`[supervisorctl]` stands in an included file, where it is not looked for."
    WritableFile "writable-file" Warning "Everybody may write to the file."

    BadCommand "bad-command" Warning "A command is empty or has an open quote."
    ShellSyntax "shell-syntax" Warning "A command is written for a shell, and none runs it."
    CommandNotFound "command-not-found" Warning "The program of a command is not there."
    RelativeCommand "relative-command" Warning "The program of a command depends on a directory."
    GoesToBackground "goes-to-background" Warning
        "A command starts something that leaves for the background."
    ShellStaysBehind "shell-stays-behind" Remark
        "A stop reaches the shell of a command, and not what the shell has started."
    MissingWorkingDirectory "missing-working-directory" Warning
        "The directory of a program is not there."
    RelativePath "relative-path" Warning "A path depends on where the daemon is started."
    RestartLoop "restart-loop" Warning
        "A program that ends is started again without any pause."
    StartCountsFirst "start-counts-first" Remark
        "A program that ends within startsecs is started again whatever autorestart says."
    StopsignalZero "stopsignal-zero" Warning "Signal 0 asks nothing of a program."
    NoProcesses "no-processes" Warning "A program has no processes."
    UserCannotSwitch "user-cannot-switch" Warning
        "A program is to run as a user that the daemon may not become."

    ShortHeartbeat "short-heartbeat" Warning
        "A program owes signs of life more often than a busy machine lets it give them."
    NoRetries "no-retries" Warning "A program is killed when one check of its health fails."
    ImpliedCondition "implied-condition" Remark
        "A dependency does not say how far it must have come."
    MissingFile "missing-file" Warning "A file that a program needs is not there."

    SharedLog "shared-log" Warning "One log file serves several streams."
    DeprecatedSyslog "deprecated-syslog" Warning "A log file is called `syslog`."
    RedirectIgnoresFile "redirect-ignores-file" Warning
        "`stderr_logfile` is ignored because of `redirect_stderr`."
    UnboundedLog "unbounded-log" Warning "An automatic log grows without a limit."
    NeverRotated "never-rotated" Remark "A log file grows until something else rotates it."
    BackupsWithoutLimit "backups-without-limit" Warning
        "Backups are asked for, and the log is never rotated."
    NothingToCompress "nothing-to-compress" Warning
        "Backups are to be compressed, and none is ever made."
    NothingToPrefix "nothing-to-prefix" Warning
        "Lines are to have a prefix, and no output that programs share has them."
    EmptiedLog "emptied-log" Remark "A log that is full is emptied, because no backup is kept."
    DeviceLog "device-log" Remark "A log is a device: it is not rotated, where Supervisor fails."
    ForeignDescriptor "foreign-descriptor" Warning
        "A log is a descriptor that Bardo does not hand on."

    TwoGroups "two-groups" Warning "A program is in two groups and runs once in each."
    EmptyGroup "empty-group" Warning "A group has no programs."
    SameName "same-name" Warning "Two groups or two processes have one name; one of them is lost."
    FastCgiInGroup "fcgi-in-group" Warning "A FastCGI program is in a group."
    ListenerHearsItself "listener-hears-itself" Warning
        "A listener is told of its own output and can go round in circles."
    NothingToHear "nothing-to-hear" Warning "No program makes the events that a listener waits for."
    NobodyListens "nobody-listens" Remark
        "Events of a program's output are made, and nobody hears them."
    IgnoredOption "ignored-option" Warning "An option has no effect where it stands."

    NoPassword "no-password" Warning "Whoever reaches a port commands the daemon."
    OpenSocket "open-socket" Warning "Every user of the machine commands the daemon."
    BadHash "bad-hash" Warning "A `{SHA}` password that nobody can give."
    ReadablePassword "readable-password" Warning "Everybody may read a password."
    NoControlSection "no-control-section" Warning "`supervisorctl -c` refuses the file."
    NoInterface "no-interface" Warning "Clients have no methods to call."
    ControlElsewhere "control-elsewhere" Warning "`supervisorctl` asks where no server listens."
    ControlPassword "control-password" Warning
        "`supervisorctl` does not give the password that the server asks for."

    BackgroundOnly "background-only" Warning "An option counts in the background only."
    LimitTooLow "limit-too-low" Warning "The daemon would not get what minfds or minprocs asks for."
    BardoOnly "bardo-only" Remark "Supervisor does not know this option and ignores it."
}
