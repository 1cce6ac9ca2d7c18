//! The manual pages. Lists come from the tables; what joins them stands here.

use bardo_config::options::{Description, EVENT_TYPES, descriptions};

use super::Document;
use super::page::{Page, sentence};
use super::{host, service, system_conf};
use crate::personality::{bardo, supervisorctl, supervisord};

/// All pages.
#[must_use]
pub fn all() -> Vec<Document> {
    vec![
        document("bardo", 1, &bardo_page()),
        document("supervisord", 8, &supervisord_page()),
        document("supervisorctl", 1, &supervisorctl_page()),
        document("supervisord.conf", 5, &configuration_page()),
        document("system.conf", 5, &system_conf::page()),
        document("service", 8, &service::page()),
        document("bardo_service", 8, &host::page()),
        document("pidproxy", 1, &pidproxy_page()),
        document("echo_supervisord_conf", 1, &echo_page()),
    ]
}

fn document(name: &str, section: u8, page: &Page) -> Document {
    Document { path: format!("man/man{section}/{name}.{section}"), text: page.render() }
}

pub(super) const SEE_ALSO: &str = "`bardo`(1), `supervisord`(8), `supervisorctl`(1), `service`(8), `bardo_service`(8), \
                                   `supervisord.conf`(5), `system.conf`(5), `pidproxy`(1), \
                                   `echo_supervisord_conf`(1)";

fn bardo_page() -> Page {
    let mut page =
        Page::new("bardo", 1, "keeps programs running, and may itself die at any moment");
    page.heading("SYNOPSIS")
        .text("`bardo` COMMAND [ARGUMENT...]")
        .heading("DESCRIPTION")
        .text(
            "`bardo` is one executable with several faces. Called by the name of `supervisord`, \
             `supervisorctl`, `service`, `bardo_service`, `pidproxy` or `echo_supervisord_conf`, as a \
             symbolic link gives it, it is that tool; otherwise the first word says what it is to be. \
             A first word like `/install`, `/start` or `/status` makes it a service of the operating \
             system and steers that: see `bardo_service`(8).",
        )
        .text(
            "The supervisor may crash, be killed or hang: another one takes its place in about \
             the time of a fork and an exec. Programs run on meanwhile, and no exit status and no \
             byte of a log is lost. What makes that possible is a second, very small process, the \
             keeper, which is the parent of all programs. Its number is the one in the pid file.",
        )
        .heading("COMMANDS");
    for command in bardo::command().get_subcommands() {
        let about = command.get_long_about().or(command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        if command.has_subcommands() {
            for inner in command.get_subcommands() {
                describe(&mut page, &format!("{} {}", command.get_name(), inner.get_name()), inner);
            }
        } else if matches!(command.get_name(), "supervisord" | "supervisorctl" | "service") {
            let tool = command.get_name();
            let section = if tool == "supervisorctl" { 1 } else { 8 };
            page.item(
                &format!("`{tool}` [ARGUMENT...]"),
                &format!("{} See `{tool}`({section}).", sentence(&about)),
            );
        } else {
            describe(&mut page, command.get_name(), command);
        }
    }
    page.heading("EXIT STATUS")
        .item("`0`", "All went well.")
        .item(
            "`1`",
            "A self-test has found something, a configuration deserves attention, `doctor` has found \
             that something is wrong now, `status` or `why` that nothing is known of a name, a \
             file could not be written, or `run` was told to restart.",
        )
        .item("`2`", "The command line makes no sense, or a configuration would be refused.")
        .item(
            "`3`",
            "`doctor` has found that no program could be run on this machine, or no supervisor \
             answers `status`, `why` or `events`.",
        )
        .item("`70`", "A keeper or supervisor could not do its work; standard error says why.")
        .item("`130`", "Ctrl-C was pressed while `events` told what happens.")
        .heading("EXAMPLES")
        .text("See it work, without a file and without being root:")
        .example("bardo demo")
        .text("Bring programs up that are watched and reborn, without a configuration:")
        .example("bardo run &\nbardo service up /usr/local/bin/web")
        .text("Run what a Supervisor of Python has run so far:")
        .example("bardo supervisord -n -c /etc/supervisor/supervisord.conf")
        .text("Know beforehand what will be different, and what was never right:")
        .example("bardo check /etc/supervisor/supervisord.conf")
        .text("Know what this machine refuses, and what is wrong now:")
        .example("bardo doctor -c /etc/supervisor/supervisord.conf")
        .text("See how services are, why one of them is as it is, and what happens to all:")
        .example("bardo status\nbardo why web\nbardo events --follow")
        .text("Be Supervisor for everybody on this machine:")
        .example(
            "ln -s bardo /usr/local/bin/supervisord\nln -s bardo /usr/local/bin/supervisorctl\n\
             bardo manual /usr/local/share",
        )
        .heading("SEE ALSO")
        .text(SEE_ALSO);
    page
}

/// A command of bardo, with its arguments.
fn describe(page: &mut Page, name: &str, command: &clap::Command) {
    let about = command.get_long_about().or(command.get_about());
    let mut text = sentence(&about.map(ToString::to_string).unwrap_or_default());
    let mut term = format!("`{name}`");
    for argument in command.get_arguments() {
        let value = argument.get_id().as_str().to_uppercase();
        match argument.get_long() {
            Some(long) => {
                let shown = argument.get_value_names().and_then(|names| names.first());
                let taken = argument.get_action().takes_values();
                let value =
                    shown.filter(|_| taken).map(|name| format!(" {name}")).unwrap_or_default();
                term += &format!(" [`--{long}`{value}]");
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let default = argument.get_default_values().first();
                let default = default.map(|value| format!(" (default {})", value.display()));
                text += &format!(" `--{long}`: {help}{}.", default.unwrap_or_default());
            }
            None if argument.get_num_args().is_some_and(|count| count.min_values() == 0) => {
                term += &format!(" [{}...]", value.trim_end_matches('S'));
            }
            None if argument.is_required_set() => term += &format!(" {value}"),
            None => term += &format!(" [{value}]"),
        }
    }
    page.item(&term, &text);
}

fn supervisord_page() -> Page {
    let mut page = Page::new("supervisord", 8, "keeps the programs of a configuration running");
    page.heading("SYNOPSIS")
        .text("`supervisord` [OPTION...]")
        .heading("DESCRIPTION")
        .text(
            "Starts the programs that its configuration names, starts them again when they end, \
             writes what they say into logs, and does what `supervisorctl`(1) asks for. It takes \
             the place of Supervisor 4: the same files, the same answers, the same exit codes.",
        )
        .text(
            "Without `-n` it goes into the background once its sockets are open; the command \
             that was typed ends with exit code 0 then, and not before. Two processes stay there: \
             the keeper, which is the parent of all programs and whose number is in the pid file, \
             and the supervisor, which may be killed at any moment. Another one takes over, and \
             no program, exit status or byte of a log is lost.",
        )
        .heading("OPTIONS")
        .flags(supervisord::flags())
        .text("What is given here counts more than the file, also when that is read again.")
        .heading("SIGNALS")
        .text("They are sent to the process in the pid file.")
        .item(
            "`TERM`, `INT`, `QUIT`",
            "All programs are stopped, those of the highest `priority` first, and the daemon ends.",
        )
        .item(
            "`HUP`",
            "The file is read. If it is good, all programs are stopped and those that it names \
             are started; if not, the main log says why and nothing changes.",
        )
        .item(
            "`USR2`",
            "All logs are closed and opened again by their names, as `logrotate`(8) wants it.",
        )
        .heading("EXIT STATUS")
        .item("`0`", "It was told to end, or is in the background now.")
        .item("`2`", "It could not start; standard error says why.")
        .item("`70`", "The system failed it in a way that has no words of Supervisor's.")
        .heading("FILES")
        .text("Where `-c` does not name a configuration, the first of these is read:");
    let paths = bardo_config::candidates("BIN/supervisord");
    let shown = paths.iter().enumerate().map(|(place, path)| match place {
        0 | 1 => format!("../{path}"),
        _ => path.clone(),
    });
    page.example(&shown.collect::<Vec<_>>().join("\n"))
        .text("The first two are seen from the folder in which the tool is.");
    page.heading("ENVIRONMENT")
        .item("`TMPDIR`", "Where automatic logs of programs are put, unless `childlogdir` says it.")
        .text(
            "Programs find `SUPERVISOR_ENABLED`, `SUPERVISOR_SERVER_URL`, \
             `SUPERVISOR_PROCESS_NAME` and `SUPERVISOR_GROUP_NAME` in their environment.",
        )
        .heading("EXAMPLES")
        .text("A configuration to begin with, and the daemon in the foreground:")
        .example("echo_supervisord_conf > supervisord.conf\nsupervisord -n -c supervisord.conf")
        .text("In a container, with all logs on standard output:")
        .example(
            "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n\n\
             [program:web]\ncommand=/usr/bin/web\nredirect_stderr=true\n\
             stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0",
        )
        .heading("SEE ALSO")
        .text(SEE_ALSO);
    page
}

fn supervisorctl_page() -> Page {
    let mut page = Page::new("supervisorctl", 1, "asks a supervisor and steers it");
    page.heading("SYNOPSIS")
        .text("`supervisorctl` [OPTION...] [COMMAND [ARGUMENT...]]")
        .heading("DESCRIPTION")
        .text(
            "Carries out one command and ends. Without a command it shows how all programs are \
             and reads commands from standard input; on a terminal lines can be edited, a Tab \
             completes them, and former ones are found with the arrow keys.",
        )
        .text(
            "A process is named `GROUP:PROCESS`, or by one word where both are called the same; \
             `GROUP:*` is all processes of a group.",
        )
        .heading("OPTIONS")
        .flags(supervisorctl::flags())
        .heading("COMMANDS");
    for command in supervisorctl::commands() {
        let forms = command.forms.iter().map(|form| format!("`{form}`"));
        let terms = forms.collect::<Vec<_>>().join(", ");
        page.item(&terms, format!("{} {}", sentence(command.about), command.detail).trim_end());
    }
    page.heading("ANSWERS FOR PROGRAMS")
        .text(
            "With `-o json` in front of a command, or the word `--json` behind it, the answer is \
             one JSON document on one line of standard output. What is said for people goes to \
             standard error; when the command could not be carried out there is no document.",
        )
        .heading("EXIT STATUS")
        .item("`0`", "All went well.")
        .item("`1`", "Something failed.")
        .item("`2`", "The command line makes no sense.")
        .item("`3`", "`status`: some of the processes do not run. Else: the server cannot do it.")
        .item("`4`", "`status`: there is no such process, or no answer. Else: nobody answers.")
        .item("`5`", "The server speaks another version of the protocol.")
        .item("`7`", "A process did not start, or does not run.")
        .text("A shell ends with 0 whatever its commands have come to.")
        .heading("ENVIRONMENT")
        .item("`NO_COLOR`", "States are not coloured.")
        .item("`TERM`", "Nor are they where this is `dumb` or missing, or in a pipe.")
        .heading("FILES")
        .text(
            "Where `-c` does not name a configuration, one is looked for as by `supervisord`(8); \
             its section `[supervisorctl]` says where the supervisor listens.",
        )
        .heading("EXAMPLES")
        .example(
            "supervisorctl status\nsupervisorctl restart server:*\nsupervisorctl tail -f web\n\
             supervisorctl -s http://localhost:9001 -u user -p 123 reread",
        )
        .text("The names of all processes that are not well:")
        .example(
            "supervisorctl -o json status |\n  \
             jq -r '.[] | select(.statename != \"RUNNING\") | .name'",
        )
        .heading("SEE ALSO")
        .text(SEE_ALSO);
    page
}

fn configuration_page() -> Page {
    let mut page = Page::new("supervisord.conf", 5, "the configuration of supervisord");
    page.heading("DESCRIPTION")
        .text(
            "The file has sections, each with a heading in brackets and options below it, one in \
             a line: `name=value`. A line that begins with `;` or `#` is a comment, and so is \
             what follows a blank and one of these. A value goes on in lines that begin with a blank. \
             Quotes around a value do not protect anything, save in `command` and `environment`.",
        )
        .text(
            "In values, `%(here)s` is the folder of the file, `%(ENV_X)s` the environment \
             variable X, `%(host_node_name)s` the name of the machine; in a program also \
             `%(program_name)s`, `%(group_name)s`, `%(process_num)d` and `%(numprocs)d`. A \
             per cent sign is written `%%`. Sizes may end in KB, MB or GB; truth is written \
             true, yes, on or 1.",
        )
        .text("`echo_supervisord_conf`(1) prints a file with all of the options.");
    let all = descriptions();
    let mut last = "";
    for Description { section, name, default, help } in &all {
        if *section != last {
            page.heading(section).text(about(section));
            last = section;
        }
        let default = match *default {
            "required" => "Required.".to_owned(),
            "" => "Default: empty.".to_owned(),
            default => format!("Default: {default}."),
        };
        page.item(&format!("`{name}`"), &format!("{help} {default}"));
    }
    page.heading("EVENTS").text(&format!("The types of events are: {}.", EVENT_TYPES.join(", ")));
    page.heading("EXAMPLES")
        .text("A gateway: two servers that are steered together.")
        .example(
            "[group:server]\nprograms=network,rest\n\n\
             [program:network]\ncommand=/opt/gateway/network --port 7000\n\
             directory=/opt/gateway\nuser=gateway\npriority=1\nstartsecs=5\n\
             stdout_logfile=/var/log/gateway/network.log\nredirect_stderr=true\n\n\
             [program:rest]\ncommand=/opt/gateway/rest\nenvironment=PORT=\"8080\"\n\
             user=gateway\npriority=2\nstartretries=10",
        )
        .heading("SEE ALSO")
        .text(SEE_ALSO);
    page
}

/// What a section is for.
fn about(section: &str) -> &'static str {
    match section {
        "[supervisord]" => "The daemon itself. There has to be one.",
        "[program:x]" => "A program that is kept running. Its name is x.",
        "[group:x]" => {
            "Programs that are steered together. A program that is in no group is in one of its \
             own name."
        }
        "[eventlistener:x]" => {
            "A program that is told what happens. It takes the options of a program too, \
             redirect_stderr=true and capturing excepted."
        }
        "[fcgi-program:x]" => {
            "A program whose processes share a listening socket as their standard input. It \
             takes the options of a program too."
        }
        "[unix_http_server]" => "A socket file through which supervisorctl asks.",
        "[inet_http_server]" => {
            "A port for the same, and for the web page. What goes over it is not encrypted."
        }
        "[supervisorctl]" => "How supervisorctl finds the daemon.",
        "[rs]" => {
            "How services are kept that service(8) brings up. Supervisor does not know the \
             section."
        }
        "[include]" => "More files. These cannot include others.",
        "[rpcinterface:x]" => {
            "Methods of the XML-RPC interface. Without one such section supervisorctl is not \
             answered."
        }
        _ => "Read by the shell of Supervisor, which is written in Python; ignored here.",
    }
}

fn pidproxy_page() -> Page {
    let mut page = Page::new("pidproxy", 1, "passes signals on to the process in a file");
    page.heading("SYNOPSIS")
        .text("`pidproxy` PIDFILE COMMAND [ARGUMENT...]")
        .heading("DESCRIPTION")
        .text(
            "For a program that puts its real process behind another one and writes its number \
             into a file. Runs the command, which is not looked for in `PATH`, and sends each \
             `TERM`, `INT`, `QUIT`, `HUP`, `USR1` and `USR2` that it gets itself to the process in \
             the file. It ends when the command does, and after `TERM`, `INT` or `QUIT`.",
        )
        .heading("EXIT STATUS")
        .item("`0`", "It has done its work.")
        .item("`1`", "The command line makes no sense.")
        .item("`127`", "The command cannot be run.")
        .heading("EXAMPLES")
        .example(
            "[program:mysql]\n\
             command=/usr/bin/pidproxy /var/run/mysqld.pid /usr/bin/mysqld_safe",
        )
        .heading("SEE ALSO")
        .text(SEE_ALSO);
    page
}

fn echo_page() -> Page {
    let mut page = Page::new(
        "echo_supervisord_conf",
        1,
        "prints a configuration for supervisord to begin with",
    );
    page.heading("SYNOPSIS")
        .text("`echo_supervisord_conf`")
        .heading("DESCRIPTION")
        .text(
            "Prints a configuration that works as it is, with every other option as a comment, \
             each with its help and with what holds without it.",
        )
        .heading("EXAMPLES")
        .example("echo_supervisord_conf > /etc/supervisord.conf")
        .heading("SEE ALSO")
        .text(SEE_ALSO);
    page
}
