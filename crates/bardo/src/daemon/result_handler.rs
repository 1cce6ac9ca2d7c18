//! What the handlers of listeners' results do: Supervisor's own, and those of packages
//! that are named in many files. It is told what a listener answered, and says what
//! becomes of the event and what is to be written where; it writes nothing itself.

use bardo_config::ResultHandler;

/// What becomes of an event after its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was processed; the listener may have another one.
    Accepted,
    /// It was rejected and goes to another listener; this one may have another event.
    Rejected,
    /// The result made no sense: the event goes to another listener, and this one's
    /// state is unknown, so it is told of no further event.
    Failed,
}

/// What a handler says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of the event.
    pub verdict: Verdict,
    /// What is written to the supervisor's own standard output.
    pub stdout: Vec<u8>,
    /// What is written to the standard input of the process that the event is about.
    pub stdin: Vec<u8>,
}

impl Judgement {
    fn bare(verdict: Verdict) -> Self {
        Self { verdict, stdout: Vec::new(), stdin: Vec::new() }
    }

    fn shown(stdout: Vec<u8>) -> Self {
        Self { stdout, ..Self::bare(Verdict::Accepted) }
    }
}

/// Judges the result of a listener. `now` is in seconds since 1970.
#[must_use]
pub fn judge(handler: ResultHandler, result: &[u8], now: i64) -> Judgement {
    match handler {
        ResultHandler::Default => plain(result),
        ResultHandler::Stdout => match relayed(result) {
            Some(text) => Judgement::shown(text),
            None => Judgement::bare(Verdict::Failed),
        },
        // It catches every error itself, so the event counts as processed.
        ResultHandler::Console => Judgement::shown(stamped(result, now).unwrap_or_default()),
        ResultHandler::Stdin => match result.strip_prefix(b"STDIN:") {
            Some(bytes) => {
                Judgement { stdin: bytes.to_vec(), ..Judgement::bare(Verdict::Accepted) }
            }
            None => plain(result),
        },
    }
}

/// Supervisor's own: `OK`, and everything else rejects the event.
fn plain(result: &[u8]) -> Judgement {
    Judgement::bare(if result == b"OK" { Verdict::Accepted } else { Verdict::Rejected })
}

/// The handler of `supervisor_stdout`: all that a process wrote, behind the names of
/// process and channel. Nothing is put behind it: the line end is the process's own.
fn relayed(result: &[u8]) -> Option<Vec<u8>> {
    let end = result.iter().position(|byte| *byte == b'\n')?;
    let (header, data) = (&result[..end], &result[end + 1..]);
    let (process, channel) = (field(header, b"processname")?, field(header, b"channel")?);
    Some([process, b" ", channel, b" | ", data].concat())
}

/// The handler of `supervisor_console`: each line behind the name of the process and the
/// time in UTC. Lines of standard error go to standard output too, as in version 0.5.2,
/// which looks its channel up under the wrong type.
fn stamped(result: &[u8], now: i64) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(result).ok()?;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
    let header = lines.next()?.as_bytes();
    let process = String::from_utf8_lossy(field(header, b"processname")?).into_owned();
    field(header, b"channel")?;
    let time = utc(now);
    let lines: Vec<String> = lines.map(|line| format!("{process} | {time} | {line}")).collect();
    Some(format!("{}\n", lines.join("\n")).into_bytes())
}

/// A field of a header whose fields are all a name and a value around one colon.
fn field<'h>(header: &'h [u8], wanted: &[u8]) -> Option<&'h [u8]> {
    let mut found = None;
    for word in header.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let colon = word.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&word[..colon], &word[colon + 1..]);
        if value.contains(&b':') {
            return None;
        }
        if name == wanted {
            found = Some(value);
        }
    }
    found
}

/// A moment as `YYYY-MM-DD HH:MM:SS`, in UTC.
fn utc(now: i64) -> String {
    const DAY: i64 = 86_400;
    let (days, second) = (now.div_euclid(DAY), now.rem_euclid(DAY));
    // Years begin in March, so that the day that some have more comes last; 400 of them
    // always have the same number of days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[u8] = b"processname:web groupname:web pid:7 channel:stderr\none\ntwo\n";

    fn shown(handler: ResultHandler, result: &[u8]) -> String {
        let judgement = judge(handler, result, 951_825_599);
        assert_eq!(judgement.verdict, Verdict::Accepted);
        String::from_utf8(judgement.stdout).unwrap()
    }

    #[test]
    fn supervisors_own_handler_takes_ok_alone() {
        let verdict = |result| judge(ResultHandler::Default, result, 0).verdict;

        assert_eq!(verdict(b"OK"), Verdict::Accepted);
        for other in [&b"FAIL"[..], b"OK\n", b"ok", b""] {
            assert_eq!(verdict(other), Verdict::Rejected);
        }
    }

    #[test]
    fn supervisor_stdout_puts_names_before_what_was_written() {
        assert_eq!(shown(ResultHandler::Stdout, LOG), "web stderr | one\ntwo\n");
        let unfinished = b"processname:web channel:stdout\npart";
        assert_eq!(shown(ResultHandler::Stdout, unfinished), "web stdout | part");
        let binary = judge(ResultHandler::Stdout, b"processname:web channel:stdout\n\xff", 0);
        assert_eq!(binary.stdout, b"web stdout | \xff");
    }

    #[test]
    fn supervisor_stdout_fails_at_what_is_no_log() {
        for result in
            [&b"OK"[..], b"", b"processname:web\nx", b"processname:a:b channel:stdout\nx", b"x\ny"]
        {
            let judgement = judge(ResultHandler::Stdout, result, 0);
            assert_eq!(judgement, Judgement::bare(Verdict::Failed));
        }
    }

    #[test]
    fn supervisor_console_puts_the_time_before_each_line() {
        assert_eq!(
            shown(ResultHandler::Console, LOG),
            "web | 2000-02-29 11:59:59 | one\nweb | 2000-02-29 11:59:59 | two\n"
        );
        let nothing = b"processname:web channel:stdout\n";
        assert_eq!(shown(ResultHandler::Console, nothing), "\n");
    }

    #[test]
    fn supervisor_console_takes_every_event() {
        for result in [&b"OK"[..], b"", b"processname:web channel:stdout\n\xff"] {
            assert_eq!(shown(ResultHandler::Console, result), "");
        }
    }

    #[test]
    fn the_twiddlers_handler_hands_on_to_standard_input() {
        let judgement = judge(ResultHandler::Stdin, b"STDIN:hello\n", 0);
        assert_eq!((judgement.verdict, &*judgement.stdin), (Verdict::Accepted, &b"hello\n"[..]));

        assert_eq!(judge(ResultHandler::Stdin, b"OK", 0), Judgement::bare(Verdict::Accepted));
        assert_eq!(judge(ResultHandler::Stdin, b"no", 0), Judgement::bare(Verdict::Rejected));
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59:59");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00:00");
        assert_eq!(utc(-1), "1969-12-31 23:59:59");
    }
}
