//! What makes a shell complete the words of a tool.
//!
//! clap makes the scripts of those tools whose words are all known beforehand. That of
//! `supervisorctl` asks the supervisor for the names of its processes, so it is our own.

use askama::Template;

use super::Document;
use crate::personality::shells::Shell;
use crate::personality::supervisorctl::{self, DescribedCommand};
use crate::personality::{DescribedFlag, bardo};

/// The tools whose words are completed.
const TOOLS: [&str; 5] =
    ["bardo", "supervisord", "supervisorctl", "minix-service", "bardo_service"];

/// Where a shell looks for the script of a tool, below a folder like `/usr/local/share`.
fn path(shell: Shell, tool: &str) -> String {
    match shell {
        Shell::Bash => format!("bash-completion/completions/{tool}"),
        Shell::Zsh => format!("zsh/site-functions/_{tool}"),
        Shell::Fish => format!("fish/vendor_completions.d/{tool}.fish"),
    }
}

/// The scripts of all tools for one shell, to be read by it.
#[must_use]
pub fn for_all(shell: Shell) -> String {
    TOOLS.map(|tool| script(shell, tool)).join("\n")
}

/// All scripts, each where its shell looks for it.
#[must_use]
pub fn all() -> Vec<Document> {
    let both = Shell::ALL.into_iter().flat_map(|shell| TOOLS.map(|tool| (shell, tool)));
    let document = |(shell, tool): (Shell, &str)| Document {
        path: path(shell, tool),
        text: script(shell, tool),
    };
    both.map(document).collect()
}

fn script(shell: Shell, tool: &str) -> String {
    let mut command = match tool {
        "supervisorctl" => return Control::new().script(shell),
        "minix-service" => return super::service_words::script(shell),
        "supervisord" => bardo::daemon("supervisord"),
        "bardo_service" => bardo::host(),
        _ => bardo::command(),
    };
    let mut script = Vec::new();
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(generator, &mut command, tool, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What is known beforehand of `supervisorctl`.
struct Control {
    flags: Vec<DescribedFlag>,
    commands: Vec<DescribedCommand>,
}

#[derive(Template)]
#[template(path = "completions/supervisorctl.bash", escape = "none")]
struct BashScript<'a> {
    control: &'a Control,
}

#[derive(Template)]
#[template(path = "completions/supervisorctl.zsh", escape = "none")]
struct ZshScript<'a> {
    control: &'a Control,
}

#[derive(Template)]
#[template(path = "completions/supervisorctl.fish", escape = "none")]
struct FishScript<'a> {
    control: &'a Control,
}

impl Control {
    fn new() -> Self {
        Self { flags: supervisorctl::flags().collect(), commands: supervisorctl::commands() }
    }

    fn script(&self, shell: Shell) -> String {
        let text = match shell {
            Shell::Bash => BashScript { control: self }.render(),
            Shell::Zsh => ZshScript { control: self }.render(),
            Shell::Fish => FishScript { control: self }.render(),
        };
        text.expect("a template of texts is always rendered")
    }

    /// The words that `-TAB` shows.
    fn flag_words(&self) -> String {
        let both = |flag: &DescribedFlag| {
            let short = flag.short.map(|letter| format!("-{letter} ")).unwrap_or_default();
            format!("{short}--{}", flag.long)
        };
        self.flags.iter().map(both).collect::<Vec<_>>().join(" ")
    }

    /// The flags behind which an argument stands, as alternatives of a `case`.
    fn with_argument(&self) -> String {
        let taking = self.flags.iter().filter(|flag| flag.argument.is_some());
        let both = |flag: &DescribedFlag| {
            let short = flag.short.map(|letter| format!("-{letter}|")).unwrap_or_default();
            format!("{short}--{}", flag.long)
        };
        taking.map(both).collect::<Vec<_>>().join("|")
    }

    fn names(&self, wanted: impl Fn(&DescribedCommand) -> bool, between: &str) -> String {
        let wanted = self.commands.iter().filter(|command| wanted(command));
        wanted.map(|command| command.name).collect::<Vec<_>>().join(between)
    }

    fn all(&self, between: &str) -> String {
        self.names(|_| true, between)
    }

    /// Commands that take the word `all`.
    fn takes_all(&self, between: &str) -> String {
        let says_all = |form: &&str| form.ends_with(" all");
        self.names(|command| command.forms.iter().any(says_all), between)
    }

    fn takes_processes(&self, between: &str) -> String {
        self.names(|command| command.takes_processes, between)
    }

    fn takes_groups(&self, between: &str) -> String {
        self.names(|command| command.takes_groups, between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_decide_what_is_completed() {
        let control = Control::new();

        assert!(control.takes_processes(" ").contains("status"));
        assert_eq!(control.takes_groups(" "), "add remove update");
        assert!(!control.takes_all(" ").contains("tail"));
        assert!(control.takes_all(" ").contains("restart"));
        assert!(control.with_argument().starts_with("-c|--configuration|"));
    }
}
