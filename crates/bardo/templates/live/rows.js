// The table: a body for each group, a row for each process. A row is made once; what
// changes in it is written where it changes, so a thousand of them cost little.

const KINDS = {
  RUNNING: "running",
  STARTING: "moving",
  STOPPING: "moving",
  BACKOFF: "failed",
  FATAL: "failed",
  UNKNOWN: "failed",
  STOPPED: "stopped",
  EXITED: "exited",
};
const IS_UP = new Set(["RUNNING", "STARTING", "BACKOFF"]);

/** What can be done to a process, by its key. */
const DEEDS = {
  start: { word: "Start", done: "started" },
  stop: { word: "Stop", done: "stopped" },
  restart: { word: "Restart", done: "restarted" },
  clear: { word: "Clear log", done: "log cleared" },
};

class Row {
  constructor(page, process) {
    this.page = page;
    this.state = make("span", { class: "badge" });
    this.link = make("a", {
      href: `tail.html?processname=${encodeURIComponent(process.namespec)}`,
      onclick: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        page.open(this);
      },
    });
    this.pid = make("td", { class: "pid" });
    this.about = make("td", { class: "about" });
    this.buttons = {};
    for (const [deed, { word }] of Object.entries(DEEDS)) {
      const label = `${word} ${process.namespec}`;
      this.buttons[deed] = button(deed, word, label, () => page.act(this, deed));
    }
    const log = button("log", "Log", `Log of ${process.namespec}`, () => page.open(this));
    const { start, stop, restart, clear } = this.buttons;
    this.element = make(
      "tr",
      { class: "process", tabindex: "-1", onfocusin: () => page.select(this) },
      make("td", { class: "state" }, this.state),
      make("td", { class: "name" }, this.link),
      this.pid,
      this.about,
      make("td", { class: "deeds" }, make("div", {}, start, stop, restart, log, clear)),
    );
    this.element.row = this;
    this.show(process);
  }

  show(process) {
    const before = this.process;
    this.process = process;
    this.kind = KINDS[process.state] ?? "failed";
    this.text = `${process.group}:${process.name} ${process.state} ${process.spawnerr}`.toLowerCase();
    write(this.state, process.state.toLowerCase());
    this.state.className = `badge ${this.kind}`;
    write(this.link, process.name);
    write(this.pid, process.pid === null ? "" : String(process.pid));
    this.pid.title = process.pid === null ? "" : "Process id";
    this.tick(this.page.now());
    const is_up = IS_UP.has(process.state);
    this.buttons.start.hidden = is_up || process.state === "STOPPING";
    this.buttons.stop.hidden = !is_up;
    this.buttons.restart.disabled = process.state === "STOPPING" || !is_up;
    if (before && before.state !== process.state) this.flash();
    if (before && before.state !== process.state && this.kind === "failed") {
      this.page.announce(`${process.namespec} is ${process.state.toLowerCase()}: ${process.spawnerr}`);
    }
  }

  flash() {
    this.element.classList.remove("fresh");
    // The browser has to see the class go before it comes again.
    void this.element.offsetWidth;
    this.element.classList.add("fresh");
  }

  /** The text that goes on by itself. */
  tick(now) {
    write(this.about, about(this.process, now));
  }

  busy(deed, is_busy) {
    this.buttons[deed].toggleAttribute("aria-busy", is_busy);
  }
}

function about(process, now) {
  switch (process.state) {
    case "RUNNING":
      return `uptime ${span(now - process.start)}`;
    case "EXITED":
      return `exit status ${process.exitstatus ?? "unknown"}, ${process.description}`;
    case "STARTING":
      return `for ${span(now - process.start)}`;
    case "STOPPING":
      return "waiting for it to end";
    case "BACKOFF":
      return `${process.description}; will try again`;
    default:
      return process.description;
  }
}

class Group {
  constructor(page, name) {
    this.name = name;
    this.rows = new Map();
    this.count = make("span", { class: "count" });
    this.toggle = make(
      "button",
      { type: "button", class: "toggle", "aria-expanded": "true", onclick: () => this.fold(!this.folded) },
      icon("chevron"),
      make("span", { class: "group-name" }, name),
      this.count,
    );
    const deed = (name_of_deed) => {
      const { word } = DEEDS[name_of_deed];
      return button(name_of_deed, word, `${word} group ${name}`, () => page.act_on_group(this, name_of_deed));
    };
    const log = button("log", "Logs", `Logs of group ${name}`, () =>
      page.drawer.open_together(`${name}:*`, `/groups/${encodeURIComponent(name)}`),
    );
    this.head = make(
      "tr",
      { class: "group", tabindex: "-1" },
      make("th", { colspan: "4", scope: "rowgroup" }, this.toggle),
      make("td", { class: "deeds" }, make("div", {}, deed("start"), deed("stop"), deed("restart"), log, deed("clear"))),
    );
    this.element = make("tbody", { "data-group": name }, this.head);
    this.page = page;
    this.fold(page.folded.has(name));
  }

  put(process) {
    const there = this.rows.get(process.name);
    if (there) {
      there.show(process);
      return there;
    }
    const row = new Row(this.page, process);
    this.rows.set(process.name, row);
    const next = [...this.rows.keys()].filter((name) => name > process.name).sort()[0];
    this.element.insertBefore(row.element, next === undefined ? null : this.rows.get(next).element);
    return row;
  }

  /** A group of one that has its name is no more than its process. */
  is_plain() {
    return this.rows.size === 1 && this.rows.has(this.name);
  }

  fold(folds) {
    this.folded = folds;
    this.toggle.setAttribute("aria-expanded", String(!folds));
    this.page.remember_fold(this.name, folds);
    this.refresh();
  }

  /** Shows what the filter lets through. */
  refresh() {
    const filters = this.page.filters();
    let shown = 0;
    let running = 0;
    for (const row of this.rows.values()) {
      const wanted = this.page.wants(row);
      if (wanted) shown += 1;
      if (row.kind === "running") running += 1;
      row.element.hidden = !wanted || (this.folded && !filters && !this.is_plain());
    }
    this.head.hidden = this.is_plain();
    this.element.classList.toggle("plain", this.is_plain());
    this.element.hidden = shown === 0;
    write(this.count, `${running} of ${this.rows.size} running`);
  }
}
