//! Methods about processes: how they are, starting, stopping, signals.

use std::sync::Arc;

use bardo_core::job::{Answer, Outcome};
use bardo_core::{Command, Signal, Target, Verb, Wait};
use bardo_wire::xmlrpc::Value;
use tokio::task::JoinSet;

use super::parameters::{Parameters, integer, shown};
use super::process_logs::one;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault, not_startable, refused};
use crate::api::lookup::{self, NotStartable};
use crate::api::{Context, info};
use crate::daemon::clients::{ProcessView, Question, Reply, Selection, StdinRefusal};
use crate::names;

/// About how many bytes are told of each process.
pub(super) const ROW_BYTES: usize = 2 << 10;

/// Most single starts of one call that are under way at a time. They are needed
/// only where some programs of a group cannot be started.
const STARTS_AT_ONCE: usize = 256;

type Result = std::result::Result<Value, Fault>;

/// What became of one process of several.
#[derive(Debug)]
pub(super) struct Status {
    group: Arc<str>,
    name: Arc<str>,
    result: std::result::Result<(), Fault>,
}

impl Status {
    pub(super) fn new(group: &str, name: &str, result: std::result::Result<(), Fault>) -> Self {
        Self { group: group.into(), name: name.into(), result }
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        let name = names::namespec(&outcome.group, &outcome.name);
        Self {
            group: outcome.group,
            name: outcome.name,
            result: outcome.result.map_err(|refusal| refused(&refusal, &name)),
        }
    }
}

/// The answer of the methods that concern several processes.
pub(super) fn statuses(statuses: impl IntoIterator<Item = Status>) -> Value {
    let rows = statuses.into_iter().map(|status| {
        let (code, description) = match status.result {
            Ok(()) => (Code::Success, "OK".to_owned()),
            Err(fault) => (fault.code, fault.text),
        };
        Value::Struct(vec![
            ("name".into(), Value::from(&*status.name)),
            ("group".into(), Value::from(&*status.group)),
            ("status".into(), Value::from(code as i32)),
            ("description".into(), Value::from(description)),
        ])
    });
    Value::Array(rows.collect())
}

/// Processes in the order in which commands reach them.
pub(super) fn by_priority(mut views: Vec<ProcessView>) -> Vec<ProcessView> {
    views.sort_by(|one, other| {
        let groups = one.group.priority.cmp(&other.group.priority);
        let members = one.spec.program.priority.cmp(&other.spec.program.priority);
        groups.then_with(|| one.group.name.cmp(&other.group.name)).then(members)
    });
    views
}

pub(super) async fn info(context: Arc<Context>, parameters: Parameters) -> Result {
    let view = one(&context, parameters.text(0)?).await?;
    describe(&context, vec![view], |mut rows| rows.pop().unwrap_or(Value::Array(rows))).await
}

pub(super) async fn all_info(context: Arc<Context>, parameters: Parameters) -> Result {
    let views = context.processes(Selection::All, "").await?;
    parameters.share().add(views.len() * ROW_BYTES).await?;
    describe(&context, views, Value::Array).await
}

/// Describes processes, beside the API thread where a program has to be looked for.
async fn describe(
    context: &Arc<Context>,
    views: Vec<ProcessView>,
    join: fn(Vec<Value>) -> Value,
) -> Result {
    let context = Arc::clone(context);
    let asks_disk = views.iter().any(|view| view.failure.is_some());
    let describe = move || {
        let now = info::now();
        let path = context.path.as_deref();
        let rows = views.iter().map(|view| info::process(view, now, path));
        join(rows.collect())
    };
    if !asks_disk {
        return Ok(describe());
    }
    let described = tokio::task::spawn_blocking(describe).await;
    described.map_err(|_| Fault::bare(Code::Failed))
}

pub(super) async fn start(context: Arc<Context>, parameters: Parameters) -> Result {
    let (name, wait) = (parameters.text(0)?, waiting(&parameters, 1));
    let namespec = names::parse(name);
    let Some(process) = namespec.process else {
        return start_many(&context, Some(namespec.group), name, wait).await;
    };
    let view = context.process(namespec.group, process, name).await?;
    if let Some(refusal) = check(&context, vec![view]).await?.pop().and_then(|(_, why)| why) {
        return Err(not_startable(refusal.error, &refusal.text));
    }
    let target = Target::Process(namespec.group.into(), process.into());
    act(&context, Verb::Start, target, wait, name).await
}

pub(super) async fn start_group(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    start_many(&context, Some(name), name, waiting(&parameters, 1)).await
}

pub(super) async fn start_all(context: Arc<Context>, parameters: Parameters) -> Result {
    start_many(&context, None, "", waiting(&parameters, 0)).await
}

/// Starts a group, or all. Programs that cannot be started are found out first and
/// not touched; the others are then started together.
async fn start_many(context: &Arc<Context>, group: Option<&str>, name: &str, wait: Wait) -> Result {
    let selection = group.map_or(Selection::All, |group| Selection::Group(group.into()));
    let mut views = context.processes(selection, name).await?;
    views.retain(|view| !view.state.is_up());
    let checked = check(context, by_priority(views)).await?;
    if checked.iter().all(|(_, refusal)| refusal.is_none()) {
        let target = group.map_or(Target::All, |group| Target::Group(group.into()));
        return act(context, Verb::Start, target, wait, name).await;
    }

    let mut results = Vec::new();
    let mut startable = Vec::new();
    for (view, refusal) in checked {
        match refusal {
            Some(refusal) => {
                let fault = not_startable(refusal.error, &refusal.text);
                results.push(Status::new(&view.group.name, &view.spec.name, Err(fault)));
            }
            None => startable.push(view),
        }
    }
    let mut starts = JoinSet::new();
    for view in startable {
        if starts.len() == STARTS_AT_ONCE {
            results.extend(starts.join_next().await.and_then(std::result::Result::ok));
        }
        starts.spawn(start_one(Arc::clone(context), view, wait));
    }
    while let Some(started) = starts.join_next().await {
        results.extend(started.ok());
    }
    Ok(statuses(results))
}

async fn start_one(context: Arc<Context>, view: ProcessView, wait: Wait) -> Status {
    let (group, process) = (&view.group.name, &view.spec.name);
    let name = names::namespec(group, process);
    let target = Target::Process(Arc::clone(group), Arc::clone(process));
    let started = act(&context, Verb::Start, target, wait, &name).await;
    Status::new(group, process, started.map(|_| ()))
}

/// Looks for the files of programs: what cannot be started is refused before
/// anything changes. Nothing else on this thread waits for the disk meanwhile.
async fn check(
    context: &Arc<Context>,
    views: Vec<ProcessView>,
) -> std::result::Result<Vec<(ProcessView, Option<NotStartable>)>, Fault> {
    let context = Arc::clone(context);
    let look = move || {
        let path = context.path.as_deref();
        views
            .into_iter()
            .map(|view| {
                let refusal = lookup::check(&view.spec, path).err();
                (view, refusal)
            })
            .collect()
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|_| Fault::bare(Code::Failed))
}

pub(super) async fn stop(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    act(&context, Verb::Stop, target_of(name), waiting(&parameters, 1), name).await
}

pub(super) async fn stop_group(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    let target = Target::Group(name.into());
    act(&context, Verb::Stop, target, waiting(&parameters, 1), name).await
}

pub(super) async fn stop_all(context: Arc<Context>, parameters: Parameters) -> Result {
    let wait = waiting(&parameters, 0);
    act(&context, Verb::Stop, Target::All, wait, "").await
}

pub(super) async fn signal(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    send_signal(&context, target_of(name), &parameters, 1, name).await
}

pub(super) async fn signal_group(context: Arc<Context>, parameters: Parameters) -> Result {
    let name = parameters.text(0)?;
    send_signal(&context, Target::Group(name.into()), &parameters, 1, name).await
}

pub(super) async fn signal_all(context: Arc<Context>, parameters: Parameters) -> Result {
    send_signal(&context, Target::All, &parameters, 0, "").await
}

async fn send_signal(
    context: &Arc<Context>,
    target: Target,
    parameters: &Parameters,
    place: usize,
    name: &str,
) -> Result {
    let value = parameters.get(place);
    if let Some(signal) = value.and_then(known_signal) {
        return act(context, Verb::Signal(signal), target, Wait::Begun, name).await;
    }
    // A name that is wrong is told before a signal that is wrong, and of many
    // processes only for those that could have been sent it.
    let fault = Fault::with(Code::BadSignal, value.map(shown).unwrap_or_default());
    let selection = match target {
        Target::Process(group, process) => Selection::Process(group, process),
        Target::Group(group) => Selection::Group(group),
        Target::All => Selection::All,
    };
    let single = matches!(selection, Selection::Process(..));
    let views = context.processes(selection, name).await?;
    if single {
        return Err(fault);
    }
    let reached = by_priority(views)
        .into_iter()
        .filter(|view| view.state.is_signallable())
        .map(|view| Status::new(&view.group.name, &view.spec.name, Err(fault.clone())));
    Ok(statuses(reached))
}

/// A signal by number or name, as Python knows them: numbers without a name are
/// refused, save for zero.
fn known_signal(value: &Value) -> Option<Signal> {
    match (integer(value), value) {
        (Some(number), _) => Signal::from_number(number)
            .filter(|signal| signal.number() == 0 || signal.name().is_some()),
        (None, Value::String(name)) => Signal::from_name(name.trim()),
        (None, _) => None,
    }
}

pub(super) async fn send_stdin(context: Arc<Context>, parameters: Parameters) -> Result {
    context.working().await?;
    let Some(Value::String(text)) = parameters.get(1) else {
        let value = parameters.get(1).map(shown).unwrap_or_default();
        return Err(Fault::with(Code::IncorrectParameters, value));
    };
    let name = parameters.text(0)?;
    let namespec = names::parse(name);
    let unknown = || Fault::with(Code::BadName, name);
    let process = namespec.process.ok_or_else(unknown)?;
    let question = Question::Stdin {
        group: namespec.group.into(),
        name: process.into(),
        bytes: text.clone().into_bytes(),
    };
    match context.ask(question).await? {
        Reply::Stdin(Ok(())) => Ok(Value::Boolean(true)),
        Reply::Stdin(Err(refusal)) => Err(match refusal {
            StdinRefusal::NoSuchName => unknown(),
            StdinRefusal::NotRunning => Fault::with(Code::NotRunning, name),
            StdinRefusal::Closed => Fault::with(Code::NoFile, name),
            StdinRefusal::Full => {
                let text = "does not read its standard input, and no more may wait for it";
                Fault::with(Code::Failed, format_args!("{name} {text}; try again later"))
            }
            StdinRefusal::ShuttingDown => Fault::bare(Code::ShutdownState),
        }),
        _ => Err(misanswered()),
    }
}

/// Lets the core do something; `name` is what the client called the target.
pub(super) async fn act(
    context: &Context,
    verb: Verb,
    target: Target,
    wait: Wait,
    name: &str,
) -> Result {
    let command = Command::Act { verb, target, wait };
    match context.command(command, name).await? {
        Answer::Done => Ok(Value::Boolean(true)),
        Answer::Outcomes(outcomes) => Ok(statuses(outcomes.into_iter().map(Status::from))),
        Answer::Refused(_) | Answer::Difference(_) | Answer::Table => Err(misanswered()),
    }
}

fn target_of(name: &str) -> Target {
    let namespec = names::parse(name);
    match namespec.process {
        Some(process) => Target::Process(namespec.group.into(), process.into()),
        None => Target::Group(namespec.group.into()),
    }
}

fn waiting(parameters: &Parameters, place: usize) -> Wait {
    match parameters.truth(place) {
        true => Wait::Done,
        false => Wait::Begun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number_as_python_knows_them() {
        let number = |value: Value| known_signal(&value).map(Signal::number);

        assert_eq!(number(Value::from("hup")), Some(1));
        assert_eq!(number(Value::from(" SIGTERM ")), Some(15));
        assert_eq!(number(Value::from("1")), Some(1));
        assert_eq!(number(Value::Int(0)), Some(0));
        assert_eq!(number(Value::Int(33)), None);
        assert_eq!(number(Value::from("4000")), None);
        assert_eq!(number(Value::from("BOGUS")), None);
        assert_eq!(number(Value::Array(vec![])), None);
    }

    #[test]
    fn an_outcome_becomes_a_status() {
        let outcome = Outcome {
            group: "g".into(),
            name: "p".into(),
            result: Err(bardo_core::Refusal::SpawnFailed(None)),
        };

        let Value::Array(rows) = statuses([Status::from(outcome)]) else {
            panic!("statuses are an array");
        };

        let Value::Struct(members) = &rows[0] else {
            panic!("a status is a struct");
        };
        let keys: Vec<&str> = members.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["name", "group", "status", "description"]);
        assert_eq!(rows[0].member("status"), Some(&Value::Int(50)));
        assert_eq!(rows[0].member("description"), Some(&Value::from("SPAWN_ERROR: g:p")));
    }
}
