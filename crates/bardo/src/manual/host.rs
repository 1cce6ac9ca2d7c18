//! bardo_service(8): the page.

use super::page::{Page, sentence};
use super::pages::SEE_ALSO;
use crate::init::sandbox::{Level, RESTRICTIONS};
use crate::personality::host::table::{OPTIONS, VERBS};

/// The page.
pub(super) fn page() -> Page {
    let mut page = Page::new(
        "bardo_service",
        8,
        "makes bardo a service of the operating system and steers it",
    );
    page.heading("SYNOPSIS")
        .text("`bardo` `/`VERB [NAME] [OPTION...]")
        .text("`bardo_service` VERB [NAME] [OPTION...]");
    description(&mut page);
    page.heading("VERBS");
    for verb in VERBS {
        page.item(&format!("`{}`", verb.name), &sentence(verb.help));
    }
    page.heading("OPTIONS").text(
        "They stand behind the verb. Those that say what is installed mean nothing to other verbs \
         and are refused there.",
    );
    for option in OPTIONS {
        let value = option.value().map(|value| format!(" {value}")).unwrap_or_default();
        page.item(&format!("`--{}`{value}", option.name), &sentence(option.help));
    }
    restrictions(&mut page);
    files(&mut page);
    ends(&mut page);
    page
}

fn description(page: &mut Page) {
    page.heading("DESCRIPTION")
        .text(
            "Writes what the init system of this machine needs to start bardo, registers it there, \
             and starts, stops and asks it through the tools of that system. Init systems are \
             systemd, Upstart, SysV init, OpenRC, launchd and FreeBSD's rc.d; which one it is, is \
             found out.",
        )
        .text(
            "A verb is the first word of any call of `bardo`, written as `/verb`, `-verb` or \
             `--verb`; behind a slash case does not matter. Called as `bardo_service`, by a link, \
             the word alone does. NAME is the name of the service, `bardo` where it is left out: 1 \
             to 200 letters of A-Z a-z 0-9 _ . - of which the first is a letter or digit. Services \
             of other names are independent of each other.",
        )
        .text(
            "The service is a supervisor in the foreground, of the configuration that `--config` \
             names, else of /etc/bardo/NAME.conf, else of none. It is available until it is stopped: \
             whatever it dies of, it is started again, at once and then after longer and longer \
             pauses, for ever. It stays down after a shutdown that was asked for (it ends with 0), \
             and is started again where a restart was asked for (it ends with 1); any other end is \
             a failure. Under SysV init, and with `--no-respawn`, it is started at boot only.",
        )
        .text(
            "`install` may be repeated: nothing happens where nothing is different, and what is \
             different is changed in place and told. A file that somebody else has written is not \
             touched, and one of ours that was edited is left as it is; `--force` replaces both. \
             What fails half-way is taken back.",
        );
}

fn restrictions(page: &mut Page) {
    page.heading("WHAT PROGRAMS MAY NOT DO").text(
        "A unit of systemd forbids some things to the supervisor and with it to every program. Each \
         has a word with which `--allow` allows it.",
    );
    for restriction in RESTRICTIONS.iter().filter(|each| each.level == Level::Usual) {
        page.item(&format!("`{}`", restriction.name), &sentence(restriction.help));
    }
    page.text("With `--hardened`, for programs that all run as the account of `--user`, also:");
    for restriction in RESTRICTIONS.iter().filter(|each| each.level == Level::Hardened) {
        page.item(&format!("`{}`", restriction.name), &sentence(restriction.help));
    }
}

fn files(page: &mut Page) {
    page.heading("FILES");
    for (path, text) in [
        ("/etc/bardo/NAME.conf", "The configuration of the service NAME, if it is there."),
        ("/etc/systemd/system/NAME.service", "systemd. It is also called NAME_service.service."),
        ("/etc/init/NAME.conf", "Upstart. On demand there is NAME.override beside it."),
        (
            "/etc/init.d/NAME_service",
            "SysV init; or in /etc/rc.d/init.d. It reads \
          /etc/default/NAME or /etc/sysconfig/NAME, where CONFIG may be set.",
        ),
        ("/etc/init.d/NAME", "OpenRC."),
        ("/Library/LaunchDaemons/bardo.NAME.plist", "launchd."),
        ("/usr/local/etc/rc.d/NAME", "FreeBSD."),
        ("/run/NAME, /var/lib/NAME, /var/log/NAME", "Its folders, where systemd makes them."),
    ] {
        page.item(&format!("`{path}`"), text);
    }
}

fn ends(page: &mut Page) {
    page.heading("EXIT STATUS")
        .text(
            "Of `status`: `0` it runs, `3` it does not, `1` that cannot be determined, as of one \
               that is not installed. Of all others, as LSB has them:",
        )
        .item("`0`", "Done, or nothing to do.")
        .item("`1`", "It failed; standard error says what, why, and what to do.")
        .item("`2`", "The command line makes no sense.")
        .item("`3`", "It cannot be had on this system.")
        .item("`4`", "The user may not do it.")
        .item("`5`", "The service is not installed.")
        .item(
            "`6`",
            "Something has to be set up first: no init system is found, an account or a \
               tool is missing, the unit is masked.",
        )
        .item("`7`", "It does not run (`reload`).")
        .heading("EXAMPLES")
        .text("A service of a configuration, from now on and at each boot:")
        .example(
            "sudo bardo /install --config /etc/bardo/bardo.conf\nsudo bardo /start\nbardo /status",
        )
        .text("A second one, as another user; what would be written:")
        .example("bardo /install web --user www-data --dry-run")
        .text("Into a root file system that is being made:")
        .example("bardo /install --root /mnt --init systemd")
        .heading("SEE ALSO")
        .text(SEE_ALSO);
}
