//! `bardo status`: how services are, each with the reason for it.

use std::process::ExitCode;

use super::lines::{self, Layout};
use super::{Failure, UNKNOWN, get};
use crate::check::Form;
use crate::client::{self, Client};
use crate::names;
use crate::output::say;
use crate::service::reply::Service;

const SERVICES: &str = "/api/v1/services";

/// Says how those of these names are, or all. A name of which nothing is known is told of
/// after the others.
pub(super) fn status(
    client: &mut Client,
    names: &[String],
    form: Form,
) -> Result<ExitCode, Failure> {
    let (mut services, mut unknown): (Vec<Service>, Vec<&str>) = Default::default();
    if names.is_empty() {
        services = all(client)?;
    }
    for name in names {
        let found = named(client, name)?;
        if found.is_empty() {
            unknown.push(name);
        }
        services.extend(found);
    }
    say(&match form {
        Form::Text => lines::status(&services, &Layout::of_output()),
        Form::Json => lines::json(&services),
    });
    for name in &unknown {
        eprintln!("bardo: status: {}", Failure::Unknown((*name).to_owned()));
    }
    Ok(if unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNKNOWN) })
}

fn all(client: &mut Client) -> Result<Vec<Service>, Failure> {
    Ok(get(client, SERVICES)?.unwrap_or_default())
}

/// Those that a name stands for: one, or with `group:*` those of a group.
fn named(client: &mut Client, name: &str) -> Result<Vec<Service>, Failure> {
    if names::parse(name).process.is_none() {
        let group = names::parse(name).group;
        let mut services = all(client)?;
        services.retain(|service| names::parse(&service.label).group == group);
        return Ok(services);
    }
    let path = format!("{SERVICES}/{}", client::encoded_name(name));
    let service: Option<Service> = get(client, &path)?;
    Ok(service.into_iter().collect())
}
