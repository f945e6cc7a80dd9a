// A question that must be answered before something is done. The browser's own dialog keeps the focus within, closes with Escape
// and gives the focus back.

import { create, h } from "./dom.js";

let number = 0;

/** Asks; true if it was confirmed. `confirm` names the deed. */
export function ask({ title, body = [], confirm, isDangerous = false }) {
  number += 1;
  const id = `question-${number}`;
  return new Promise((done) => {
    const node = create(h("dialog.ask", { "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-body` },
      h("h2", { id: `${id}-title` }, title),
      h("div", { id: `${id}-body` }, body.map((part) => (typeof part === "string" ? h("p", {}, part) : part))),
      h("div.actions", {},
        h("button", { type: "button", class: "quiet", onclick: () => node.close("") }, "Cancel"),
        h("button", { type: "button", class: isDangerous ? "danger" : "primary", onclick: () => node.close("yes") }, confirm))));
    node.onclose = () => {
      node.remove();
      done(node.returnValue === "yes");
    };
    document.body.append(node);
    node.showModal();
  });
}
