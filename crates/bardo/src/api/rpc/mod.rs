//! XML-RPC: from a request's bytes to an answer's.
//!
//! [`table`] lists every method once; dispatch, `system.listMethods`,
//! `system.methodSignature` and `system.methodHelp` are all derived from it.

mod configuration;
mod parameters;
mod process_logs;
mod processes;
mod supervisor;
mod system;
mod table;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bardo_wire::xmlrpc::{ParseError, Request, Response, Value};

use self::parameters::Parameters;
use super::Context;
use super::faults::{Code, Fault};

/// What a method does, while it does it.
type Running = Pin<Box<dyn Future<Output = Result<Value, Fault>> + Send>>;

/// Answers a request.
///
/// # Errors
/// When the bytes are no request.
pub(super) async fn answer(context: &Arc<Context>, body: &[u8]) -> Result<String, ParseError> {
    let request = Request::parse(body)?;
    let response = match call(context, &request.method, request.parameters).await {
        Ok(value) => Response::Result(value),
        Err(fault) => Response::Fault(fault.into()),
    };
    Ok(response.to_xml())
}

/// Calls a method that is offered, and waits until it is done.
async fn call(context: &Arc<Context>, name: &str, parameters: Vec<Value>) -> Result<Value, Fault> {
    call_within(context, name, parameters, &context.shown().namespaces).await
}

/// Calls a method of `supervisor.` and waits until it is done. Pages work also where no
/// `[rpcinterface:x]` offers it to clients.
pub(super) async fn call_for_page(
    context: &Arc<Context>,
    name: &str,
    parameters: Vec<Value>,
) -> Result<Value, Fault> {
    call_within(context, name, parameters, &["supervisor".to_owned()]).await
}

async fn call_within(
    context: &Arc<Context>,
    name: &str,
    parameters: Vec<Value>,
    namespaces: &[String],
) -> Result<Value, Fault> {
    let method = table::find(name, namespaces).ok_or_else(|| Fault::bare(Code::UnknownMethod))?;
    if !method.takes(parameters.len()) {
        return Err(Fault::bare(Code::IncorrectParameters));
    }
    (method.run)(Arc::clone(context), Parameters::new(parameters)).await
}
