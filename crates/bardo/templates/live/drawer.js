// The drawer beside the table: all about one process, with its logs.

class Drawer {
  constructor(page) {
    this.page = page;
    this.row = null;
    this.title = make("h2", { tabindex: "-1" });
    this.badge = make("span", { class: "badge" });
    this.facts = make("dl", { class: "facts" });
    this.tabs = ["stdout", "stderr"].map((channel) =>
      make("button", { type: "button", role: "tab", class: "tab", onclick: () => this.show(channel) }, channel),
    );
    this.raw = make("a", { target: "_blank", rel: "noopener" }, "Plain text");
    this.deeds = make("div", { class: "deeds" });
    this.log = new LogView();
    this.bar = make("div", { class: "log-bar" }, make("div", { class: "tabs", role: "tablist" }, ...this.tabs), this.log.tools, this.raw);
    this.element = make(
      "aside",
      { class: "drawer", "aria-label": "Details", hidden: true },
      make(
        "header",
        {},
        this.title,
        this.badge,
        button("close", "Close", "Close (Esc)", () => this.close()),
      ),
      this.deeds,
      this.facts,
      this.bar,
      this.log.state,
      this.log.box,
    );
  }

  is_open() {
    return !this.element.hidden;
  }

  /** Opens at a process. */
  open(row) {
    const channel = this.row === row ? this.channel : "stdout";
    this.row = row;
    this.page.mark(row);
    const { namespec } = row.process;
    this.deeds.replaceChildren(
      ...Object.entries(DEEDS).map(([deed, { word }]) =>
        button(deed, word, `${word} ${namespec}`, () => this.page.act(row, deed)),
      ),
    );
    this.begin(namespec);
    this.show(channel);
  }

  /** Opens at the supervisor's own log. */
  open_supervisor() {
    this.open_logs("Supervisor log");
    this.bar.classList.add("only");
    this.raw.href = "mainlogtail";
    this.log.open("/log/events");
  }

  /** Opens at the logs of a group, or of all. */
  open_together(title, path) {
    this.open_logs(title);
    this.bar.classList.add("together");
    this.path = path;
    this.show("stdout");
  }

  open_logs(title) {
    this.row = null;
    this.page.mark(null);
    this.deeds.replaceChildren();
    this.facts.replaceChildren();
    delete this.facts.dataset.names;
    this.badge.className = "";
    write(this.badge, "");
    this.begin(title);
  }

  begin(title) {
    write(this.title, title);
    this.bar.classList.remove("only", "together");
    const was_open = this.is_open();
    this.element.hidden = false;
    document.body.classList.add("has-drawer");
    if (!was_open) this.title.focus({ preventScroll: true });
  }

  show(channel) {
    this.channel = channel;
    for (const tab of this.tabs) tab.setAttribute("aria-selected", String(tab.textContent === channel));
    if (!this.row) {
      this.log.open(`${this.path}/log/${channel}/events`);
      return;
    }
    const name = encodeURIComponent(this.row.process.namespec);
    this.raw.href = channel === "stdout" ? `logtail/${name}` : `logtail/${name}/stderr`;
    this.log.open(`/processes/${name}/log/${channel}/events`);
    this.update();
  }

  close() {
    this.log.close();
    this.element.hidden = true;
    document.body.classList.remove("has-drawer");
    this.page.mark(null);
    this.row?.element.focus({ preventScroll: true });
    this.row = null;
  }

  /** Shows what has changed, once a second too. */
  update() {
    if (!this.row) return;
    const { process, kind } = this.row;
    write(this.badge, process.state.toLowerCase());
    this.badge.className = `badge ${kind}`;
    const is_up = IS_UP.has(process.state);
    for (const deed of ["start", "stop", "restart"]) {
      const wanted = deed === "start" ? !is_up : is_up;
      const there = this.deeds.querySelector(`.${deed}`);
      there.hidden = !wanted || process.state === "STOPPING";
    }
    const facts = [
      ["Pid", process.pid],
      ["Uptime", process.state === "RUNNING" ? span(this.page.now() - process.start) : null],
      ["Started", process.start === null ? null : moment(process.start)],
      ["Ended", process.stop === null ? null : moment(process.stop)],
      ["Exit status", process.exitstatus],
      ["Last failure", process.spawnerr || null],
      ["Log file", process[`${this.channel}_logfile`] ?? "none"],
    ].filter(([, value]) => value !== null);
    const names = facts.map(([name]) => name).join();
    if (this.facts.dataset.names !== names) {
      this.facts.dataset.names = names;
      this.facts.replaceChildren(
        ...facts.map(([name]) => make("div", { class: { "Last failure": "wide bad", "Log file": "wide" }[name] ?? "" }, make("dt", {}, name), make("dd"))),
      );
    }
    facts.forEach(([, value], place) => write(this.facts.children[place].lastElementChild, String(value)));
  }
}
