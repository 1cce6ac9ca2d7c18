//! Memory that the self-test and its programs share: what they have done, and what they
//! are to do.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use bardo_sys::memory::SharedMemory;

use super::lines::Voice;

/// Memory that the writers and the self-test share.
#[derive(Debug)]
pub struct Board {
    memory: SharedMemory,
}

const WORDS: usize = 512;
const STOP: usize = 0;
const PAUSE: usize = 1;
const LIVES_AT: usize = 8;
const SPEECH_AT: usize = 16;
const SILENT_AT: usize = 24;
const DONE_AT: usize = 64;
const LINES_AT: usize = 128;
const CHECKED_AT: usize = 256;

impl Board {
    /// Opens the one of this folder, or makes it.
    ///
    /// # Errors
    /// When its file cannot be had.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("board");
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { memory: SharedMemory::map(file.into(), WORDS)? })
    }

    fn get(&self, place: usize) -> u64 {
        self.memory.words()[place].load(Ordering::SeqCst)
    }

    fn set(&self, place: usize, value: u64) {
        self.memory.words()[place].store(value, Ordering::SeqCst);
    }

    /// Tells all programs to finish their last line.
    pub fn stop(&self) {
        self.set(STOP, 1);
    }

    /// Tells all programs to rest, or to go on.
    pub fn pause(&self, pauses: bool) {
        self.set(PAUSE, u64::from(pauses));
    }

    /// Whether a writer has written all that it will.
    #[must_use]
    pub fn is_done(&self, writer: usize) -> bool {
        self.get(DONE_AT + writer) == 1
    }

    /// Lines that a voice has written.
    #[must_use]
    pub fn lines(&self, voice: Voice) -> u64 {
        self.get(LINES_AT + place(voice))
    }

    /// Messages that a speaker has begun.
    #[must_use]
    pub fn speech(&self, speaker: usize) -> u64 {
        self.get(SPEECH_AT + speaker)
    }

    /// Whether a speaker has said all that it will.
    #[must_use]
    pub fn is_silent(&self, speaker: usize) -> bool {
        self.get(SILENT_AT + speaker) == 1
    }

    /// Bytes of a voice that were checked in its log.
    #[must_use]
    pub fn checked(&self, voice: Voice) -> u64 {
        self.get(CHECKED_AT + place(voice))
    }

    pub(super) fn set_checked(&self, voice: Voice, bytes: u64) {
        self.set(CHECKED_AT + place(voice), bytes);
    }

    pub(super) fn set_speech(&self, speaker: usize, count: u64) {
        self.set(SPEECH_AT + speaker, count);
    }

    pub(super) fn set_silent(&self, speaker: usize) {
        self.set(SILENT_AT + speaker, 1);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.get(STOP) == 1
    }

    pub(super) fn is_paused(&self) -> bool {
        self.get(PAUSE) == 1
    }

    pub(super) fn set_lines(&self, voice: Voice, lines: u64) {
        self.set(LINES_AT + place(voice), lines);
    }

    pub(super) fn set_done(&self, writer: usize) {
        self.set(DONE_AT + writer, 1);
    }

    /// The number of the life that begins now, from 0.
    pub(super) fn begin_life(&self, role: usize) -> usize {
        let lives = &self.memory.words()[LIVES_AT + role];
        usize::try_from(lives.fetch_add(1, Ordering::SeqCst)).unwrap_or(usize::MAX)
    }
}

fn place(voice: Voice) -> usize {
    usize::try_from(voice.number).unwrap_or(0)
}
