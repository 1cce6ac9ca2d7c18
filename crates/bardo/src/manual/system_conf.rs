//! system.conf(5): the page and the table of its keywords for documents.

use bardo_config::system_conf::{Edit, KEYWORDS, Keyword, Origin, Repeat, Standing, candidates};

use super::page::Page;

/// The page.
pub(super) fn page() -> Page {
    let mut page = Page::new("system.conf", 5, "what services may do and may use");
    page.heading("DESCRIPTION")
        .text(
            "When `service`(8) brings a program up, its entry here says as whom it runs, how much it \
             may take of the machine, what it may touch and whom it may control. The format is \
             MINIX's, its keywords are those of MINIX and some of Linux.",
        )
        .example(
            "service lamps {\n    uid lamps;\n    priority 5;\n    memory max 64M;\n    \
             control sensors;        # it may refresh them\n    \
             descr \"Switches the lamps\";\n};",
        )
        .text(
            "The name is that of the program, without its folder, or what `-progname` says. Without an \
             entry nothing is restricted, and the service runs as the supervisor does. With `--minix`, \
             or `compat=minix` in the section `[rs]` of the supervisor, there must be one.",
        );
    grammar(&mut page);
    places(&mut page);
    page.heading("KEYWORDS").text(
        "Where it is not said otherwise the last line of a keyword counts, so that an entry can \
         change what its classes say.",
    );
    keywords(&mut page, Origin::Minix);
    page.text(
        "Who holds `control` needs a socket that he reaches. That of root's `bardo run` is one. With a \
         configuration of your own, `[unix_http_server]` of `supervisord.conf`(5) says where the socket \
         is, and with `chmod=0777` and `open_to=owner` everybody reaches it: who is neither the owner \
         nor holds `control` is refused everything.",
    );
    page.heading("KEYWORDS THAT MINIX DOES NOT HAVE").text(
        "Sizes are numbers, with K, M, G or T behind them; times have one of us, ms, s and m.",
    );
    keywords(&mut page, Origin::Bardo);
    page.heading("MINIX")
        .text(
            "With `--minix` unknown keywords pass silently, the first file that can be read counts \
             even if it has no entry, the user `service` must exist where no line `uid` stands, the \
             last line of `control` and of `domain` replaces those before, and MINIX's limits hold: 8 names behind \
             `control`, 8 behind `domain`, 255 bytes behind `ipc`, 16 ranges of `io`, 16 of `irq`, 32 \
             devices and 4 classes of `pci`.",
        )
        .heading("EXAMPLES")
        .text("A class, and two services that share what it says:")
        .example(
            "service worker {\n    uid nobody;\n    pids 64;\n    memory max 256M high 200M swap 0;\n};\n\n\
             service resize { class worker; cpu 2-3; };\n\
             service index { class worker; scheduler batch; memory max 1G high 900M; };",
        )
        .text("A service that may restart and refresh another one, as MINIX's filter driver does:")
        .example("service filter {\n    ipc SYSTEM pm vfs rs ds vm at_wini;\n    control at_wini;\n};")
        .heading("SEE ALSO")
        .text("`service`(8), `bardo`(1), `supervisord`(8), `supervisord.conf`(5)");
    page
}

fn grammar(page: &mut Page) {
    page.heading("GRAMMAR")
        .text(
            "A line is words, strings and lists, and ends with a semicolon, not with the line of the \
             file. A list is lines in braces; its last semicolon may be missing. A word is letters, \
             digits and any of `!#$%&*+-./:<=>?[\\]^_|~@,`. A string stands between two \" or two ' on \
             one line. A comment goes from a # where a word could begin to the end of the line.",
        )
        .text(
            "In words and strings a backslash begins an escape: \\a \\b \\e \\f \\n \\r \\t \\v as in C, \\s \
             is a blank, up to three octal digits or an x and up to two hexadecimal ones are a byte, \
             anything else is itself. A backslash takes white space behind it away, so long strings \
             can go on in the next line. Numbers are decimal, or octal behind a 0, or hexadecimal \
             behind 0x, unless a keyword says otherwise.",
        )
        .item(
            "`include` \"FILE\";",
            "The lines of that file stand here. It is seen from the folder of this one. A file that \
             is not there is an empty one.",
        )
        .item("`service` NAME { ... };", "An entry. Nothing else stands outside of all lists.")
        .text(
            "A mistake is told with its file and line, and nothing is started. An unknown keyword is \
             one, unless the line begins with a `?`, as in `?colour blue;`: then it is passed over.",
        );
}

fn places(page: &mut Page) {
    page.heading("FILES").text(
        "The first of these that can be read and has an entry for NAME counts. A file that \
         `-config` names is the only one.",
    );
    page.example(&candidates("NAME").join("\n"));
}

fn keywords(page: &mut Page, origin: Origin) {
    for keyword in KEYWORDS.iter().filter(|keyword| keyword.origin == origin) {
        let term = format!("`{}` {};", keyword.name, keyword.arguments);
        let repeat = match keyword.repeat {
            Repeat::Replaces => "",
            Repeat::Adds | Repeat::AddsHere => " Several lines add up.",
            Repeat::Refused => " It stands once in an entry with its classes.",
        };
        page.item(
            &term,
            &format!(
                "{} On Linux: {} Default: {}. {}{repeat}",
                keyword.meaning,
                keyword.on_linux,
                keyword.default,
                standing(keyword),
            ),
        );
    }
}

/// What is done with it, and when a change of it holds.
fn standing(keyword: &Keyword) -> String {
    let edited = match keyword.edit {
        Edit::AtOnce => "a change holds at once",
        Edit::NextStart => "a change holds from the next start on",
        Edit::Never => "it cannot be changed",
    };
    match keyword.standing {
        Standing::Enforced => format!("It is enforced; {edited}."),
        Standing::NotYet => "It is checked and kept, and not enforced yet.".to_owned(),
        Standing::Recorded => "It is recorded only.".to_owned(),
    }
}

/// The keywords as rows of a table in Markdown.
#[must_use]
pub fn rows() -> Vec<String> {
    let row = |keyword: &Keyword| {
        let form = keyword.form().replace('|', "\\|");
        let (meaning, linux) = (keyword.meaning, keyword.on_linux);
        let (default, standing) = (keyword.default, keyword.standing.text());
        format!("| `{form}` | {meaning} | {linux} | {default} | {standing} |")
    };
    KEYWORDS.iter().map(row).collect()
}
