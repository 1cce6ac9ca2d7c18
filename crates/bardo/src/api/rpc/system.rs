//! Methods about methods.

use std::future::{Ready, ready};
use std::sync::Arc;

use bardo_wire::xmlrpc::Value;

use super::parameters::{Parameters, shown};
use super::table;
use super::{Running, call};
use crate::api::Context;
use crate::api::faults::{Code, Fault};
use crate::api::room::{Share, weight};

type Result = std::result::Result<Value, Fault>;

pub(super) fn list_methods(context: Arc<Context>, _: Parameters) -> Ready<Result> {
    let names = table::names(&context.shown().namespaces).into_iter().map(Value::from);
    ready(Ok(Value::Array(names.collect())))
}

pub(super) fn method_help(context: Arc<Context>, parameters: Parameters) -> Ready<Result> {
    ready(named(&context, &parameters).map(|method| Value::from(method.help)))
}

pub(super) fn method_signature(context: Arc<Context>, parameters: Parameters) -> Ready<Result> {
    let types = |method: &table::Method| {
        let types = std::iter::once(&method.result).chain(method.parameters);
        Value::Array(types.map(|name| Value::from(*name)).collect())
    };
    ready(named(&context, &parameters).map(types))
}

/// The results are bare, not in arrays of one as other servers' are.
pub(super) async fn multicall(context: Arc<Context>, parameters: Parameters) -> Result {
    let Some(Value::Array(calls)) = parameters.get(0) else {
        return Err(Fault::bare(Code::IncorrectParameters));
    };
    let share = parameters.share();
    let mut results = Vec::new();
    for one in calls {
        let before = share.bytes();
        let result = match one {
            Value::Struct(_) => part(Arc::clone(&context), one.clone(), share.clone()).await,
            _ => return Err(Fault::bare(Code::IncorrectParameters)),
        };
        let result = result.unwrap_or_else(|fault| {
            Value::Struct(vec![
                ("faultCode".into(), Value::from(fault.code as i32)),
                ("faultString".into(), Value::from(fault.text)),
            ])
        });
        share.at_least(before.saturating_add(weight(&result))).await?;
        results.push(result);
        // Some methods wait for nothing, and other clients must get their turn.
        tokio::task::yield_now().await;
    }
    Ok(Value::Array(results))
}

/// One call of many. It is boxed because a call can contain calls, as far as the
/// compiler knows.
fn part(context: Arc<Context>, one: Value, share: Share) -> Running {
    Box::pin(async move {
        let refused = |why: &str| Fault::with(Code::IncorrectParameters, why);
        let name = one.member("methodName").map(shown);
        let name = name.ok_or_else(|| refused("No methodName"))?;
        if name == "system.multicall" {
            return Err(refused("Recursive system.multicall forbidden"));
        }
        let parameters = match one.member("params") {
            None => Vec::new(),
            Some(Value::Array(values)) => values.clone(),
            Some(_) => return Err(Fault::bare(Code::IncorrectParameters)),
        };
        call(&context, &name, parameters, &share).await
    })
}

fn named(
    context: &Context,
    parameters: &Parameters,
) -> std::result::Result<&'static table::Method, Fault> {
    let name = parameters.get(0).and_then(Value::as_str);
    let namespaces = context.shown().namespaces;
    let method = name.and_then(|name| table::find(name, &namespaces));
    method.map(|(method, _)| method).ok_or_else(|| Fault::bare(Code::SignatureUnsupported))
}
