//! Who may command the daemon, and whether anybody can.

use std::sync::Arc;

use super::code::Code;
use super::finding::{Findings, Place};
use super::refusals::{place_of, read_table, refuse};
use super::sections::Kind;
use super::server::Daemon;
use super::{Context, WRITABLE};
use crate::ini::Section;
use crate::load::Source;
use crate::options::{
    CONTROL_OPTIONS, CONTROL_PLUGIN_OPTIONS, ControlDraft, HttpDraft, INET_SERVER_OPTIONS,
    INTERFACE_OPTIONS, InterfaceDraft, PluginDraft, UNIX_SERVER_OPTIONS,
};
use crate::path::resolved;
use crate::servers::{HttpServer, Listen};

/// The namespace in which clients look for the methods.
const INTERFACE: &str = "rpcinterface:supervisor";

/// How a hashed password begins, and how long it is then.
const HASH: &str = "{SHA}";
const HASH_DIGITS: usize = 40;

/// Names of this machine.
const HERE: [&str; 5] = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", ""];

/// Everything about servers, interfaces and the client.
pub(super) fn examine(
    context: &Context<'_>,
    daemon: &Daemon,
    root: &Arc<str>,
    findings: &mut Findings,
) {
    let source = context.source;
    let mut servers = Vec::new();
    for section in source.ini.sections() {
        let reader = source.section(section);
        let plain = |error| error;
        match Kind::of(section) {
            kind @ (Kind::Inet | Kind::Unix) => {
                let table =
                    if kind == Kind::Inet { INET_SERVER_OPTIONS } else { UNIX_SERVER_OPTIONS };
                let mut draft = HttpDraft::default();
                read_table(&reader, table, &mut draft, findings, &plain);
                let server = HttpServer::new(section.name(), draft);
                if daemon.require_password
                    && let Err(error) = server.check_password()
                {
                    refuse(source, findings, Place::section(section), &error);
                }
                examine_server(source, section, &server, findings);
                servers.push(server);
            }
            Kind::Interface => {
                let mut draft = InterfaceDraft::default();
                read_table(&reader, INTERFACE_OPTIONS, &mut draft, findings, &plain);
            }
            Kind::Plugin => {
                let mut draft = PluginDraft::default();
                read_table(&reader, CONTROL_PLUGIN_OPTIONS, &mut draft, findings, &plain);
            }
            _ => {}
        }
    }
    if !servers.is_empty() && source.ini.section(INTERFACE).is_none() {
        findings.add(
            Place::file(root),
            Code::NoInterface,
            format!("there is no [{INTERFACE}]: supervisorctl and other clients have no methods"),
            "add it, with supervisor.rpcinterface_factory = \
             supervisor.rpcinterface:make_main_rpcinterface",
        );
    }
    match source.ini.section("supervisorctl") {
        Some(section) => control(context, section, &servers, findings),
        None if servers.is_empty() => {}
        None => findings.add(
            Place::file(root),
            Code::NoControlSection,
            format!("there is no [supervisorctl]: `supervisorctl -c {root}` refuses the file"),
            "add the section, with the serverurl",
        ),
    }
}

fn examine_server(
    source: &Source<'_>,
    section: &Section,
    server: &HttpServer,
    findings: &mut Findings,
) {
    let is_open = ["username", "password"].iter().all(|key| source.ini.get(section, key).is_none());
    match &server.listen {
        Listen::Inet { host, port } if is_open => {
            let who = if is_here(host) && !host.is_empty() && host != "0.0.0.0" {
                "every user and every program of this machine"
            } else {
                "everybody who can reach this machine"
            };
            findings.add(
                place_of(source, section, "port"),
                Code::NoPassword,
                format!("{who} may command the daemon through port {port}, without a password"),
                "set username and password, or listen on a socket file instead",
            );
        }
        Listen::Unix { mode, .. } if mode & WRITABLE != 0 && is_open && !server.owner_only => {
            findings.add(
                place_of(source, section, "chmod"),
                Code::OpenSocket,
                format!("mode {mode:04o} lets every user of this machine command the daemon"),
                "chmod=0700, or 0770 and a group that may, or open_to=owner",
            );
        }
        _ => {}
    }
    if let Some(entry) = source.ini.get(section, "file").filter(|_| Kind::of(section) == Kind::Unix)
        && !entry.value.starts_with(['/', '~', '%'])
    {
        findings.add(
            Place::entry(section, entry),
            Code::RelativePath,
            format!("{} depends on where the daemon is started", entry.value),
            "an absolute path, or one that begins with %(here)s",
        );
    }
    let password = server.credentials.as_ref().map(|(_, password)| password.as_str());
    let digits = password.and_then(|password| password.strip_prefix(HASH));
    if let Some(digits) = digits
        && (digits.len() != HASH_DIGITS
            || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    {
        findings.add(
            place_of(source, section, "password"),
            Code::BadHash,
            "no password has this hash, so nobody is let in",
            "{SHA} is followed by the 40 lower-case hexadecimal digits that `sha1sum` prints",
        );
    }
}

fn is_here(host: &str) -> bool {
    HERE.contains(&host)
}

/// Whether the client finds the server and is let in.
fn control(
    context: &Context<'_>,
    section: &Section,
    servers: &[HttpServer],
    findings: &mut Findings,
) {
    let source = context.source;
    let mut draft = ControlDraft::default();
    let reader = source.section(section);
    read_table(&reader, CONTROL_OPTIONS, &mut draft, findings, &|error| error);
    let url = draft.serverurl.as_str();
    let found = if let Some(path) = url.strip_prefix("unix://") {
        let path = resolved(context.inspector, path);
        servers.iter().find(
            |server| matches!(&server.listen, Listen::Unix { path: known, .. } if *known == path),
        )
    } else {
        let address = url.strip_prefix("http://").unwrap_or_default();
        let address = address.split('/').next().unwrap_or_default();
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "80"));
        if !is_here(&host.to_lowercase()) || address.is_empty() {
            return;
        }
        servers.iter().find(|server| {
            matches!(&server.listen, Listen::Inet { port: known, .. } if known.to_string() == port)
        })
    };
    let Some(server) = found else {
        findings.add(
            place_of(source, section, "serverurl"),
            Code::ControlElsewhere,
            format!("supervisorctl asks {url}, and no server of this file listens there"),
            match servers.first().map(|server| &server.listen) {
                Some(Listen::Unix { path, .. }) => format!("serverurl = unix://{path}"),
                Some(Listen::Inet { port, .. }) => format!("serverurl = http://localhost:{port}"),
                None => "add [unix_http_server]".to_owned(),
            },
        );
        return;
    };
    let Some((username, password)) = &server.credentials else { return };
    let is_same = draft.username.as_ref() == Some(username)
        && draft
            .password
            .as_ref()
            .is_some_and(|given| given == password || password.starts_with(HASH));
    if !is_same {
        findings.add(
            place_of(source, section, "password"),
            Code::ControlPassword,
            format!(
                "[{}] asks for a user name and a password, and these are not the same",
                server.section
            ),
            "set the same username and password here; a script cannot type them",
        );
    }
}
