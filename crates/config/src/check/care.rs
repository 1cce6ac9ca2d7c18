//! What a program asks for beyond Supervisor's rules.

use std::time::Duration;

use super::Context;
use super::code::Code;
use super::finding::Findings;
use super::programs::Program;
use crate::options::CareDraft;
use crate::value::BackoffRule;

/// A shorter period kills programs that work: what has no processor for a few turns of the
/// scheduler is late.
const HEARTBEAT_MIN: Duration = Duration::from_millis(50);

/// What deserves attention about it.
pub(super) fn examine(context: &Context<'_>, program: &Program<'_>, findings: &mut Findings) {
    let Some(care) = program.processes.first().and_then(|process| process.care.as_ref()) else {
        return;
    };
    let period = care.heartbeat_period;
    if !period.is_zero() && period < HEARTBEAT_MIN {
        findings.add(
            context.place(program, "heartbeat_period"),
            Code::ShortHeartbeat,
            format!(
                "a program that is silent for {} ms is killed, and on a busy machine one that \
                 works may have no processor for as long",
                period.as_millis() * 2
            ),
            format!("{} ms or more", HEARTBEAT_MIN.as_millis()),
        );
    }
    if !care.health.checks.is_empty() && care.health.retries == 1 {
        findings.add(
            context.place(program, "health_retries"),
            Code::NoRetries,
            "the program is killed as soon as one check of its health fails, be it only late",
            "health_retries=2 or more",
        );
    }
    without_effect(context, program, care, findings);
    conditions(context, program, findings);
    files(context, program, care, findings);
}

/// Options that say how something is done that nobody has asked for.
fn without_effect(
    context: &Context<'_>,
    program: &Program<'_>,
    care: &CareDraft,
    findings: &mut Findings,
) {
    let nothing_is_tried = care.health.checks.is_empty();
    let check = "health_command, health_http or health_tcp says what is tried";
    let cases = [
        ("health_interval", nothing_is_tried, check),
        ("health_timeout", nothing_is_tried, check),
        ("health_retries", nothing_is_tried, check),
        ("backoff_max", care.backoff != BackoffRule::Binary, "it is the limit of backoff=binary"),
        ("script_timeout", care.script.is_none(), "it is the limit of recovery_script"),
    ];
    for (option, is_idle, advice) in cases {
        if is_idle && context.says(program, option) {
            let message = format!("`{option}` has no effect here");
            findings.add(context.place(program, option), Code::IgnoredOption, message, advice);
        }
    }
}

/// Dependencies that leave open how far they must have come. What is written is looked at,
/// not what is meant: there it is always said.
fn conditions(context: &Context<'_>, program: &Program<'_>, findings: &mut Findings) {
    let Some(entry) = context.source.ini.get(program.section, "depends_on") else { return };
    let items = entry.value.split(|character: char| character.is_whitespace() || character == ',');
    let is_open =
        |item: &&str| !item.is_empty() && !item.ends_with(":started") && !item.ends_with(":ready");
    for item in items.filter(is_open) {
        findings.add(
            context.place(program, "depends_on"),
            Code::ImpliedCondition,
            format!("{item} is enough as soon as it has been started, whether it works or not"),
            format!("{item}:ready waits until it works; {item}:started says that it need not"),
        );
    }
}

/// Files that are needed later.
fn files(context: &Context<'_>, program: &Program<'_>, care: &CareDraft, findings: &mut Findings) {
    let variables = care.environment_file.as_deref().filter(|path| !path.starts_with('-'));
    let cases = [
        ("env_file", variables, "every start will fail", "make it, or write a `-` before its path"),
        (
            "recovery_script",
            care.script.as_deref(),
            "nobody will decide after a crash",
            "make it before the program is started",
        ),
    ];
    for (option, path, consequence, advice) in cases {
        if let Some(path) = path.filter(|path| !context.inspector.exists(path)) {
            let message = format!("{path} is not there, and {consequence}");
            findings.add(context.place(program, option), Code::MissingFile, message, advice);
        }
    }
}
