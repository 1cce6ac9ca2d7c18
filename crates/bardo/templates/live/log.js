// A log that is followed: lines as they come, in the colours of a terminal.

const LINES_MAX = 5000;

/** A line that does not end is broken here. */
const LINE_MAX = 16_384;

class LogView {
  constructor(placeholder = "Nothing yet. What is written appears here.") {
    this.follow = true;
    this.lines = make("div", { class: "lines" });
    this.empty = make("p", { class: "empty" }, placeholder);
    this.box = make("div", { class: "log-box", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log" }, this.empty, this.lines);
    this.box.addEventListener("scroll", () => this.scrolled());
    this.state = make("span", { class: "log-state", role: "status" });
    this.find = make("input", { type: "search", placeholder: "Filter lines", "aria-label": "Filter lines", oninput: () => this.filter() });
    this.follow_box = make("input", { type: "checkbox", onchange: () => this.set_follow(this.follow_box.checked) });
    this.wrap_box = make("input", { type: "checkbox", onchange: () => this.set_wrap(this.wrap_box.checked) });
    this.tools = make(
      "div",
      { class: "log-tools" },
      this.find,
      make("label", { title: "Stay at the end (f)" }, this.follow_box, "Follow"),
      make("label", { title: "Break long lines (w)" }, this.wrap_box, "Wrap"),
    );
    this.set_wrap(kept.get("wrap") !== "no");
    this.set_follow(true);
    this.forget();
  }

  /** Follows a log; the path is that of its events. */
  open(path) {
    this.close();
    this.forget();
    write(this.state, "Loading …");
    this.events = new Events(
      `${path}?tail=65536`,
      (name, data) => this.take(name, data),
      (state, problem) => this.connection(state, problem),
    );
  }

  close() {
    this.events?.close();
    this.events = null;
  }

  connection(state, problem) {
    const lost = state === "lost";
    write(this.state, lost ? `${problem.title}: ${problem.detail}` : "");
    this.box.classList.toggle("stale", lost);
  }

  take(name, { from, process, text }) {
    if (name === "begin") {
      // One `begin` comes for each log; a connection that is new begins with the first.
      if (this.sources.has(process)) this.forget();
      // A text that does not begin with the file begins within a line.
      this.sources.set(process, { process, partial: "", look: null, last: null, skips: from > 0 });
      return;
    }
    const source = this.sources.get(process);
    if (name === "text") this.add(source, text);
    else if (name === "truncated") this.note(source, "the log was cleared");
    else if (name === "replaced") this.note(source, "a new file begins");
    else if (name === "lost") this.note(source, `the log cannot be read: ${text}`);
  }

  forget() {
    this.sources = new Map();
    this.lines.replaceChildren();
    this.empty.hidden = false;
  }

  add(source, text) {
    if (source.skips) {
      const end = text.indexOf("\n");
      if (end < 0) return;
      text = text.slice(end + 1);
      source.skips = false;
    }
    const lines = (source.partial + text).split("\n");
    source.partial = lines.pop();
    if (source.partial.length > LINE_MAX) {
      lines.push(source.partial);
      source.partial = "";
    }
    const added = document.createDocumentFragment();
    for (const line of lines.slice(-LINES_MAX)) added.append(this.line(source, line, true));
    source.last?.remove();
    source.last = source.partial === "" ? null : this.line(source, source.partial, false);
    if (source.last) added.append(source.last);
    this.put(added);
  }

  /** One line; what a carriage return has written over is not shown. */
  line(source, text, is_whole) {
    const shown = text.replace(/\r+$/, "");
    const { parts, look } = coloured(shown.slice(shown.lastIndexOf("\r") + 1), source.look);
    if (is_whole) source.look = look;
    const whose = source.process === null ? null : make("span", { class: "whose" }, source.process);
    const line = make("div", { class: "row" }, whose, ...parts);
    line.hidden = !this.wants(line);
    return line;
  }

  note(source, text) {
    if (source.partial !== "") this.add(source, "\n");
    if (source.process !== null) text = `${source.process}: ${text}`;
    const fragment = document.createDocumentFragment();
    fragment.append(make("div", { class: "row note" }, text));
    this.put(fragment);
  }

  put(fragment) {
    this.lines.append(fragment);
    while (this.lines.childElementCount > LINES_MAX) this.lines.firstElementChild.remove();
    this.empty.hidden = this.lines.childElementCount > 0;
    if (this.follow) this.to_end();
  }

  wants(line) {
    const wanted = this.find.value.toLowerCase();
    return wanted === "" || line.textContent.toLowerCase().includes(wanted);
  }

  filter() {
    for (const line of this.lines.children) line.hidden = !this.wants(line);
    if (this.follow) this.to_end();
  }

  set_follow(follows) {
    this.follow = follows;
    this.follow_box.checked = follows;
    if (follows) this.to_end();
  }

  set_wrap(wraps) {
    kept.set("wrap", wraps ? "yes" : "no");
    this.wrap_box.checked = wraps;
    this.box.classList.toggle("wraps", wraps);
  }

  to_end() {
    this.moved = true;
    this.box.scrollTop = this.box.scrollHeight;
  }

  /** Whoever scrolls up wants to read; whoever scrolls to the end wants to follow. */
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const at_end = scrollHeight - scrollTop - clientHeight < 24;
    if (this.moved) this.moved = false;
    else if (at_end !== this.follow) {
      this.follow = at_end;
      this.follow_box.checked = at_end;
    }
  }
}
