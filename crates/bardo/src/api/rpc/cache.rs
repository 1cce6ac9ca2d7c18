//! The methods of `supervisor_cache` 1.1.0: values that clients store by key.

use std::sync::Arc;

use bardo_core::job::Answer;
use bardo_wire::xmlrpc::{Response, Value};

use super::parameters::Parameters;
use crate::api::Context;
use crate::api::ask::misanswered;
use crate::api::faults::{Code, Fault, refused};
use crate::daemon::cache::CACHE_BYTES_MAX;
use crate::daemon::clients::{CacheReply, CacheRequest, Question, Reply};

/// The version of the interface.
const API_VERSION: &str = "0.2";

type Result = std::result::Result<Value, Fault>;

pub(super) async fn api_version(context: Arc<Context>, _: Parameters) -> Result {
    context.working().await?;
    Ok(Value::from(API_VERSION))
}

pub(super) async fn keys(context: Arc<Context>, parameters: Parameters) -> Result {
    let keys = all_keys(&context, &parameters).await?;
    Ok(Value::Array(keys.iter().map(|key| Value::from(&**key)).collect()))
}

pub(super) async fn count(context: Arc<Context>, parameters: Parameters) -> Result {
    let keys = all_keys(&context, &parameters).await?;
    Ok(Value::Int(i64::try_from(keys.len()).unwrap_or(i64::MAX)))
}

pub(super) async fn store(context: Arc<Context>, parameters: Parameters) -> Result {
    let key = key(&parameters)?;
    let value = parameters.get(1).ok_or_else(|| Fault::bare(Code::IncorrectParameters))?;
    let xml = Response::Result(value.clone()).to_xml();
    match ask(&context, &parameters, CacheRequest::Store(key, xml.into())).await? {
        CacheReply::Done => Ok(Value::Boolean(true)),
        CacheReply::Full => Err(Fault::with(
            Code::Failed,
            format_args!("no more than {CACHE_BYTES_MAX} bytes are stored; delete something first"),
        )),
        CacheReply::Keys(_) | CacheReply::Value(_) => Err(misanswered()),
    }
}

pub(super) async fn fetch(context: Arc<Context>, parameters: Parameters) -> Result {
    match ask(&context, &parameters, CacheRequest::Fetch(key(&parameters)?)).await? {
        CacheReply::Value(Some(xml)) => {
            parameters.share().add(xml.len()).await?;
            match Response::parse(xml.as_bytes()) {
                Ok(Response::Result(value)) => Ok(value),
                Ok(Response::Fault(_)) | Err(_) => Err(misanswered()),
            }
        }
        CacheReply::Value(None) => Err(Fault::bare(Code::BadName)),
        _ => Err(misanswered()),
    }
}

pub(super) async fn delete(context: Arc<Context>, parameters: Parameters) -> Result {
    ask(&context, &parameters, CacheRequest::Delete(key(&parameters)?)).await?;
    Ok(Value::Boolean(true))
}

pub(super) async fn clear(context: Arc<Context>, parameters: Parameters) -> Result {
    ask(&context, &parameters, CacheRequest::Clear).await?;
    Ok(Value::Boolean(true))
}

async fn all_keys(
    context: &Context,
    parameters: &Parameters,
) -> std::result::Result<Vec<Arc<str>>, Fault> {
    match ask(context, parameters, CacheRequest::Keys).await? {
        CacheReply::Keys(keys) => Ok(keys),
        _ => Err(misanswered()),
    }
}

async fn ask(
    context: &Context,
    parameters: &Parameters,
    request: CacheRequest,
) -> std::result::Result<CacheReply, Fault> {
    let namespace = Arc::clone(parameters.namespace());
    match context.ask(Question::Cache { namespace, request }).await? {
        Reply::Cache(reply) => Ok(reply),
        Reply::Answer(Answer::Refused(refusal)) => Err(refused(&refusal, "")),
        _ => Err(misanswered()),
    }
}

/// The key: a text that is not empty.
fn key(parameters: &Parameters) -> std::result::Result<Arc<str>, Fault> {
    let key = parameters.get(0).and_then(Value::as_str).filter(|key| !key.is_empty());
    key.map(Arc::from)
        .ok_or_else(|| Fault::with(Code::BadName, "Cache key must be a non-empty string"))
}
