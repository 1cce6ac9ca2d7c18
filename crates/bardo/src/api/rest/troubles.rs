//! What is wrong with the supervisor and its surroundings, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::call::{Call, Said};
use super::problem::Problem;
use crate::api::ask::misanswered;
use crate::api::info;
use crate::daemon::clients::{Question, Reply};
use crate::daemon::troubles::{Account, TroubleKind};

#[derive(Serialize)]
struct Troubles<'a> {
    now: i64,
    counts: BTreeMap<&'static str, usize>,
    troubles: Vec<Trouble<'a>>,
}

#[derive(Serialize)]
struct Trouble<'a> {
    kind: &'static str,
    subject: &'a str,
    text: &'a str,
    since: i64,
}

/// It is answered also while everything is being stopped.
pub(super) async fn all(call: Call) -> Result<Said, Problem> {
    match call.context.ask(Question::Troubles).await? {
        Reply::Troubles(account) => Said::json(&Troubles::of(&account)),
        _ => Err(misanswered().into()),
    }
}

/// All that is wrong, written out.
pub(super) fn written(account: &Account) -> String {
    serde_json::to_string(&Troubles::of(account)).unwrap_or_default()
}

impl<'a> Troubles<'a> {
    fn of(account: &'a Account) -> Self {
        let listed = account.listed.iter().map(|trouble| Trouble {
            kind: trouble.kind.name(),
            subject: &trouble.subject,
            text: &trouble.text,
            since: trouble.since,
        });
        let counts = TroubleKind::ALL.iter().zip(account.counts);
        Self {
            now: info::now(),
            counts: counts.map(|(kind, count)| (kind.name(), count)).collect(),
            troubles: listed.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::troubles::Troubles as Known;

    #[test]
    fn what_is_wrong_is_told_with_its_kind_and_its_beginning() {
        let mut known = Known::default();
        known.begin(TroubleKind::LogTarget, "/a \"b\"", "No space left on device", 77);

        let json: serde_json::Value = serde_json::from_str(&written(&known.account())).unwrap();

        assert_eq!(json["counts"]["log-target"], 1);
        assert_eq!(json["counts"]["keeper"], 0);
        let expected = serde_json::json!([{
            "kind": "log-target",
            "subject": "/a \"b\"",
            "text": "No space left on device",
            "since": 77,
        }]);
        assert_eq!(json["troubles"], expected);
    }
}
