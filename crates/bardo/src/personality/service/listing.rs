//! What `list`, `show`, `lookup` and `sysctl srv_status` print.

use std::fmt::Write as _;

use super::measure::TICK;
use crate::service::reply::Service;

/// The first line of `list`, as MINIX's information server has it.
const HEADER: &str = "----label---- endpoint- -pid- flags- -dev- -T- alive_tm starts command\n";

/// MINIX's flags of the listing, in their columns.
const COLUMNS: &str = "AUENCR";

/// MINIX's flags of a slot, as its console shows them: by letter of the listing, or by
/// Supervisor's word for the state.
const IN_USE: u16 = 0x001;
const BY_LETTER: [(char, u16); 4] = [('E', 0x004), ('N', 0x010), ('U', 0x100), ('A', 0x1000)];
const BY_STATE: [(&str, u16); 2] = [("BACKOFF", 0x020), ("STARTING", 0x080)];

/// MINIX's flags of a service that has a copy, a replica.
const SYSTEM_BY_LETTER: [(char, u16); 2] = [('C', 0x008), ('R', 0x020)];

/// All services, one in a line.
#[must_use]
pub(super) fn list(services: &[Service]) -> String {
    let mut text = HEADER.to_owned();
    for service in services {
        let Service { label, endpoint, pid, device, restarts, command, .. } = service;
        // A heartbeat shorter than a tick is one: 0 is none.
        let (period, alive) = (service.period.div_ceil(TICK), service.alive_at / TICK);
        let flags: String =
            COLUMNS.chars().map(|flag| if has(service, flag) { flag } else { '-' }).collect();
        // A text is never a reason to end.
        let _ = writeln!(
            text,
            "{label:>13} {endpoint:>9} {pid:>5} {flags:>6} {device:>4} {period:>4} {alive:>8} \
             {restarts:>5}x {command}"
        );
    }
    text
}

fn has(service: &Service, flag: char) -> bool {
    service.flags.contains(flag)
}

/// All there is to say of one: first the seven fields of MINIX's `/proc/service`.
#[must_use]
pub(super) fn show(service: &Service) -> String {
    let detail = |name: &str| {
        let found = service.details.iter().find(|(detail, _)| detail == name);
        found.map(|(_, text)| text.as_str())
    };
    let Service { label, endpoint, pid, restarts, flags, binary, state, .. } = service;
    let policies = detail("policies").unwrap_or("reset");
    let moved = detail("ASRcount").unwrap_or("0");
    let mut text = format!(
        "filename: {binary}\nendpoint: {endpoint}\npid: {pid}\nrestarts: {restarts}\n\
         flags: {flags}\npolicies: {policies}\nASRcount: {moved}\n\
         label: {label}\nstate: {state}\ndescription: {}\ncommand: {}\ncrashes: {}\n",
        service.description, service.command, service.crashes
    );
    if service.period > 0 {
        let _ = writeln!(text, "period: {} ms", service.period);
    }
    if service.device > 0 {
        let _ = writeln!(text, "device: major {}", service.device);
    }
    for (name, value) in &service.details {
        if name != "policies" && name != "ASRcount" {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text
}

/// What `sysctl srv_status` shows: a line for each, then how many there are.
#[must_use]
pub(super) fn status(services: &[Service]) -> String {
    let mut text = String::new();
    for (slot, service) in services.iter().enumerate() {
        let flag = |wanted: &[(char, u16)]| {
            let set = wanted.iter().filter(|(letter, _)| has(service, *letter));
            set.fold(0, |all, (_, flag)| all | flag)
        };
        let state = BY_STATE.iter().find(|(state, _)| *state == service.state);
        let flags = IN_USE | flag(&BY_LETTER) | state.map_or(0, |(_, flag)| *flag);
        let script = service.details.iter().find(|(name, _)| name == "script");
        let _ = writeln!(
            text,
            "service '{}'{} slot {slot}, ep {}, pid {}, cmd {}, script {}, proc {}, major {}, \
             flags 0x{flags:03x}, sys_flags 0x{:02x}",
            service.label,
            if has(service, 'A') { "*" } else { " " },
            service.endpoint,
            service.pid,
            service.command,
            script.map_or("", |(_, script)| script),
            service.binary.rsplit('/').next().unwrap_or_default(),
            service.device,
            flag(&SYSTEM_BY_LETTER),
        );
    }
    let active = services.iter().filter(|service| has(service, 'A')).count();
    let _ = writeln!(text, "{} services, {active} of them active", services.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Service {
        Service {
            label: "web".to_owned(),
            endpoint: 4_294_967_298,
            pid: 77,
            state: "RUNNING".to_owned(),
            flags: "AC".to_owned(),
            device: 4,
            period: 5000,
            alive_at: 123_450,
            restarts: 3,
            command: "/usr/bin/web -p 80".to_owned(),
            binary: "/usr/bin/web".to_owned(),
            details: vec![("script".to_owned(), "/etc/web.sh".to_owned())],
            ..Service::default()
        }
    }

    #[test]
    fn a_list_has_the_columns_of_minix() {
        let text = list(&[web()]);

        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap(),
            "----label---- endpoint- -pid- flags- -dev- -T- alive_tm starts command"
        );
        assert_eq!(
            lines.next().unwrap(),
            "          web 4294967298    77 A---C-    4  500    12345     3x /usr/bin/web -p 80"
        );
    }

    #[test]
    fn only_no_heartbeat_is_0_ticks() {
        let ticks = |period| {
            let text = list(&[Service { period, ..web() }]);
            text.lines().nth(1).unwrap().split_ascii_whitespace().nth(5).unwrap().to_owned()
        };

        assert_eq!([0, 1, 10, 11].map(ticks), ["0", "1", "1", "2"]);
    }

    #[test]
    fn the_fields_of_proc_come_first_and_in_order() {
        let text = show(&web());

        let names: Vec<&str> =
            text.lines().take(7).map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(
            names,
            ["filename", "endpoint", "pid", "restarts", "flags", "policies", "ASRcount"]
        );
        assert!(text.contains("\nrestarts: 3\n") && text.ends_with("script: /etc/web.sh\n"));
    }

    #[test]
    fn the_status_has_minixs_numbers() {
        let waiting = Service { state: "BACKOFF".to_owned(), flags: String::new(), ..web() };

        let text = status(&[web(), waiting]);

        assert!(text.contains("service 'web'* slot 0, ep 4294967298, pid 77,"), "{text}");
        assert!(text.contains("flags 0x1001, sys_flags 0x08"), "{text}");
        assert!(text.contains("flags 0x021, sys_flags 0x00"), "{text}");
        assert!(text.ends_with("2 services, 1 of them active\n"), "{text}");
    }
}
