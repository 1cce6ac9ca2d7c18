// What is said in passing: what was done, and what was not and why.

class Toasts {
  constructor() {
    this.good = make("div", { class: "toasts", role: "status", "aria-live": "polite" });
    this.bad = make("div", { class: "toasts", role: "alert" });
    this.element = make("div", { class: "toast-place" }, this.bad, this.good);
  }

  say(text) {
    const toast = make("div", { class: "toast" }, text);
    this.good.append(toast);
    setTimeout(() => toast.remove(), 4000);
  }

  /** Stays until it is closed: what to do is not read in four seconds. */
  complain({ title, detail, remedy, fault }, about) {
    const toast = make(
      "div",
      { class: "toast bad" },
      make("strong", {}, about ? `${about}: ${title}` : title),
      make("span", {}, fault?.text ?? detail ?? ""),
      remedy ? make("span", { class: "remedy" }, `What to do: ${remedy}.`) : null,
      button("close", "Close", "Close this message", () => toast.remove()),
    );
    this.bad.append(toast);
    while (this.bad.childElementCount > 4) this.bad.firstElementChild.remove();
  }

  /** Says why something was not done, whatever it was. */
  async attempt(about, work) {
    try {
      return await work();
    } catch (error) {
      const problem = error instanceof Refusal ? error.problem : { title: "The page has a mistake", detail: String(error) };
      this.complain(problem, about);
      return null;
    }
  }

  clear() {
    const any = this.bad.childElementCount > 0;
    this.bad.replaceChildren();
    return any;
  }
}
