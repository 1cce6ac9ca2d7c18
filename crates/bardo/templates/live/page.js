// The status page, alive. Until the first snapshot has come the plain page stays as the
// server has made it; so it does in a browser that cannot run this.

const FILTERS = [
  ["all", "All"],
  ["running", "Running"],
  ["moving", "Changing"],
  ["failed", "Failed"],
  ["stopped", "Stopped"],
  ["exited", "Exited"],
];

/** Troubles that are listed; a full disk meets every program at once. */
const TROUBLES_SHOWN = 5;

/** A little longer than another supervisor counts as a trouble. */
const ASK_AGAIN_MS = 61_000;

const KEYS = [
  ["/", "filter by name"],
  ["j  k  ↓  ↑", "next, previous process"],
  ["Enter  l", "details and log"],
  ["s", "start"],
  ["x", "stop"],
  ["r", "restart"],
  ["c", "clear the log"],
  ["f  w", "follow the log, wrap its lines"],
  ["←  →", "fold, unfold the group"],
  ["Esc", "close, clear the filter"],
  ["?", "this list"],
];

class Page {
  constructor() {
    this.groups = new Map();
    this.folded = new Set(JSON.parse(kept.get("folded") ?? "[]"));
    this.filter = "all";
    this.offset = 0;
    this.seen = new Set();
    this.watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.seen.add(target.row);
        else this.seen.delete(target.row);
      }
    });
    this.toasts = new Toasts();
    this.drawer = new Drawer(this);
    this.build();
    document.addEventListener("keydown", (event) => this.key(event));
    this.events = new Events(
      "/events",
      (name, data) => this.take(name, data),
      (state, problem) => this.connection(state, problem),
    );
  }

  build() {
    this.identifier = make("h1", {}, "Supervisor");
    this.line = make("span", { class: "line", role: "status" }, "connecting");
    this.troubles = make("ul", { class: "troubles", role: "status", hidden: true });
    this.search = make("input", {
      type: "search",
      placeholder: "Filter  ( / )",
      "aria-label": "Filter by name or state",
      oninput: () => this.refilter(),
    });
    this.chips = FILTERS.map(([kind, word]) => {
      const count = make("b", {}, "0");
      const chip = make(
        "button",
        { type: "button", class: `chip ${kind}`, "aria-pressed": "false", onclick: () => this.choose(kind) },
        word,
        count,
      );
      return { kind, chip, count };
    });
    const all = (deed, word) => button(deed, word, word, () => this.act_on_all(deed, word));
    this.table = make(
      "table",
      { class: "processes" },
      make(
        "thead",
        {},
        make("tr", {}, ...["State", "Name", "Pid", "About", "Actions"].map((word) => make("th", { scope: "col", class: word.toLowerCase() }, word))),
      ),
    );
    this.nothing = make("p", { class: "nothing", hidden: true });
    this.voice = make("div", { class: "unseen", "aria-live": "polite" });
    this.help = this.build_help();
    this.ask = this.build_ask();
    this.element = make(
      "div",
      { id: "live" },
      make(
        "header",
        { class: "top" },
        make("span", { class: "mark", "aria-hidden": "true" }),
        this.identifier,
        this.line,
        make("span", { class: "gap" }),
        make(
          "div",
          { class: "deeds all" },
          all("start", "Start all"),
          all("restart", "Restart all"),
          all("stop", "Stop all"),
          button("log", "All logs", "Logs of all processes together", () => this.drawer.open_together("All logs", "/processes")),
          all("clear", "Clear all logs"),
        ),
        make(
          "div",
          { class: "set" },
          ...this.build_restart(),
          button("book", "Log", "Log of the supervisor itself", () => this.drawer.open_supervisor()),
          button("theme", "Theme", "Light or dark", () => theme(is_dark() ? "light" : "dark")),
          button("help", "Keys", "Keyboard (?)", () => this.help.showModal()),
        ),
      ),
      make(
        "div",
        { class: "tools" },
        make("div", { class: "chips", role: "group", "aria-label": "Show" }, ...this.chips.map(({ chip }) => chip)),
        this.search,
      ),
      this.troubles,
      make("main", {}, this.table, this.nothing),
      this.drawer.element,
      this.toasts.element,
      this.voice,
      this.help,
      this.ask,
    );
  }

  build_help() {
    const keys = KEYS.map(([key, what]) =>
      make("div", {}, make("dt", {}, ...key.split("  ").map((part) => make("kbd", {}, part))), make("dd", {}, what)),
    );
    return make(
      "dialog",
      { "aria-label": "Keyboard" },
      make("h2", {}, "Keyboard"),
      make("dl", { class: "keys" }, ...keys),
      make("form", { method: "dialog" }, make("button", { class: "button plain" }, "Close")),
    );
  }

  /** A restart of the supervisor itself: where somebody starts it again, which the page without scripts knows. */
  build_restart() {
    if (!document.querySelector('#buttons a[href$="action=restartself"]')) return [];
    const word = "Restart supervisor";
    const act = async () => {
      if (!(await this.sure("Stop all processes and restart the supervisor?", word))) return;
      await this.toasts.attempt(word, async () => {
        await post("/restart");
        this.toasts.say("the supervisor ends with 1, for whoever has started it to start it again");
      });
    };
    return [button("restart", word, "Restart the supervisor itself", act)];
  }

  build_ask() {
    this.question = make("p");
    this.yes = make("button", { class: "button plain danger", value: "yes" });
    return make(
      "dialog",
      { "aria-label": "Really?", oncancel: () => this.answered?.(false) },
      this.question,
      make("form", { method: "dialog", onsubmit: (event) => this.answered?.(event.submitter.value === "yes") }, make("button", { class: "button plain", value: "no" }, "Leave it"), this.yes),
    );
  }

  /** Asks before something that concerns everything. */
  sure(question, word) {
    write(this.question, question);
    write(this.yes, word);
    this.ask.showModal();
    return new Promise((answered) => {
      this.answered = answered;
    });
  }

  now() {
    return performance.now() / 1000 + this.offset;
  }

  // What the server tells.

  take(name, data) {
    if (name === "trouble") return this.trouble(data);
    // What was decided is for others.
    if (name !== "snapshot" && name !== "change") return;
    this.offset = data.now - performance.now() / 1000;
    const told = new Set();
    if (name === "snapshot") {
      // What is wrong follows it.
      this.trouble({ troubles: [] });
      for (const process of data.processes) told.add(JSON.stringify([process.group, process.name]));
      for (const group of this.groups.values()) {
        for (const process of [...group.rows.keys()]) {
          if (!told.has(JSON.stringify([group.name, process]))) this.remove_row(group, process);
        }
      }
    }
    for (const group of data.removed) this.remove_group(group);
    const touched = new Set();
    for (const process of data.processes) touched.add(this.put(process));
    for (const group of name === "snapshot" ? this.groups.values() : touched) group.refresh();
    if (!this.element.isConnected) this.begin();
    this.summarize(data);
    this.drawer.update();
  }

  /** Shows what is wrong with the machine or the supervisor. That another supervisor had
   * to be started is wrong for a minute, and nobody tells when that is over. */
  trouble({ troubles }) {
    clearTimeout(this.asking);
    const shown = troubles.slice(0, TROUBLES_SHOWN).map(({ kind, subject, text }) =>
      make("li", {}, make("b", {}, subject), " ", text, make("span", { class: "kind" }, kind)),
    );
    const more = troubles.length - shown.length;
    if (more > 0) shown.push(make("li", {}, `and ${more} more`));
    this.troubles.replaceChildren(...shown);
    this.troubles.hidden = shown.length === 0;
    if (troubles.some(({ kind }) => kind === "keeper")) {
      this.asking = setTimeout(() => this.ask_again(), ASK_AGAIN_MS);
    }
  }

  async ask_again() {
    try {
      const response = await fetch(address("/troubles"), { cache: "no-store" });
      if (response.ok) this.trouble(await response.json());
    } catch {
      // The next events tell.
    }
  }

  put(process) {
    let group = this.groups.get(process.group);
    if (!group) {
      group = new Group(this, process.group);
      this.groups.set(process.group, group);
      const next = [...this.table.tBodies].find((body) => body.dataset.group > process.group);
      this.table.insertBefore(group.element, next ?? null);
    }
    const is_new = !group.rows.has(process.name);
    const row = group.put(process);
    if (is_new) this.watcher.observe(row.element);
    return group;
  }

  remove_group(name) {
    const group = this.groups.get(name);
    for (const process of [...(group?.rows.keys() ?? [])]) this.remove_row(group, process);
  }

  remove_row(group, name) {
    const row = group.rows.get(name);
    this.watcher.unobserve(row.element);
    this.seen.delete(row);
    row.element.remove();
    group.rows.delete(name);
    if (this.drawer.row === row) this.drawer.close();
    if (this.selected === row) this.selected = null;
    if (group.rows.size === 0) {
      group.element.remove();
      this.groups.delete(group.name);
    }
  }

  /** Takes the place of the plain page. */
  begin() {
    const message = document.querySelector(".status_msg")?.textContent;
    const footer = document.getElementById("footer");
    footer?.firstElementChild.append(" · ", make("a", { href: `${API}/docs` }, "API"));
    document.body.replaceChildren(this.element, footer ?? "");
    document.body.classList.add("live");
    if (message) {
      if (message.startsWith("ERROR") || message.startsWith("unexpected")) this.toasts.complain({ title: message });
      else this.toasts.say(message);
      history.replaceState(null, "", location.pathname);
    }
    setInterval(() => this.tick(), 1000);
  }

  tick() {
    if (document.hidden || this.is_lost) return;
    const now = this.now();
    for (const row of this.seen) row.tick(now);
    this.drawer.update();
  }

  summarize(data) {
    const counts = { all: 0, running: 0, moving: 0, failed: 0, stopped: 0, exited: 0 };
    for (const row of this.rows()) {
      counts.all += 1;
      counts[row.kind] += 1;
    }
    for (const { kind, chip, count } of this.chips) {
      write(count, String(counts[kind]));
      chip.classList.toggle("none", counts[kind] === 0);
      chip.setAttribute("aria-pressed", String(this.filter === kind));
    }
    if (data) {
      write(this.identifier, data.identifier);
      this.mood = data.state;
      this.connection("live");
    }
    const failed = counts.failed > 0 ? `(${counts.failed} failed) ` : "";
    document.title = `${failed}Supervisor Status`;
    const shown = [...this.groups.values()].some((group) => !group.element.hidden);
    this.nothing.hidden = shown;
    this.table.hidden = counts.all === 0;
    write(this.nothing, counts.all === 0 ? "No programs to manage" : "No process is like this. Esc shows all.");
  }

  connection(state, problem) {
    this.is_lost = state === "lost";
    const ending = { SHUTDOWN: "shutting down", RESTARTING: "restarting" }[this.mood];
    const word = this.is_lost ? "connection lost" : (ending ?? "live");
    write(this.line, word);
    this.line.className = `line ${this.is_lost ? "lost" : ending ? "ending" : "is-live"}`;
    this.line.title = this.is_lost ? `${problem.title}: ${problem.detail}. ${problem.remedy}` : "Changes are shown as they happen";
    this.element.classList.toggle("stale", this.is_lost);
    if (this.is_lost && !this.element.isConnected) this.stay_plain(problem);
  }

  /** Says why the plain page is all there is. */
  stay_plain(problem) {
    this.apology ??= make("p", { class: "status_msg" });
    write(this.apology, `This page does not follow what happens: ${problem.title} (${problem.detail}). It tries again.`);
    document.getElementById("buttons")?.before(this.apology);
  }

  announce(text) {
    write(this.voice, text);
  }

  // What the user wants to see.

  *rows() {
    for (const group of this.groups.values()) yield* group.rows.values();
  }

  filters() {
    return this.filter !== "all" || this.search.value !== "";
  }

  wants(row) {
    const text = this.search.value.trim().toLowerCase();
    return (this.filter === "all" || row.kind === this.filter) && (text === "" || row.text.includes(text));
  }

  choose(kind) {
    this.filter = this.filter === kind ? "all" : kind;
    this.refilter();
  }

  refilter() {
    for (const group of this.groups.values()) group.refresh();
    this.summarize();
  }

  remember_fold(name, folds) {
    if (folds) this.folded.add(name);
    else this.folded.delete(name);
    kept.set("folded", JSON.stringify([...this.folded]));
  }

  open(row) {
    this.select(row);
    this.drawer.open(row);
  }

  /** Marks the row that the drawer is about. */
  mark(row) {
    this.marked?.element.classList.remove("open");
    this.marked = row;
    row?.element.classList.add("open");
  }

  select(row) {
    if (this.selected === row) return;
    this.selected?.element.classList.remove("selected");
    this.selected = row;
    row.element.classList.add("selected");
  }

  // What the user wants to be done.

  async act(row, deed) {
    const { namespec } = row.process;
    const { word, done } = DEEDS[deed];
    row.busy(deed, true);
    await this.toasts.attempt(`${word} ${namespec}`, async () => {
      await post(`/processes/${encodeURIComponent(namespec)}/${deed}`);
      this.toasts.say(`${namespec} ${done}`);
    });
    row.busy(deed, false);
  }

  async act_on_group(group, deed) {
    await this.act_on_many(`group ${group.name}`, `/groups/${encodeURIComponent(group.name)}/${deed}`, deed);
  }

  async act_on_all(deed, word) {
    const grave = { stop: "Stop all processes?", restart: "Restart all processes?", clear: "Empty the logs of all processes?" }[deed];
    if (grave && !(await this.sure(grave, word))) return;
    await this.act_on_many("all", `/processes/${deed}`, deed);
  }

  async act_on_many(about, path, deed) {
    const { word, done } = DEEDS[deed];
    await this.toasts.attempt(`${word} ${about}`, async () => {
      const { failed, results } = await post(path);
      if (failed === 0) {
        this.toasts.say(results.length === 0 ? `${about}: nothing to do` : `${about}: ${results.length} ${done}`);
        return;
      }
      for (const { namespec, ok, fault } of results.filter((result) => !result.ok).slice(0, 3)) {
        if (!ok) this.toasts.complain({ title: "not done", fault, remedy: "look at its details and its log" }, `${word} ${namespec}`);
      }
      if (failed > 3) this.toasts.say(`and ${failed - 3} more`);
    });
  }

  // Keys.

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.help.open || this.ask.open) return;
    const { target } = event;
    if (target instanceof HTMLInputElement && target.type === "search") {
      if (!["Escape", "Enter", "ArrowDown"].includes(event.key)) return;
      target.blur();
      if (event.key !== "Escape" && target === this.search) this.selected = null;
      if (event.key === "Enter") {
        event.preventDefault();
        if (target === this.search) this.step(1);
        return;
      }
    } else if (["Enter", " "].includes(event.key) && target.closest("a, button, input")) {
      return;
    }
    const deed = { s: "start", x: "stop", r: "restart", c: "clear" }[event.key];
    const row = this.drawer.row ?? this.selected;
    if (deed && row) this.act(row, deed);
    else if (!this.pressed(event.key)) return;
    event.preventDefault();
  }

  /** Whether a key means something that is not about one process's state. */
  pressed(key) {
    const { log } = this.drawer;
    const meaning = {
      "/": () => this.search.focus(),
      "?": () => this.help.showModal(),
      j: () => this.step(1),
      k: () => this.step(-1),
      ArrowDown: () => this.step(1),
      ArrowUp: () => this.step(-1),
      l: () => this.selected && this.open(this.selected),
      Enter: () => this.selected && this.open(this.selected),
      f: () => log.set_follow(!log.follow),
      w: () => log.set_wrap(!log.wrap_box.checked),
      ArrowLeft: () => this.fold_selected(true),
      ArrowRight: () => this.fold_selected(false),
      Escape: () => this.escape(),
    }[key];
    // A log that has the focus is scrolled by the arrows.
    const in_log = document.activeElement === log.box && key.startsWith("Arrow");
    if (!meaning || in_log) return false;
    meaning();
    return true;
  }

  step(by) {
    const rows = [...this.table.querySelectorAll("tr.process")].filter((element) => element.checkVisibility());
    if (rows.length === 0) return;
    const at = rows.indexOf(this.selected?.element);
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    if (this.drawer.is_open()) this.drawer.open(next.row);
  }

  fold_selected(folds) {
    const group = this.selected && this.groups.get(this.selected.process.group);
    if (group && !group.is_plain()) group.fold(folds);
  }

  escape() {
    if (this.toasts.clear()) return;
    if (this.drawer.is_open()) {
      this.drawer.close();
    } else if (this.filters()) {
      this.search.value = "";
      this.filter = "all";
      this.refilter();
    }
  }
}

/** The tail page goes on where its text ends. */
function follow_tail(name) {
  const log = new LogView();
  const plain = document.querySelector("pre");
  plain.replaceWith(make("h1", {}, name, ": stdout"), log.tools, log.state, log.box);
  document.body.classList.add("tail");
  log.open(`/processes/${encodeURIComponent(name)}/log/stdout/events`);
}

theme();
const { page, name } = document.body.dataset;
if (page === "status") new Page();
if (page === "tail" && name) follow_tail(name);
