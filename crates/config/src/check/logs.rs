//! Log files of programs.

use std::collections::BTreeMap;

use bardo_core::spec::LogTarget;

use super::Context;
use super::code::Code;
use super::finding::{Findings, Place};
use super::programs::Program;
use crate::options::LogDraft;
use crate::path::absolute;
use crate::value::LogFile;

/// A stream of a program.
struct Stream<'a> {
    name: &'static str,
    log: &'a LogDraft,
}

impl Stream<'_> {
    fn path(&self) -> Option<&str> {
        match &self.log.file {
            LogFile::Target(LogTarget::File(path)) => Some(path),
            LogFile::Target(LogTarget::Auto | LogTarget::None) | LogFile::Syslog => None,
        }
    }

    fn has_backups(&self) -> bool {
        let is_file = match &self.log.file {
            LogFile::Target(LogTarget::File(path)) => !is_device(path),
            LogFile::Target(LogTarget::Auto) => true,
            LogFile::Target(LogTarget::None) | LogFile::Syslog => false,
        };
        is_file && self.log.bytes_max > 0 && self.log.backups > 0
    }
}

/// The streams of a process that have a log of their own.
fn streams<'a>(program: &'a Program<'_>, process: usize) -> Vec<Stream<'a>> {
    let Some(process) = program.processes.get(process) else { return Vec::new() };
    let mut streams = vec![Stream { name: "stdout", log: &process.draft.stdout }];
    if !program.draft.redirect_stderr {
        streams.push(Stream { name: "stderr", log: &process.draft.stderr });
    }
    streams
}

/// What deserves attention about the logs of a program.
pub(super) fn examine(context: &Context<'_>, program: &Program<'_>, findings: &mut Findings) {
    for stream in streams(program, 0) {
        let option = |suffix: &str| format!("{}_logfile{suffix}", stream.name);
        let place = |suffix: &str| context.place(program, &option(suffix));
        if findings.is_refused(&place("")) {
            continue;
        }
        match &stream.log.file {
            LogFile::Syslog => findings.add(
                place(""),
                Code::DeprecatedSyslog,
                format!("{}=syslog is deprecated", option("")),
                format!("{}_syslog=true, and {}=NONE", stream.name, option("")),
            ),
            LogFile::Target(LogTarget::None) => {}
            LogFile::Target(LogTarget::Auto) if stream.log.bytes_max == 0 => findings.add(
                place("_maxbytes"),
                Code::UnboundedLog,
                "an automatic log that is never rotated fills the disk",
                format!("{}_maxbytes of more than 0, or {}=NONE", option(""), option("")),
            ),
            LogFile::Target(LogTarget::Auto) => {}
            LogFile::Target(LogTarget::File(path)) => {
                let places = (place(""), place("_maxbytes"), place("_backups"));
                let says_backups = context.says(program, &option("_backups"));
                let limits = (stream.log.bytes_max, stream.log.backups);
                examine_file(path, limits, says_backups, places, findings);
            }
        }
    }
    for stream in streams(program, 0).iter().filter(|stream| stream.log.compress) {
        let place = context.place(program, &format!("{}_logfile_compress", stream.name));
        examine_compression(stream.has_backups(), place, findings);
    }
    for stream in streams(program, 0).iter().filter(|stream| !stream.log.prefix.is_empty()) {
        let option = format!("{}_logfile_prefix", stream.name);
        if context.says(program, &option) && !stream.path().is_some_and(is_device) {
            findings.add(
                context.place(program, &option),
                Code::NothingToPrefix,
                "files and syslog have no prefix, and this log is one of them",
                format!("{}_logfile=/dev/stdout, or leave this away", stream.name),
            );
        }
    }
    let ignored = program.processes.first().map(|process| &process.draft.stderr.file);
    if program.draft.redirect_stderr && matches!(ignored, Some(LogFile::Target(LogTarget::File(_))))
    {
        findings.add(
            context.place(program, "stderr_logfile"),
            Code::RedirectIgnoresFile,
            "standard error goes where standard output goes (redirect_stderr=true), and this \
             file is ignored",
            "remove one of the two",
        );
    }
}

/// What deserves attention about one file and its limits; `places` are those of the
/// file, of its greatest size and of its backups.
pub(super) fn examine_file(
    path: &str,
    (bytes_max, backups): (i64, i64),
    says_backups: bool,
    places: (Place, Place, Place),
    findings: &mut Findings,
) {
    let (file, size, kept) = places;
    let descriptor = path.strip_prefix("/dev/fd/").or(path.strip_prefix("/proc/self/fd/"));
    if let Some(number) = descriptor.and_then(|number| number.parse::<u32>().ok())
        && number > 2
    {
        let message = format!("descriptor {number} is the daemon's own");
        return findings.add(file, Code::ForeignDescriptor, message, "name a file or a FIFO");
    }
    if is_device(path) {
        if bytes_max > 0 && path != "/dev/null" {
            findings.add(
                file,
                Code::DeviceLog,
                format!("{path} is not rotated; Supervisor fails when it tries to"),
                "for both alike: a greatest size of 0",
            );
        }
        return;
    }
    if !path.starts_with('/') {
        findings.add(
            file.clone(),
            Code::RelativePath,
            format!("{path} depends on where the daemon is started"),
            "an absolute path, or one that begins with %(here)s",
        );
    }
    if bytes_max == 0 && says_backups && backups > 0 {
        findings.add(
            kept,
            Code::BackupsWithoutLimit,
            format!("{backups} backups are asked for, but a greatest size of 0 is no rotation"),
            "say how large the file may grow, or leave the backups away",
        );
    } else if bytes_max == 0 {
        findings.add(
            size,
            Code::NeverRotated,
            format!("{path} grows until something else rotates it"),
            "",
        );
    } else if backups == 0 {
        findings.add(
            kept,
            Code::EmptiedLog,
            format!("when {path} is full, all of it is thrown away, because no backup is kept"),
            "",
        );
    }
}

/// Whether there is ever a backup that could be compressed.
pub(super) fn examine_compression(has_backups: bool, place: Place, findings: &mut Findings) {
    if !has_backups {
        findings.add(
            place,
            Code::NothingToCompress,
            "backups are to be compressed, and this log never has one",
            "a file with a greatest size and backups, or leave this away",
        );
    }
}

/// Whether a path leads to something that is no ordinary file: a device, or a
/// descriptor of some process.
fn is_device(path: &str) -> bool {
    path.starts_with("/dev/") || (path.starts_with("/proc/") && path.contains("/fd/"))
}

/// Files that several streams write to.
pub(super) fn examine_sharing(
    context: &Context<'_>,
    programs: &[Program<'_>],
    main_log: Option<&str>,
    findings: &mut Findings,
) {
    let mut writers: BTreeMap<String, String> = BTreeMap::new();
    if let Some(path) = main_log {
        writers.insert(absolute(context.inspector, path), "the daemon itself".to_owned());
    }
    for program in programs {
        for stream in streams(program, 0) {
            let Some(path) = stream.path().filter(|path| !is_device(path)) else {
                continue;
            };
            let option = format!("{}_logfile", stream.name);
            let own = format!("{} of [{}]", option, program.section.name());
            let key = absolute(context.inspector, path);
            let second = streams(program, 1).into_iter().find(|other| other.name == stream.name);
            if let Some(other) = writers.get(&key) {
                findings.add(
                    context.place(program, &option),
                    Code::SharedLog,
                    format!("{path} is the log of {other} too: their lines mix"),
                    if other.ends_with(&format!("[{}]", program.section.name())) {
                        "redirect_stderr=true keeps both in one file, in order"
                    } else {
                        "give each a file of its own"
                    },
                );
            } else {
                writers.insert(key, own);
            }
            if second.is_some_and(|second| second.path() == Some(path)) {
                findings.add(
                    context.place(program, &option),
                    Code::SharedLog,
                    format!("all {} processes write to {path}", program.draft.numprocs),
                    "put %(process_num)d into its name",
                );
            }
        }
    }
}
