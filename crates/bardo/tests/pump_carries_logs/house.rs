//! A running pump and what surrounds it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bardo::daemon::pump::intake::{INTAKE_WORDS, Intake};
use bardo::daemon::pump::{
    self, Channel, MainLogSettings, OutletSettings, PumpHandle, PumpSettings, Report, Severity,
    Sink, Stream, StreamKey, words_for,
};
use bardo_core::{Generation, ServiceId};
use bardo_sys::memory::SharedMemory;
use bardo_sys::pipe;
use bardo_sys::waker::Waker;
use rustix::fs::Mode;
use tempfile::TempDir;

/// No condition takes longer, or something hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A running pump and what surrounds it.
pub(crate) struct House {
    pub(crate) directory: TempDir,
    pub(crate) pump: PumpHandle,
    pub(crate) thread: Option<JoinHandle<()>>,
    pub(crate) reports: Receiver<Report>,
    pub(crate) cells: OwnedFd,
    pub(crate) staging: (OwnedFd, OwnedFd),
    pub(crate) output: Option<Output>,
}

/// What stands for an inherited output: a FIFO, so that it has a name.
pub(crate) struct Output {
    pub(crate) read: File,
    pub(crate) write: File,
    outbox: (OwnedFd, OwnedFd),
}

impl Output {
    fn new(directory: &Path) -> Self {
        let path = directory.join(OUTPUT);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        let read = File::options().read(true).write(true).open(&path).unwrap();
        pipe::set_nonblocking(&read, true).unwrap();
        let write = File::options().write(true).open(&path).unwrap();
        Self { read, write, outbox: pipe::pipe().unwrap() }
    }
}

/// The name of the output that programs share.
pub(crate) const OUTPUT: &str = "output";

impl House {
    pub(crate) fn new() -> Self {
        let house = Self::gathering(None);
        house.pump.go();
        house
    }

    /// A pump that has not been told to go.
    pub(crate) fn gathering(copy: Option<OwnedFd>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cells = SharedMemory::anonymous("cells").unwrap();
        let staging = pipe::pipe().unwrap();
        Self::start(directory, cells, staging, copy, None)
    }

    /// A pump with an output that programs share, which the main log may go to as well.
    pub(crate) fn sharing(copies: Option<()>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cells = SharedMemory::anonymous("cells").unwrap();
        let output = Output::new(directory.path());
        let copy = copies.map(|()| output.write.try_clone().unwrap().into());
        let house = Self::start(directory, cells, pipe::pipe().unwrap(), copy, Some(output));
        house.pump.go();
        house
    }

    /// The sink of a stream that goes to the shared output.
    pub(crate) fn shared(&self, prefix: &str) -> Sink {
        Sink { prefix: prefix.into(), ..self.sink(OUTPUT) }
    }

    /// What comes out of the shared output until it is `expected`.
    pub(crate) fn read_shared(&self, expected: &str) {
        let output = self.output.as_ref().unwrap();
        let deadline = Instant::now() + LIMIT;
        let mut text = Vec::new();
        while text.len() < expected.len() {
            let mut buffer = [0; 65536];
            match pipe::read(&output.read, &mut buffer) {
                Ok(length) => text.extend_from_slice(&buffer[..length]),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            assert!(Instant::now() < deadline, "{:?}", String::from_utf8_lossy(&text));
            thread::yield_now();
        }
        let text = String::from_utf8(text).unwrap();
        assert!(
            text == expected,
            "{}\n---\n{}",
            &text[..text.len().min(900)],
            &expected[..expected.len().min(900)]
        );
    }

    fn start(
        directory: TempDir,
        cells: OwnedFd,
        staging: (OwnedFd, OwnedFd),
        copy: Option<OwnedFd>,
        output: Option<Output>,
    ) -> Self {
        let words = words_for(64);
        let (sender, reports) = mpsc::channel();
        let memory = SharedMemory::map(cells.try_clone().unwrap(), words).unwrap();
        let ends = (staging.0.try_clone().unwrap(), staging.1.try_clone().unwrap());
        let shared = output.as_ref().map(|output| OutletSettings {
            output: output.write.try_clone().unwrap().into(),
            outbox: (output.outbox.0.try_clone().unwrap(), output.outbox.1.try_clone().unwrap()),
        });
        let main = directory.path().join("main");
        let intake_memory = SharedMemory::anonymous("intake").unwrap();
        let intake_memory = Arc::new(SharedMemory::map(intake_memory, INTAKE_WORDS).unwrap());
        let (pump, thread) = pump::start(PumpSettings {
            cells: Arc::new(memory),
            base: 0,
            length: words,
            staging: ends,
            outlets: [shared, None],
            intake: Intake::open(intake_memory, 0..INTAKE_WORDS),
            reports: sender,
            waker: Arc::new(Waker::new().unwrap()),
            syslog: directory.path().join("syslog"),
            main_log: main_log(Some(&main), copy),
            owed: Vec::new(),
        })
        .unwrap();
        Self { directory, pump, thread: Some(thread), reports, cells, staging, output }
    }

    /// Ends the pump and starts another one over the same memory and staging.
    pub(crate) fn restart(mut self) -> Self {
        self.end();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        let cells = self.cells.try_clone().unwrap();
        let staging = (self.staging.0.try_clone().unwrap(), self.staging.1.try_clone().unwrap());
        let output = self.output.take();
        Self::start(directory, cells, staging, None, output)
    }

    pub(crate) fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.pump.finish();
            thread.join().unwrap();
        }
    }

    /// Another main log: the file of that name, or syslog.
    pub(crate) fn main_log(&self, name: Option<&str>) -> MainLogSettings {
        main_log(name.map(|name| self.path(name)).as_deref(), None)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn sink(&self, name: &str) -> Sink {
        Sink {
            path: Some(self.path(name).to_str().unwrap().into()),
            bytes_max: 0,
            backups: 0,
            compress: false,
            strip_ansi: false,
            captures: false,
            prefix: "".into(),
            echo: None,
        }
    }

    /// Attaches the output of a service, and returns the end it writes to.
    pub(crate) fn attach(&self, service: u32, sink: Sink) -> File {
        let (read, write) = pipe::pipe().unwrap();
        self.pump.attach(Stream { key: key(service), pipe: read, sink });
        write.into()
    }

    pub(crate) fn release(&self, service: u32) {
        self.pump.release(ServiceId(service), Generation(1));
    }

    pub(crate) fn wait_drained(&self, service: u32) {
        let mut reports = std::iter::repeat_with(|| self.reports.recv_timeout(LIMIT).unwrap());
        let drained = reports.find(|report| matches!(report, Report::Drained(_)));
        assert_eq!(drained, Some(Report::Drained(key(service))));
    }

    pub(crate) fn wait_for(&self, name: &str, expected: &str) {
        wait_for(&self.path(name), |text| text == expected);
    }

    pub(crate) fn wait_for_main(&self, part: &str) {
        wait_for(&self.path("main"), |text| text.contains(part));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.end();
        }
    }
}

/// A disk that is soon full: the folder `disk`, as long as this lives.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts 64 KiB, or says that this user may not.
    pub(crate) fn mount(house: &House) -> Option<Self> {
        let disk = house.path("disk");
        fs::create_dir(&disk).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64k", "none", disk.to_str().unwrap()];
        let mounted = std::process::Command::new("mount").args(mount).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting a small disk needs root");
            return None;
        }
        Some(Self(disk))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

fn main_log(path: Option<&Path>, copy: Option<OwnedFd>) -> MainLogSettings {
    MainLogSettings {
        path: path.map(|path| path.to_str().unwrap().into()),
        bytes_max: 0,
        backups: 0,
        compress: false,
        to_syslog: path.is_none(),
        copies_lines: copy.is_some(),
        copy,
        format: |severity: Severity, text: &str| format!("{severity:?} {text}\n").into_bytes(),
    }
}

pub(crate) fn key(service: u32) -> StreamKey {
    StreamKey { service: ServiceId(service), generation: Generation(1), channel: Channel::Stdout }
}

pub(crate) fn wait_for(path: &Path, condition: impl Fn(&str) -> bool) {
    let read = || String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let began = Instant::now();
    while !condition(&read()) {
        assert!(began.elapsed() < LIMIT, "{} has {:?}", path.display(), read());
        thread::yield_now();
    }
}

pub(crate) fn say(child: &mut File, text: &str) {
    child.write_all(text.as_bytes()).unwrap();
}
