//! The same questions to the real Supervisor and to us; the answers must be equal.
//!
//! `BARDO_SUPERVISOR_PYTHON` names the Python to use, that of a virtual environment
//! with Supervisor 4.3; without it there is nothing to compare with, and the test
//! says so. `BARDO_DIFFERENTIAL_CASES` asks for more than the ordinary number of
//! questions, `BARDO_DIFFERENTIAL_SEED` for others. Where we differ on purpose,
//! `differential/reference.py` says so.

#[path = "differential/answers.rs"]
mod answers;
#[path = "differential/dice.rs"]
mod dice;
#[path = "differential/machine.rs"]
mod machine;
#[path = "differential/questions.rs"]
mod questions;
#[path = "differential/values.rs"]
mod values;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::dice::Dice;

/// Questions of an ordinary run.
const CASES: u64 = 4_000;

/// How many differences are shown before the test gives up.
const DIFFERENCES_MAX: usize = 10;

#[test]
fn answers_are_those_of_supervisor() {
    let Ok(python) = env::var("BARDO_SUPERVISOR_PYTHON") else {
        println!("skipped: BARDO_SUPERVISOR_PYTHON does not name a Python that has Supervisor");
        return;
    };
    let cases = number("BARDO_DIFFERENTIAL_CASES", CASES);
    let first = number("BARDO_DIFFERENTIAL_SEED", 1);
    let mut reference = Reference::start(&python);
    let (mut differences, mut refused) = (0, 0);

    for seed in first..first + cases {
        let question = questions::question(&mut Dice::new(seed));
        let theirs = reference.ask(&question);
        let ours = answers::answer(&question);
        refused += u64::from(ours.get("error").is_some());
        let both_fail = theirs.get("crash").is_some() && ours.get("error").is_some();
        if ours == theirs || both_fail {
            continue;
        }
        println!("seed {seed}\n  asked  {question}\n  theirs {theirs}\n  ours   {ours}");
        differences += 1;
        if differences == DIFFERENCES_MAX {
            break;
        }
    }

    println!("{cases} questions, {refused} refused, {differences} answered differently");
    assert_eq!(differences, 0, "answers differ");
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The process that asks the real Supervisor.
struct Reference {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reference {
    fn start(python: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/reference.py");
        let mut child = Command::new(python)
            .args(["-W", "ignore", script])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {python}: {error}"));
        let questions = child.stdin.take().expect("standard input is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Self { child, questions, answers }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").expect("the reference reads questions");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the reference answers");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{question}: {error}"))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Whatever remains to be said of it was said by its last answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
