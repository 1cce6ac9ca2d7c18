//! service(8): the page.

use super::page::{Page, sentence};
use crate::personality::service::help::LONG_OPTIONS;
use crate::personality::service::options::{OPTIONS, Source, Value};
use crate::personality::service::verbs::{Operand, SWITCHES, VERBS};

/// The page.
pub(super) fn page() -> Page {
    let mut page = Page::new("service", 8, "brings services up that are watched and reborn");
    page.heading("SYNOPSIS")
        .text("`service` [SWITCH...] `up`|`run`|`edit`|`update` BINARY|`self` [-OPTION VALUE]... [-- ARGUMENT...]")
        .text("`service` `down`|`refresh`|`restart`|`clone`|`unclone`|`fi`|`lookup` LABEL")
        .text("`service` `list`|`show` [LABEL]")
        .text("`service` `sysctl` srv_status|upd_start|upd_run|upd_stop|upd_status")
        .text("`service` `shutdown` [-stop]");
    description(&mut page);
    page.heading("VERBS");
    for verb in VERBS {
        let operand = match verb.operand {
            Operand::Binary => " BINARY",
            Operand::Label => " LABEL",
            Operand::AnyLabel => " [LABEL]",
            Operand::Control => " WHAT",
            Operand::None => "",
        };
        page.item(&format!("`{}`{operand}", verb.name), &sentence(verb.help));
    }
    page.heading("SWITCHES").text(
        "They stand before the verb and may be bundled, as in `-cn`; they may stand behind it too. \
         They mean something to `up`, `run`, `edit` and `update`. `edit` sets -b and -c and never \
         clears them; -f is set or cleared by each `edit`.",
    );
    for switch in SWITCHES {
        page.item(&format!("`-{}`", switch.letter), &sentence(switch.help));
    }
    options(&mut page);
    page.heading("THE TOOL ITSELF");
    for (name, argument, help) in LONG_OPTIONS {
        let argument = argument.map(|name| format!(" {name}")).unwrap_or_default();
        page.item(&format!("`--{name}`{argument}"), &sentence(help));
    }
    ends(&mut page);
    page
}

fn description(page: &mut Page) {
    page.heading("DESCRIPTION")
        .text(
            "Asks a supervisor to bring programs up as MINIX 3 does it with its drivers and servers: \
             a service that crashes, hangs or ends is started again, however often that happens, with \
             waits of 0, 2, 4, 8, 16 and then 30 seconds. It is in the same table as the programs of \
             a configuration: `supervisorctl`(1) and the web page show it too, and the verbs work on \
             those, by the names that supervisorctl has for them.",
        )
        .text(
            "`up` answers when the service is initialised. A program that knows of it says so: \
             READY=1 on the control socket in `BARDO_CTL` or with sd_notify(3), or a newline on a \
             descriptor; any other one counts as initialised when it has stayed up for a second. One \
             that ends before that is not started again, save with -b: `up` ends with 215.",
        )
        .text(
            "A supervisor is needed: `bardo run` starts one in the foreground. The environment \
             variable `BARDO_SOCKET` says where it listens, else `--socket`; else it is looked for in \
             /run/bardo for root and in $XDG_RUNTIME_DIR/bardo for others, then where the \
             configuration of `supervisord`(8) says. Root, the user of the supervisor and services \
             that hold `control` in `system.conf`(5) may ask; the kernel says who asks. Such a service \
             has to reach the socket. That of root's `bardo run` is one that everybody reaches. With a \
             configuration of your own, `file`, `chmod=0777` and `open_to=owner` in the section \
             `[unix_http_server]` of `supervisord.conf`(5) make one.",
        )
        .text(
            "A supervisor that dies while somebody waits is replaced within milliseconds, and who waits \
             goes on waiting. `refresh` and `fi` are not asked twice: they end with 5 then.",
        );
    recovery(page);
}

fn recovery(page: &mut Page) {
    page.heading("RECOVERY")
        .text(
            "The wait before a restart follows from the counter of restarts that `list` shows: 2 to the \
             power of it in seconds, none for 0, and 30 seconds at most. It grows by one when a process \
             that follows a crash is initialised, begins with what `-restarts` says, and is 0 again when \
             the service has been well for a minute, or for ten times the last wait where that is \
             longer; `refresh` keeps it. With `-b` the wait is one second. So it is with `-c` and `-r`, \
             because what is in memory needs no disk.",
        )
        .text(
            "A service that ends before it is initialised for the first time is gone, and `up` ends with \
             215; with `-b` it is started again, a second apart. One that has been initialised is started \
             again however often it fails. With `-n` `up` ends with 0 as soon as the program is \
             executed, whatever becomes of it afterwards; `list` and `bardo why` tell that. A program \
             that cannot be executed is told with `-n` too.",
        )
        .text(
            "A recovery script is run by /bin/sh, after the wait, with three arguments: the label, the \
             reason and the counter. Reasons are `terminated`, `no-heartbeat`, `restart`, `health` \
             and `oom`. Its environment is PATH and \
             `BARDO_SOCKET`, its folder is /. It decides by calling `service restart` LABEL or \
             `service down` LABEL, which it may do without `control`. One that ends and has decided \
             nothing leaves the service as it is: a warning tells so after five seconds, and \
             `-script-timeout` restarts it then.",
        )
        .text(
            "The reason is `oom` when the program was killed with SIGKILL and the kernel has counted in \
             its control group, up to ten seconds before, that somebody was killed for want of memory. \
             The count is looked at with checks and heartbeats. Where there are none, somebody who was \
             killed at any time of that life counts, though the program has outlived him; when another \
             supervisor has taken over meanwhile, at any time since. In the first five seconds after \
             that whoever was killed before counts in any case. Where there is no control group that \
             counts memory the reason is never `oom`.",
        )
        .text(
            "`--minix`, or `compat=minix` in the section `[rs]` of the supervisor, makes it as strict as \
             MINIX: labels have 15 bytes and lose the rest, programs need an entry in `system.conf`(5), \
             which is read as MINIX reads it, a command line has 511 bytes and ten arguments, a script \
             255 bytes, a device is its major number, the counter is never 0 again, and `edit` lets \
             lapse what it does not repeat: the period, and with a program its arguments.",
        );
}

fn options(page: &mut Page) {
    for (source, heading, text) in [
        (
            Source::Minix,
            "OPTIONS OF MINIX",
            "They stand behind the program, in pairs. A time is a number of hundredths of a second, \
             or has a unit: `5HZ` and `5s` are five seconds, `5000ms` too.",
        ),
        (
            Source::Ours,
            "MORE OPTIONS",
            "They stand there as well. A time without a unit is a number of seconds here; units are \
             `ms`, `s`, `m` and `h`.",
        ),
        (
            Source::Later,
            "OPTIONS FOR UPDATES",
            "They are read and checked. No verb can do anything with them yet: it ends with 78.",
        ),
    ] {
        page.heading(heading).text(text);
        for option in OPTIONS.iter().filter(|option| option.source == source) {
            let value = match option.value {
                Value::Needed(name) => format!(" {name}"),
                Value::Truth => " [yes|no]".to_owned(),
                Value::None => String::new(),
            };
            page.item(&format!("`-{}`{value}", option.name), &sentence(option.help));
        }
    }
}

fn ends(page: &mut Page) {
    page.heading("EXIT STATUS")
        .text(
            "The numbers are MINIX's, which are those of NetBSD and not Linux's. What the supervisor \
             refuses is told as `Request 0x700 to RS failed: TEXT (error NUMBER)`, and what that \
             means here in the next line.",
        )
        .item("`0`", "It is done.")
        .item(
            "`1`",
            "Not permitted; or the service is down (it has crashed and waits, its recovery script \
             decides, or it was stopped), is critical, or stands in the configuration file; or `system.conf`(5) is refused or has no entry (`fatal error`).",
        )
        .item("`2`", "There is no such file.")
        .item("`3`", "There is no service of that label.")
        .item("`5`", "The supervisor did not answer, or its answer makes no sense.")
        .item("`7`, `8`, `13`", "Too long; no program; not to be executed.")
        .item("`12`", "There is no room.")
        .item(
            "`16`",
            "The label or the device is taken; or the service is being initialised, or has not \
             crashed.",
        )
        .item("`22`", "The command line makes no sense.")
        .item("`78`", "There is no such verb, or it cannot be done yet.")
        .item("`202`", "No supervisor is there.")
        .item("`215`", "The service ended, or was not initialised in time.")
        .heading("ENVIRONMENT")
        .item("`BARDO_SOCKET`", "The socket file of the supervisor: a path, or a URL `unix://PATH`.")
        .heading("FILES")
        .item(
            "/etc/bardo/system.conf.d/NAME, /etc/system.conf.d/NAME, /etc/bardo/system.conf, /etc/system.conf",
            "What a program may do and use; the first that has an entry for it counts. See \
             `system.conf`(5).",
        )
        .item("/run/bardo/bardo.sock", "The socket of root's `bardo run`.")
        .heading("EXAMPLES")
        .text("A program that answers on its control socket, and owes that every second:")
        .example("service up /usr/local/bin/store -period 1s -args '-p 8080'")
        .text("One that knows of none of this, examined over HTTP:")
        .example(
            "service up /usr/bin/python3 -label files -health-http http://127.0.0.1:8000/ \\\n  \
             -ready health -health-interval 5s -- -m http.server --bind 127.0.0.1 8000",
        )
        .text("A driver that is kept in memory, and a script that decides after a crash:")
        .example(
            "service -c up /sbin/modem -dev /dev/ttyS0 -script /etc/modem.recover\n\
             cat /etc/modem.recover\n#!/bin/sh\nlogger \"$1: $2, restart $3\"\nservice restart \"$1\"",
        )
        .text("Do not wait any longer after a crash, and see how all are:")
        .example("service restart web\nservice list")
        .heading("SEE ALSO")
        .text(super::pages::SEE_ALSO);
}
