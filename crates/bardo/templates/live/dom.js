// The script of the status page and of the tail page. It is put together from the files
// of this folder, in the order that `page/assets.rs` gives, and is one module: nothing
// of it is visible to anybody else, and nothing is loaded from elsewhere.

/** Makes an element: its name, attributes and listeners, and what is in it. Text is never
 * markup. */
function make(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else element.setAttribute(key, value);
  }
  element.append(...content.filter((part) => part !== null && part !== undefined));
  return element;
}

const ICONS = {
  start: "M5 3.2v9.6L13 8z",
  stop: "M4 4h8v8H4z",
  restart: "M8 2.5a5.5 5.5 0 1 0 5.3 4h-1.7A3.9 3.9 0 1 1 8 4.1V6.6l4-3.3L8 0z",
  log: "M2 3h12v1.6H2zm0 4.2h12v1.6H2zm0 4.2h8V13H2z",
  clear: "M5.5 1.5h5V3H14v1.6h-1L12.3 15H3.7L3 4.6H2V3h3.5zM5 6l.4 7h1.3L6.4 6zm4.6 0-.3 7h1.3L11 6z",
  book: "M3 1h10v14H3zm1.6 1.6v10.8h6.8V2.6zM6 4.4h4v1.4H6zm0 2.8h4v1.4H6zm0 2.8h4v1.4H6z",
  close: "M3.3 2.2 8 6.9l4.7-4.7 1.1 1.1L9.1 8l4.7 4.7-1.1 1.1L8 9.1l-4.7 4.7-1.1-1.1L6.9 8 2.2 3.3z",
  chevron: "M5.3 2.3 11 8l-5.7 5.7-1.1-1.1L8.8 8 4.2 3.4z",
  theme: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.6v10.8A5.4 5.4 0 0 1 8 2.6z",
  help: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm-.8 10h1.6v1.6H7.2zM8 3.4c-1.7 0-2.8 1-2.9 2.6h1.6c.1-.8.5-1.2 1.3-1.2.7 0 1.2.4 1.2 1.1 0 .6-.3.9-.9 1.3-.8.5-1.2 1-1.1 2.3v.4h1.5v-.3c0-.7.2-.9.9-1.4.7-.5 1.2-1.1 1.2-2.3 0-1.6-1.2-2.5-2.8-2.5z",
};

function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

/** A button with an icon and a word; the word goes where there is no room for it. */
function button(name, word, label, press, attributes = {}) {
  return make(
    "button",
    { type: "button", class: `button ${name}`, title: label, "aria-label": label, onclick: press, ...attributes },
    icon(name),
    make("span", { class: "word" }, word),
  );
}

/** Sets a text only where it is another one: most of a thousand rows are as they were. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What was chosen last time; a browser that keeps nothing keeps nothing. */
const kept = {
  get(key) {
    try {
      return localStorage.getItem(`bardo.${key}`);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`bardo.${key}`, value);
    } catch {
      // The choice lasts as long as the page then.
    }
  },
};

/** Light or dark: as the system has it, until somebody says otherwise. */
function theme(next) {
  if (next) kept.set("theme", next);
  const chosen = next ?? kept.get("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}

function is_dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** A span as Supervisor shows one. */
function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const days = Math.floor(whole / 86400);
  const clock = `${Math.floor(whole / 3600) % 24}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  if (days === 0) return clock;
  return days === 1 ? `1 day, ${clock}` : `${days} days, ${clock}`;
}

function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
