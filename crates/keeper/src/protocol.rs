//! What keeper and supervisor say to each other: one small message at a time.
//!
//! Descriptors travel with the message that names them, in the order of their
//! role bits.

/// Bytes of the longest message.
pub const MESSAGE_BYTES_MAX: usize = HEADER_BYTES + ENTRY_BYTES * ENTRIES_MAX;

/// Bytes before the entries of a message.
const HEADER_BYTES: usize = 24;

/// Bytes of an entry: an exit record or a held descriptor.
const ENTRY_BYTES: usize = 24;

/// Most entries of a message. Descriptors in flight are limited by the kernel, so a
/// batch is answered before the next one is sent.
pub const ENTRIES_MAX: usize = 128;

/// Most bytes of what the keeper is to tell whoever has started it.
pub const TEXT_BYTES_MAX: usize = 512;

/// Whose descriptors they are: a number that the supervisor gives, and which of its
/// lives. The keeper only compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Whose.
    pub owner: u32,
    /// Which life.
    pub life: u32,
}

impl Key {
    /// The owner of what belongs to no child.
    pub const HOUSE: u32 = u32::MAX;
}

/// Which descriptors of an owner: a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(pub u32);

impl Roles {
    /// The write end of a child's standard input.
    pub const STDIN: Self = Self(1);
    /// The read end of its standard output.
    pub const STDOUT: Self = Self(2);
    /// The read end of its standard error.
    pub const STDERR: Self = Self(4);
    /// A listening socket; the life is its place in the list of servers.
    pub const LISTENER: Self = Self(8);
    /// The read end of the log pump's staging pipe.
    pub const STAGING_READ: Self = Self(16);
    /// The write end of the log pump's staging pipe.
    pub const STAGING_WRITE: Self = Self(32);
    /// The read end of the pipe through which events go to listeners.
    pub const OUTBOX_READ: Self = Self(64);
    /// The write end of that pipe.
    pub const OUTBOX_WRITE: Self = Self(128);
    /// A listening socket that programs share; the life is its number.
    pub const SOCKET: Self = Self(256);
    /// The supervisor's end of a child's control socket.
    pub const CONTROL: Self = Self(512);
    /// A child's notify socket.
    pub const NOTIFY: Self = Self(1024);
    /// The read end of the pipe on which a child says that it is ready.
    pub const READY: Self = Self(2048);
    /// A program in memory; the life is its number.
    pub const IMAGE: Self = Self(4096);
    /// The process of a child, as a pidfd: for a keeper that is not its parent.
    pub const PROCESS: Self = Self(8192);
    /// Where a supervisor waits for the next keeper when its own is gone.
    pub const HANDOVER: Self = Self(16384);
    /// A supervisor itself, as a pidfd, which it shows to the next keeper; held until one of
    /// that keeper's own has all that it had.
    pub const SUPERVISOR: Self = Self(32768);
    /// The journal, likewise.
    pub const JOURNAL: Self = Self(65536);
    /// The talk with a supervisor that has handed over all: it goes on when nobody has this
    /// open any more.
    pub const TALK: Self = Self(131_072);
    /// The read end of the pipe before an output that programs share; the life is 1 for
    /// standard output and 2 for standard error.
    pub const SHARED_READ: Self = Self(262_144);
    /// The write end of that pipe.
    pub const SHARED_WRITE: Self = Self(524_288);
    /// Everything.
    pub const ALL: Self = Self(u32::MAX);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a role in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The roles one by one, in the order in which their descriptors travel.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..u32::BITS).map(|bit| Self(1 << bit)).filter(move |role| self.meets(*role))
    }
}

/// What a supervisor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToKeeper {
    /// The next batch of held descriptors can come.
    Next,
    /// All is taken over: what the keeper hands on from now on is taken in time.
    TookOver,
    /// Hold these descriptors, which come with this message.
    Hold(Key, Roles),
    /// Close them.
    Drop(Key, Roles),
    /// Exit records up to this one are done with.
    ExitsTaken(u64),
    /// These signals are done with: bit n is signal n.
    SignalsTaken(u64),
    /// The supervisor's control thread does not answer: end it and start another.
    Hung,
    /// How long to wait from now on, in milliseconds.
    Patience {
        /// For the supervisor to take what it is handed.
        hang: u64,
        /// For children to end that the keeper itself tells to.
        stop: u64,
    },
    /// All is over: end with this code as soon as the supervisor has ended.
    Finish(i32),
    /// Somebody whose process is held under this key, and has this number, is no child of the
    /// keeper: see to it that there is an exit record of its end.
    Watch(Key, u32),
    /// Tell whoever has started the keeper; what to tell is the message's text.
    Tell,
}

/// What the keeper says, apart from its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToSupervisor {
    /// Descriptors that are held, which come with this message: one entry each.
    Held,
    /// That was all that is held; now work.
    Begin(Predecessor),
    /// Exit records: one entry each.
    Exits,
    /// Signals that the keeper was sent: bit n is signal n.
    Signals(u64),
}

/// What became of the supervisor before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Predecessor {
    /// How many there have been.
    pub count: u32,
    /// The wait status of the last one.
    pub status: i32,
    /// Whether the keeper killed it because it took nothing any more.
    pub hung: bool,
    /// How many in a row, the last one among them, have ended before they had taken over.
    pub failures: u32,
    /// When the next one is tried, in nanoseconds on the monotonic clock: for whoever
    /// only watches until then.
    pub next_try: u64,
    /// Whether the keeper itself has come after another one, so that not all programs are its
    /// children.
    pub has_new_keeper: bool,
    /// Signals that nobody is done with: bit n is signal n. The last one may have begun to do
    /// what they ask for.
    pub signals: u64,
}

/// An exit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its number; they rise by one.
    pub sequence: u64,
    /// Who ended.
    pub pid: u32,
    /// How, as `wait` reports it.
    pub status: i32,
    /// When it was reaped, in nanoseconds on the monotonic clock.
    pub at: u64,
}

/// A message's bytes.
#[derive(Debug)]
pub struct Message {
    bytes: [u8; MESSAGE_BYTES_MAX],
    length: usize,
}

impl Default for Message {
    fn default() -> Self {
        Self { bytes: [0; MESSAGE_BYTES_MAX], length: HEADER_BYTES }
    }
}

impl Message {
    /// A message of the supervisor.
    #[must_use]
    pub fn to_keeper(what: ToKeeper) -> Self {
        let mut message = Self::default();
        let (kind, one, other) = match what {
            ToKeeper::Next => (1, 0, 0),
            ToKeeper::TookOver => (2, 0, 0),
            ToKeeper::Hold(key, roles) => (3, key.to_word(), u64::from(roles.0)),
            ToKeeper::Drop(key, roles) => (4, key.to_word(), u64::from(roles.0)),
            ToKeeper::ExitsTaken(sequence) => (5, sequence, 0),
            ToKeeper::SignalsTaken(signals) => (6, signals, 0),
            ToKeeper::Hung => (7, 0, 0),
            ToKeeper::Patience { hang, stop } => (9, hang, stop),
            ToKeeper::Finish(code) => (8, u64::from(code.cast_unsigned()), 0),
            ToKeeper::Tell => (10, 0, 0),
            ToKeeper::Watch(key, pid) => (11, key.to_word(), u64::from(pid)),
        };
        message.set_header(kind, one, other);
        message
    }

    /// What a supervisor has the keeper tell whoever has started it: lines as
    /// `sd_notify(3)` has them. What is longer than [`TEXT_BYTES_MAX`] is cut.
    #[must_use]
    pub fn telling(text: &str) -> Self {
        let mut message = Self::to_keeper(ToKeeper::Tell);
        let most = text.len().min(TEXT_BYTES_MAX);
        let length = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        message.bytes[HEADER_BYTES..HEADER_BYTES + length]
            .copy_from_slice(&text.as_bytes()[..length]);
        message.length += length;
        message
    }

    /// What is to be told.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let end = self.length.min(HEADER_BYTES + TEXT_BYTES_MAX);
        self.bytes.get(HEADER_BYTES..end).unwrap_or_default()
    }

    /// A message of the keeper without its entries.
    #[must_use]
    pub fn to_supervisor(what: ToSupervisor) -> Self {
        let mut message = Self::default();
        let (kind, one, other) = match what {
            ToSupervisor::Held => (1, 0, 0),
            ToSupervisor::Begin(Predecessor { count, status, hung, failures, .. }) => (
                2,
                u64::from(count) << 32 | u64::from(status.cast_unsigned()),
                u64::from(failures) << 32 | u64::from(hung),
            ),
            ToSupervisor::Exits => (3, 0, 0),
            ToSupervisor::Signals(signals) => (4, signals, 0),
        };
        message.set_header(kind, one, other);
        if let ToSupervisor::Begin(predecessor) = what {
            let Predecessor { next_try, has_new_keeper, signals, .. } = predecessor;
            message.push_entry([next_try, u64::from(has_new_keeper), signals]);
        }
        message
    }

    /// Room for a message that is to be received.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Says how many bytes were received into the room.
    pub fn set_length(&mut self, length: usize) {
        self.length = length;
    }

    /// The bytes to send.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Adds a held descriptor's name.
    pub fn push_held(&mut self, key: Key, role: Roles) {
        self.push_entry([key.to_word(), u64::from(role.0), 0]);
    }

    /// Adds an exit record.
    pub fn push_exit(&mut self, exit: Exit) {
        self.push_entry(exit.to_words());
    }

    /// The names of held descriptors.
    pub fn held(&self) -> impl Iterator<Item = (Key, Roles)> {
        self.entries().map(|[key, role, _]| (Key::from_word(key), Roles(low(role))))
    }

    /// The exit records.
    pub fn exits(&self) -> impl Iterator<Item = Exit> {
        self.entries().map(Exit::from_words)
    }

    /// What a supervisor has said; `None` for what is not known.
    #[must_use]
    pub fn from_supervisor(&self) -> Option<ToKeeper> {
        let (kind, one, other) = self.header()?;
        Some(match kind {
            1 => ToKeeper::Next,
            2 => ToKeeper::TookOver,
            3 => ToKeeper::Hold(Key::from_word(one), Roles(low(other))),
            4 => ToKeeper::Drop(Key::from_word(one), Roles(low(other))),
            5 => ToKeeper::ExitsTaken(one),
            6 => ToKeeper::SignalsTaken(one),
            7 => ToKeeper::Hung,
            8 => ToKeeper::Finish(low(one).cast_signed()),
            9 => ToKeeper::Patience { hang: one, stop: other },
            10 => ToKeeper::Tell,
            11 => ToKeeper::Watch(Key::from_word(one), low(other)),
            _ => return None,
        })
    }

    /// What the keeper has said; `None` for what is not known.
    #[must_use]
    pub fn from_keeper(&self) -> Option<ToSupervisor> {
        let (kind, one, other) = self.header()?;
        Some(match kind {
            1 => ToSupervisor::Held,
            2 => {
                let [next_try, has_new_keeper, signals] = self.entries().next().unwrap_or_default();
                ToSupervisor::Begin(Predecessor {
                    count: low(one >> 32),
                    status: low(one).cast_signed(),
                    hung: other & 1 == 1,
                    failures: low(other >> 32),
                    next_try,
                    has_new_keeper: has_new_keeper == 1,
                    signals,
                })
            }
            3 => ToSupervisor::Exits,
            4 => ToSupervisor::Signals(one),
            _ => return None,
        })
    }

    fn set_header(&mut self, kind: u64, one: u64, other: u64) {
        self.put(0, kind);
        self.put(8, one);
        self.put(16, other);
    }

    fn header(&self) -> Option<(u64, u64, u64)> {
        (self.length >= HEADER_BYTES).then(|| (self.word(0), self.word(8), self.word(16)))
    }

    fn push_entry(&mut self, words: [u64; 3]) {
        assert!(
            self.length + ENTRY_BYTES <= MESSAGE_BYTES_MAX,
            "a message has room for its entries"
        );
        for word in words {
            self.put(self.length, word);
            self.length += 8;
        }
    }

    fn entries(&self) -> impl Iterator<Item = [u64; 3]> {
        (HEADER_BYTES..self.length.saturating_sub(ENTRY_BYTES - 1))
            .step_by(ENTRY_BYTES)
            .map(|at| [at, at + 8, at + 16].map(|at| self.word(at)))
    }

    fn put(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
    }

    fn word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_ne_bytes(word)
    }
}

impl Exit {
    pub(crate) fn to_words(self) -> [u64; 3] {
        let ended = u64::from(self.pid) << 32 | u64::from(self.status.cast_unsigned());
        [self.sequence, ended, self.at]
    }

    pub(crate) fn from_words([sequence, ended, at]: [u64; 3]) -> Self {
        Self { sequence, pid: low(ended >> 32), status: low(ended).cast_signed(), at }
    }
}

impl Key {
    fn to_word(self) -> u64 {
        u64::from(self.owner) << 32 | u64::from(self.life)
    }

    fn from_word(word: u64) -> Self {
        Self { owner: low(word >> 32), life: low(word) }
    }
}

/// The low half of a word.
fn low(word: u64) -> u32 {
    (word & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_supervisor_says_comes_across() {
        let key = Key { owner: 7, life: u32::MAX };
        for said in [
            ToKeeper::Next,
            ToKeeper::TookOver,
            ToKeeper::Hold(key, Roles::STDIN.and(Roles::STDERR)),
            ToKeeper::Drop(key, Roles::ALL),
            ToKeeper::ExitsTaken(u64::MAX),
            ToKeeper::SignalsTaken(1 << 15),
            ToKeeper::Hung,
            ToKeeper::Patience { hang: 60_000, stop: 5_000 },
            ToKeeper::Finish(-3),
            ToKeeper::Tell,
            ToKeeper::Watch(key, 4_000_000),
        ] {
            assert_eq!(Message::to_keeper(said).from_supervisor(), Some(said));
        }
    }

    #[test]
    fn what_the_keeper_says_comes_across() {
        let predecessor = Predecessor {
            count: 3,
            status: 9,
            hung: true,
            failures: 4,
            next_try: u64::MAX,
            has_new_keeper: true,
            signals: 1 << 15 | 1,
        };
        for said in [
            ToSupervisor::Held,
            ToSupervisor::Begin(predecessor),
            ToSupervisor::Exits,
            ToSupervisor::Signals(1 << 15),
        ] {
            assert_eq!(Message::to_supervisor(said).from_keeper(), Some(said));
        }
    }

    #[test]
    fn what_is_to_be_told_comes_across_and_is_cut_at_a_letter() {
        let long = format!("STATUS={}", "\u{e9}".repeat(TEXT_BYTES_MAX));

        assert_eq!(Message::telling("READY=1").text(), b"READY=1");
        assert_eq!(Message::telling(&long).text(), &long.as_bytes()[..TEXT_BYTES_MAX - 1]);
        assert_eq!(Message::default().text(), b"");
    }

    #[test]
    fn entries_come_across_whole() {
        let mut message = Message::to_supervisor(ToSupervisor::Exits);
        let exits = [
            Exit { sequence: 1, pid: 4_000_000, status: 256, at: 1 },
            Exit { sequence: 2, pid: 1, status: -1, at: u64::MAX },
        ];
        exits.iter().for_each(|exit| message.push_exit(*exit));

        assert_eq!(message.exits().collect::<Vec<_>>(), exits);
    }
}
