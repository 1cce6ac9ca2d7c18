//! What has happened, told line by line from what was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::Process;

/// What was last seen, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// State and number of each program.
    last: BTreeMap<String, (String, u32)>,
    supervisors: u32,
}

impl Story {
    pub(super) fn new() -> Self {
        Self { last: BTreeMap::new(), supervisors: 1 }
    }

    /// The programs were seen: one line for each that has changed.
    pub(super) fn saw(&mut self, processes: &[Process]) -> Vec<String> {
        let mut news = Vec::new();
        for Process { name, state, pid, .. } in processes {
            let before = self.last.insert(name.clone(), (state.clone(), *pid));
            let former = before.as_ref().map_or(0, |(_, pid)| *pid);
            let changed = before.is_none_or(|(before, _)| before != *state);
            if *pid != former && *pid != 0 && former != 0 {
                news.push(format!("{name}: {former} has ended, {pid} is in its place"));
            } else if changed && *pid == 0 {
                news.push(format!("{name}: {state}"));
            } else if changed {
                news.push(format!("{name}: {state}, process {pid}"));
            }
        }
        news
    }

    /// A supervisor has died, and its successor has answered after `gap`.
    pub(super) fn taken_over(
        &mut self,
        former: u32,
        present: u32,
        gap: Duration,
        processes: &[Process],
    ) -> Vec<String> {
        self.supervisors += 1;
        let milliseconds = gap.as_secs_f64() * 1000.0;
        let number = self.supervisors;
        let mut news = vec![format!(
            "the supervisor {former} has died; {present}, number {number}, has taken over and \
             answered after {milliseconds:.1} ms"
        )];
        for Process { name, pid, .. } in processes {
            let before = self.last.get(name).map_or(0, |(_, pid)| *pid);
            if before == *pid && *pid != 0 {
                news.push(format!("{name} has kept its process {pid}"));
            }
        }
        news.extend(self.saw(processes));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, state: &str, pid: u32) -> Process {
        Process { name: name.into(), state: state.into(), pid, description: String::new() }
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut story = Story::new();

        assert_eq!(story.saw(&[process("a", "STARTING", 7)]), ["a: STARTING, process 7"]);
        assert_eq!(story.saw(&[process("a", "RUNNING", 7)]), ["a: RUNNING, process 7"]);
        assert_eq!(story.saw(&[process("a", "RUNNING", 7)]), [] as [String; 0]);
        let again = story.saw(&[process("a", "STARTING", 9)]);
        assert_eq!(again, ["a: 7 has ended, 9 is in its place"]);
        assert_eq!(story.saw(&[process("a", "FATAL", 0)]), ["a: FATAL"]);
        assert_eq!(story.saw(&[process("a", "FATAL", 0)]), [] as [String; 0]);
    }

    #[test]
    fn who_took_over_is_told_with_what_was_kept() {
        let mut story = Story::new();
        story.saw(&[process("a", "RUNNING", 7), process("b", "RUNNING", 8)]);

        let after = [process("a", "RUNNING", 7), process("b", "STARTING", 9)];
        let news = story.taken_over(5, 6, Duration::from_micros(2345), &after);

        assert_eq!(
            news,
            [
                "the supervisor 5 has died; 6, number 2, has taken over and answered after 2.3 ms",
                "a has kept its process 7",
                "b: 8 has ended, 9 is in its place",
            ]
        );
    }
}
