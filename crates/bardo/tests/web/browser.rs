//! A Chromium without a screen, told what to do through two pipes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long a page may take to become as wanted, in milliseconds. It is no measure.
const PATIENCE_MS: u32 = 60_000;

/// Names under which the browser is installed.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// One browser at a time: each takes a processor and some hundred megabytes.
static ALONE: Mutex<()> = Mutex::new(());

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    tell: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
    session: String,
    last: u64,
    /// Documents that have been loaded whole.
    loaded: Vec<Value>,
    /// What the page has complained about.
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Where the browser is; `None` where there is none.
fn executable() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let files = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

impl Browser {
    /// Starts one; `None`, and a line that says so, where none is installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(executable) = executable() else {
            eprintln!("skipped: no Chromium is installed (Debian's package is `chromium`)");
            return None;
        };
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().unwrap();
        // The browser speaks through the descriptors 3 and 4.
        let mut process = Command::new("/bin/sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(executable)
            .args(["--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu"])
            .args(["--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, hear) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut browser = Self {
            process,
            tell,
            hear: BufReader::new(hear),
            session: String::new(),
            last: 0,
            loaded: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
            _alone: alone,
        };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attach);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        // The load of the page before is not taken for that of the next one.
        browser.ask("Page.setLifecycleEventsEnabled", json!({ "enabled": true }));
        browser.window(1280, 800);
        Some(browser)
    }

    /// Gives a command and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.try_ask(method, &parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_ask(&mut self, method: &str, parameters: &Value) -> Result<Value, Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.tell.as_mut().unwrap().write_all(&bytes).unwrap();
        loop {
            let heard = self.next();
            if heard["id"] == self.last {
                let failed = !heard["error"].is_null();
                return if failed { Err(heard) } else { Ok(heard["result"].clone()) };
            }
            self.note(&heard);
        }
    }

    fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.hear.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Keeps what the page has to complain about.
    fn note(&mut self, heard: &Value) {
        let entry = &heard["params"]["entry"];
        let told = &heard["params"];
        if heard["method"] == "Page.lifecycleEvent" && told["name"] == "load" {
            self.loaded.push(told["loaderId"].clone());
        }
        let is_error = heard["method"] == "Log.entryAdded" && entry["level"] == "error";
        // What the server has refused is told by the page itself.
        if is_error && entry["source"] != "network" {
            self.complaints.push(entry.to_string());
        }
        if heard["method"] == "Runtime.exceptionThrown" {
            self.complaints.push(heard["params"]["exceptionDetails"].to_string());
        }
    }

    /// The size of the window.
    pub(crate) fn window(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// Whether the system has dark colours.
    pub(crate) fn dark(&mut self, value: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.ask("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// Goes to an address.
    pub(crate) fn go(&mut self, address: &str) {
        let document = self.ask("Page.navigate", json!({ "url": address }))["loaderId"].clone();
        while !self.loaded.contains(&document) {
            let heard = self.next();
            self.note(&heard);
        }
    }

    /// What an expression is in the page.
    pub(crate) fn see(&mut self, expression: &str) -> Value {
        let question = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let answer = self.ask("Runtime.evaluate", question);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page, and says what was seen if it does
    /// not become so. What cannot be looked at yet is not so yet. A page that is left
    /// meanwhile is asked again where it has led.
    pub(crate) fn wait(&mut self, expression: &str) {
        let question = format!(
            "new Promise((done) => {{ const until = Date.now() + {PATIENCE_MS}; \
             const is = () => {{ try {{ return {expression}; }} catch {{ return false; }} }}; \
             const look = () => {{ if (is()) done(true); \
             else if (Date.now() > until) done(false); else setTimeout(look, 20); }}; look(); }})"
        );
        let question = json!({
            "expression": question, "awaitPromise": true, "returnByValue": true,
        });
        for _ in 0..10 {
            let Ok(answer) = self.try_ask("Runtime.evaluate", &question) else { continue };
            if answer["result"]["value"] == true {
                return;
            }
            if answer["exceptionDetails"].is_null() {
                break;
            }
        }
        let text = self.see("document.body.innerText");
        panic!("{expression} did not become true; the page says: {text}");
    }

    /// Presses a button.
    pub(crate) fn click(&mut self, selector: &str) {
        let selector = Value::from(selector);
        self.wait(&format!("document.querySelector({selector})"));
        self.see(&format!("document.querySelector({selector}).click()"));
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        let text = if key.len() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let code = if key == "Escape" { 27 } else { 0 };
            let event = json!({
                "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code,
            });
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// Keeps a picture of the page where `BARDO_SCREENSHOTS` names a folder.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("BARDO_SCREENSHOTS") else { return };
        let picture = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Nothing in the page has failed, and nothing was kept from it by its own policy.
    pub(crate) fn assert_content(&mut self) {
        self.see("0");
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without the pipe the browser ends, and its helpers with it.
        self.tell.take();
        let _ = self.process.wait();
    }
}
