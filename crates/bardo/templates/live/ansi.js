// Colours of terminals. All else that a terminal would obey is left out.

const ESCAPE = /\x1b(?:\[([0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f\x7f]/g;

/** One line as elements, and the look with which the next one begins. */
function coloured(line, look) {
  const parts = [];
  let from = 0;
  const add = (text) => {
    if (text !== "") parts.push(look === null ? text : dressed(text, look));
  };
  for (const match of line.matchAll(ESCAPE)) {
    add(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1] !== undefined) look = changed_look(look, match[1]);
  }
  add(line.slice(from));
  return { parts, look };
}

function dressed(text, look) {
  const element = make("span", {}, text);
  const [ink, paper] = look.inverse ? [look.paper ?? "paper", look.ink ?? "ink"] : [look.ink, look.paper];
  for (const word of ["bold", "dim", "italic", "underline"]) if (look[word]) element.classList.add(word);
  colour(element, "ink", ink);
  colour(element, "paper", paper);
  return element;
}

/** The sixteen colours are ours, so that they can be read on our paper. */
function colour(element, which, value) {
  if (value === undefined) return;
  if (typeof value === "number" && value < 16) element.classList.add(`${which}-${value}`);
  else if (value === "paper" || value === "ink") element.classList.add(`${which}-${value}`);
  else element.style.setProperty(which === "ink" ? "color" : "background-color", typeof value === "number" ? of_cube(value) : value);
}

function of_cube(number) {
  if (number >= 232) {
    const grey = 8 + (number - 232) * 10;
    return `rgb(${grey},${grey},${grey})`;
  }
  const level = (place) => [0, 95, 135, 175, 215, 255][Math.floor((number - 16) / place) % 6];
  return `rgb(${level(36)},${level(6)},${level(1)})`;
}

function changed_look(look, text) {
  const codes = text.split(/[;:]/).map(Number);
  let next = { ...look };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code === 39) delete next.ink;
    else if (code === 49) delete next.paper;
    else if (code >= 30 && code <= 37) next.ink = code - 30;
    else if (code >= 90 && code <= 97) next.ink = code - 82;
    else if (code >= 40 && code <= 47) next.paper = code - 40;
    else if (code >= 100 && code <= 107) next.paper = code - 92;
    else if (code === 38 || code === 48) {
      const which = code === 38 ? "ink" : "paper";
      if (codes[at + 1] === 5 && codes[at + 2] <= 255) next[which] = codes[at + 2];
      if (codes[at + 1] === 2) next[which] = `rgb(${codes.slice(at + 2, at + 5).map((part) => part & 255).join(",")})`;
      at += codes[at + 1] === 2 ? 4 : 2;
    }
  }
  return Object.keys(next).length === 0 ? null : next;
}
