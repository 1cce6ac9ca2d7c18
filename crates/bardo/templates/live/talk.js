// Talking to the server: events that come, and actions that go.

const API = "api/v1";

/** An address of ours. A page that was opened with user and password in its own address
 * may fetch nothing relative to it. */
function address(path) {
  return new URL(`${API}${path}`, location.origin + location.pathname);
}

/** A refusal of the server, or the lack of an answer: what, why, and what to do. */
class Refusal extends Error {
  constructor(problem) {
    super(problem.title);
    this.problem = problem;
  }

  static async of(response) {
    try {
      return new Refusal(await response.json());
    } catch {
      return new Refusal({
        title: `The server answered ${response.status}`,
        detail: response.statusText,
        remedy: response.status === 401 ? "load the page again and give the password" : "load the page again",
      });
    }
  }

  static silent() {
    return new Refusal({
      title: "No answer",
      detail: "the server cannot be reached",
      remedy: "it may be starting again; the page tries on its own",
    });
  }
}

async function post(path, fields) {
  let response;
  try {
    response = await fetch(address(path), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields ?? {}),
    });
  } catch {
    throw Refusal.silent();
  }
  if (!response.ok) throw await Refusal.of(response);
  return response.json();
}

/** The longest silence of a server that is there: it sends a comment every 15 s. */
const SILENCE_MS = 40_000;
const AGAIN_MS = [500, 1000, 2000, 4000, 8000, 15_000];

/** Server-sent events. It is not EventSource, which hides why there are none, and which
 * keeps one of a browser's six connections also for a page that nobody sees. */
class Events {
  constructor(path, told, changed) {
    this.path = path;
    this.told = told;
    this.changed = changed;
    this.tries = 0;
    this.over = false;
    this.seen = () => this.look();
    document.addEventListener("visibilitychange", this.seen);
    this.look();
  }

  close() {
    this.over = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.stop();
  }

  look() {
    if (document.hidden) {
      // A glance at another window is no reason to begin anew.
      this.leaving = setTimeout(() => this.stop(), 10_000);
    } else {
      clearTimeout(this.leaving);
      if (!this.running) this.run();
    }
  }

  stop() {
    clearTimeout(this.leaving);
    clearTimeout(this.waiting);
    this.running?.abort();
    this.running = null;
  }

  async run() {
    const running = new AbortController();
    this.running = running;
    clearTimeout(this.waiting);
    let refusal = Refusal.silent();
    try {
      const headers = this.last ? { "Last-Event-ID": this.last } : {};
      const response = await fetch(address(this.path), { headers, signal: running.signal, cache: "no-store" });
      if (response.ok) await this.read(response.body, running);
      else refusal = await Refusal.of(response);
    } catch {
      // The line was cut, or we have cut it.
    }
    if (this.over || this.running !== running) return;
    this.running = null;
    this.changed("lost", refusal.problem);
    const wait = AGAIN_MS[Math.min(this.tries, AGAIN_MS.length - 1)];
    this.tries += 1;
    this.waiting = setTimeout(() => this.look(), wait);
  }

  async read(body, running) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const silence = setTimeout(() => running.abort(), SILENCE_MS);
      const { value, done } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) this.take(event);
    }
  }

  take(event) {
    let name = "message";
    let data = null;
    for (const line of event.split("\n")) {
      if (line.startsWith("id: ")) this.last = line.slice(4);
      else if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data = JSON.parse(line.slice(6));
    }
    if (data === null) return;
    this.tries = 0;
    this.changed("live");
    this.told(name, data);
  }
}
