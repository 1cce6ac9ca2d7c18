//! Commands about the supervisor itself and about the tool.

use super::control::{Absence, Control, Next, Stop, exit, fault};
use super::{processes, table};
use crate::client::CallError;

pub(super) fn quit(control: &mut Control<'_>, _: &str) -> Result<Next, Stop> {
    control.say("");
    Ok(Next::Leave)
}

pub(super) fn help(control: &mut Control<'_>, topic: &str) -> Result<(), Stop> {
    if topic.is_empty() {
        let topics = table::topics(&control.plugins);
        control.say(topics);
    } else {
        control.say_help(topic);
    }
    Ok(())
}

pub(super) fn version(control: &mut Control<'_>, _: &str) -> Result<(), Stop> {
    if control.is_up()? {
        let version = control.call("getSupervisorVersion", &[])?;
        let version = version.as_str().unwrap_or_default();
        match control.is_document() {
            true => control.answer(serde_json::json!({ "version": version })),
            false => control.say(version),
        }
    }
    Ok(())
}

pub(super) fn shutdown(control: &mut Control<'_>, _: &str) -> Result<(), Stop> {
    if !control.confirms("Really shut the remote supervisord process down y/N? ")? {
        return Ok(());
    }
    let url = control.client.url().to_owned();
    match control.call("shutdown", &[]) {
        Ok(_) => control.say("Shut down"),
        // Whoever wants it down has what he wants, so this is no failure.
        Err(CallError::Fault { code: fault::SHUTDOWN_STATE, .. }) => {
            control.say("ERROR: already shutting down");
        }
        Err(error) => match Absence::of(&error) {
            Some(Absence::Refused) => {
                let text = "refused connection (already shut down?)";
                control.fail(format_args!("ERROR: {url} {text}"));
            }
            Some(Absence::NoFile) => {
                control.fail(format_args!("ERROR: {url} no such file (already shut down?)"));
            }
            None => return Err(error.into()),
        },
    }
    Ok(())
}

pub(super) fn reload(control: &mut Control<'_>, _: &str) -> Result<(), Stop> {
    if !control.confirms("Really restart the remote supervisord process y/N? ")? {
        return Ok(());
    }
    match control.call("restart", &[]) {
        Ok(_) => control.say("Restarted supervisord"),
        Err(CallError::Fault { code: fault::SHUTDOWN_STATE, .. }) => {
            control.fail("ERROR: already shutting down");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Talks to another server. How that one is does not change the exit code.
pub(super) fn open(control: &mut Control<'_>, url: &str) -> Result<(), Stop> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("unix" | "http")) {
        control.fail("ERROR: url must be http:// or unix://");
        return Ok(());
    }
    control.client.open(url);
    let code = control.exit_code();
    let shown = processes::status(control, "");
    control.set_exit(if shown.is_ok() { code } else { exit::GENERIC });
    shown
}
