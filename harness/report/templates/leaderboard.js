// Sorting and filtering of the table. Tracks stay apart: rows move within their own part of it. Without this script
// everything is shown, in the order of ranks.
const board = document.querySelector("#board");
const filters = document.querySelector("#filters");
const parts = [...board.tBodies];
const rows = parts.map(part => [...part.rows].slice(1));
const lists = [...filters.querySelectorAll("select")];
const linkedTo = new URLSearchParams(location.hash.slice(1));
const largestFirst = new Set(["accuracy", "ipc", "speed"]);

function sortBy(head, descending) {
  const key = head.dataset.sort;
  for (const other of board.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const sign = descending ? -1 : 1;
  const compare = (a, b) => {
    const [x, y] = [a.dataset[key], b.dataset[key]];
    if (!x || !y) return !x - !y; // what is not known comes last, either way
    return sign * (key === "submission" ? x.localeCompare(y) : x - y);
  };
  // sort() is stable, so equal rows keep the order of their ranks
  parts.forEach((part, number) => part.append(...[...rows[number]].sort(compare)));
}

function filter() {
  const wanted = new FormData(filters);
  const names = ["view", "card", "rule", "league"].filter(name => wanted.get(name));
  const has = name => !filters.elements[name] || filters.elements[name].checked;
  let shown = 0;
  let all = 0;
  parts.forEach((part, number) => {
    const published = "published" in part.dataset;
    const asked = published ? names.filter(name => name === "view") : names;
    const matches = asked.every(name => part.dataset[name] === wanted.get(name)) && (!published || has("published"));
    const left = rows[number].filter(row => {
      row.hidden = !matches || ("preview" in row.dataset && !has("previews"));
      return !row.hidden;
    });
    part.hidden = !left.length;
    shown += left.length;
    all += rows[number].length;
  });
  for (const section of document.querySelectorAll("[data-views]")) {
    section.hidden = wanted.get("view") && !section.dataset.views.split(" ").includes(wanted.get("view"));
  }
  document.querySelector("#shown").textContent = `${shown} of ${all} rows`;
  document.querySelector("#none").hidden = shown > 0;
  // what was chosen stands in the address, so that a link shows the same
  const usual = list => list.querySelector("[selected]") ?? list.options[0];
  const chosen = lists.filter(list => list.selectedOptions[0] !== usual(list));
  history.replaceState(null, "", "#" + new URLSearchParams(chosen.map(list => [list.name, list.value])));
}

for (const head of board.tHead.querySelectorAll("[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.onclick = () => {
    const before = head.getAttribute("aria-sort");
    sortBy(head, before ? before === "ascending" : largestFirst.has(head.dataset.sort));
  };
  head.replaceChildren(button);
}
filters.hidden = false;
for (const list of lists) {
  const linked = linkedTo.get(list.name);
  if ([...list.options].some(option => option.value === linked)) list.value = linked;
}
filters.addEventListener("change", filter);
filters.addEventListener("submit", event => event.preventDefault());
sortBy(board.tHead.querySelector("[data-sort=rank]"), false);
filter();
