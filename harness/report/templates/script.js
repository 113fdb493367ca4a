"use strict";
// Copy buttons, and what is shown where someone points at a value. Without this script the commands can still be
// selected, and the titles in the charts are shown by the browser itself.
for (const box of document.querySelectorAll(".command")) {
  const button = document.createElement("button");
  button.textContent = "Copy";
  button.onclick = async () => {
    const code = box.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  box.append(button);
}
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tip";
for (const title of document.querySelectorAll("svg title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
addEventListener("pointermove", show);
addEventListener("pointerdown", show);
function show(event) {
  const over = event.target.closest?.("[data-tip]");
  tip.textContent = over ? over.dataset.tip : "";
  if (!over) return;
  tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4)) + "px";
  tip.style.top = (event.clientY > 60 ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18) + "px";
}
