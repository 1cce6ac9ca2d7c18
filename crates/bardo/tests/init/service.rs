//! Bardo as a service of a machine: what is configured, what is said to it, who runs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bardo::selftest::client::{Client, Info};
use bardo::selftest::home::SUPERVISOR_COMM;
use bardo::selftest::procfs;

use super::scene::{Machine, Output};

/// A program that ends when it is told to.
pub(crate) const CAT: &str = "[program:cat]\ncommand=/bin/sleep 100000\nstartsecs=0\n";

/// A program that writes a number a line until it is told to end, and then into another
/// file how many lines there were.
const COUNTING: &str = r#"use strict;
my ($place, $number, $end) = (shift, 0, 0);
$SIG{TERM} = sub { $end = 1 };
until ($end) {
    my $line = "$number\n";
    while (length $line) {
        my $written = syswrite STDOUT, $line;
        if (defined $written) { substr($line, 0, $written) = "" }
        elsif (!$!{EINTR}) { die "$!" }
    }
    $number++;
    select undef, undef, undef, 0.02;
}
open my $file, ">", "$place.count" or die "$!";
print $file $number;
close $file or die "$!";
"#;

/// A service by its name.
#[derive(Clone, Copy)]
pub(crate) struct Service<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) name: &'a str,
}

impl Machine {
    pub(crate) fn service<'a>(&'a self, name: &'a str) -> Service<'a> {
        Service { machine: self, name }
    }
}

impl Service<'_> {
    /// Its folder, where its logs are.
    pub(crate) fn folder(&self) -> String {
        format!("/srv/{}", self.name)
    }

    pub(crate) fn unit(&self) -> String {
        format!("{}.service", self.name)
    }

    /// Writes its configuration to where it is looked for. `{here}` is its folder.
    pub(crate) fn configure(&self, programs: &str) -> Self {
        let (name, here) = (self.name, self.folder());
        let programs = programs.replace("{here}", &here);
        let text = format!(
            "[unix_http_server]\nfile=/run/{name}/s.sock\n\n\
             [supervisord]\nlogfile={here}/main.log\npidfile=/run/{name}/s.pid\n\
             childlogdir={here}\n\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
             {programs}"
        );
        self.machine.write(&format!("{here}/made"), "");
        self.machine.write(&format!("/etc/bardo/{name}.conf"), &text);
        *self
    }

    /// The configuration of as many programs that count lines.
    pub(crate) fn counting(&self, programs: u32) -> String {
        let script = format!("{}/count.pl", self.folder());
        self.machine.write(&script, COUNTING);
        format!(
            "[program:count]\ncommand=/usr/bin/perl {script} {{here}}/%(process_num)d\n\
             process_name=%(process_num)d\nnumprocs={programs}\nstartsecs=0\nautorestart=false\n\
             stdout_logfile={{here}}/%(process_num)d.log\nstdout_logfile_maxbytes=0\n"
        )
    }

    /// Waits until each of them has written a line: from then on it hears when it is to end.
    #[track_caller]
    pub(crate) fn until_counted(&self, programs: u32) {
        let log = |number| self.machine.read(&format!("{}/{number}.log", self.folder()));
        self.machine.until("lines of all", |_| (0..programs).all(|number| !log(number).is_empty()));
    }

    /// Compares, when all have ended, what they have written with what is in their logs.
    pub(crate) fn check_counts(&self, programs: u32) {
        for number in 0..programs {
            let file = format!("{}/{number}", self.folder());
            let count = self.machine.read(&format!("{file}.count"));
            let lines: u64 = count.parse().unwrap_or_else(|_| panic!("{number} told '{count}'"));
            let log = self.machine.read(&format!("{file}.log"));
            let mut expected = String::new();
            (0..lines).for_each(|line| writeln!(expected, "{line}").unwrap());
            let differs = || {
                let mut pairs = log.lines().zip(expected.lines()).enumerate();
                let first = pairs.find(|(_, (one, other))| one != other);
                format!("{} of {lines} lines, {first:?}", log.lines().count())
            };
            assert!(log == expected, "{number}: {}", differs());
        }
    }

    /// `bardo_service VERB NAME OPTIONS`.
    pub(crate) fn verb(&self, verb: &str, options: &[&str]) -> Output {
        self.machine.command(&[&["bardo_service", verb, self.name], options].concat())
    }

    /// Registers it, starts it, and waits until all programs run.
    #[track_caller]
    pub(crate) fn up(&self, options: &[&str]) -> Self {
        self.verb("install", options).ends_with(0);
        self.verb("start", &[]).ends_with(0);
        self.all_running();
        *self
    }

    /// Has the unit hold something else, too.
    pub(crate) fn drop_in(&self, text: &str) -> Self {
        self.machine.write(&format!("/etc/systemd/system/{}.d/test.conf", self.unit()), text);
        self.machine.ok("systemctl daemon-reload");
        *self
    }

    /// Starts it again as one whose manager notices within two seconds that it hangs. On a busy
    /// machine one that lives may be as late: so this is for just before it is made to hang.
    pub(crate) fn is_missed_soon(&self) {
        self.drop_in("[Service]\nWatchdogSec=2\n");
        self.verb("restart", &[]).ends_with(0);
        self.all_running();
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.machine.file(&format!("/run/{}/s.sock", self.name)))
    }

    /// Waits until all programs run.
    #[track_caller]
    pub(crate) fn all_running(&self) -> Vec<Info> {
        let mut infos = Vec::new();
        self.machine.until("all programs to run", |_| {
            infos = self.client().infos().unwrap_or_default();
            !infos.is_empty() && infos.iter().all(|info| info.state == "RUNNING")
        });
        infos
    }

    /// Which processes the programs are: names and numbers in the machine.
    pub(crate) fn programs(&self) -> Vec<(String, u32)> {
        let infos = self.client().infos().unwrap_or_default();
        let running = infos.into_iter().filter(|info| info.state == "RUNNING");
        running.map(|info| (info.name, info.pid)).collect()
    }

    pub(crate) fn property(&self, name: &str) -> String {
        self.machine.property(&self.unit(), name)
    }

    /// Waits until the unit has this `ActiveState`.
    #[track_caller]
    pub(crate) fn until_state(&self, state: &str) {
        let what = format!("{} {state}", self.unit());
        self.machine.until(&what, |_| self.property("ActiveState") == state);
    }

    /// Its keeper, the main process of the unit, as we number it.
    pub(crate) fn keeper(&self) -> Option<u32> {
        let inside = self.property("MainPID").parse().ok().filter(|&pid: &u32| pid != 0)?;
        self.machine.outside(inside)
    }

    /// Its supervisor, as we number it.
    pub(crate) fn supervisor(&self) -> Option<u32> {
        let keeper = self.keeper()?;
        let group = procfs::stat(keeper)?.group;
        let mut found = procfs::children(keeper);
        found.retain(|stat| stat.is_alive() && stat.comm == SUPERVISOR_COMM && stat.group == group);
        found.into_iter().min_by_key(|stat| stat.started).map(|stat| stat.pid)
    }

    /// Waits until it has another keeper and another supervisor than these, the unit is
    /// active, and the programs are who they were. How long that took.
    #[track_caller]
    pub(crate) fn recovered(
        &self,
        keeper: Option<u32>,
        supervisor: Option<u32>,
        programs: &[(String, u32)],
    ) -> Duration {
        let began = Instant::now();
        let mut active = None;
        self.machine.until("the service to be back", |_| {
            let (new_keeper, new_supervisor) = (self.keeper(), self.supervisor());
            let is_new = new_keeper.is_some()
                && new_supervisor.is_some()
                && keeper.is_none_or(|old| new_keeper != Some(old))
                && supervisor.is_none_or(|old| new_supervisor != Some(old));
            if is_new && active.is_none() && self.property("ActiveState") == "active" {
                active = Some(began.elapsed());
            }
            active.is_some() && self.client().state().is_ok_and(|state| state == "RUNNING")
        });
        self.machine.until("the programs", |_| self.programs().len() >= programs.len());
        assert_eq!(self.programs(), programs, "{}", self.machine.told());
        active.unwrap_or_default()
    }

    /// Waits until no process of it is left. Who has guarded a pause takes a moment to see
    /// that it is over.
    #[track_caller]
    pub(crate) fn nothing_left(&self) {
        let unit = self.unit();
        self.machine
            .until("nothing to be left", |machine| machine.unit_processes(&unit).is_empty());
    }
}
