// Where a token is asked for.

import { signIn } from "../api.js";
import { h } from "../dom.js";
import { plain } from "../text.js";

export function draw({ reason, onSignIn }) {
  document.title = "Sign in – replicat";
  const submit = (event) => {
    event.preventDefault();
    const input = document.getElementById("token");
    signIn(input.value);
    input.value = "";
    void onSignIn();
  };
  return h("main.signin", { key: "signin" }, h("div.panel", {},
    h("h1", {}, "Sign in to replicat"),
    reason ? h("div.problem", { role: "alert" }, h("p", {}, plain(reason))) : null,
    h("form", { onsubmit: submit },
      h("div.field", {}, h("label", { for: "token" }, "Token"),
        h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", autofocus: true, required: true, placeholder: "rpt_…", "aria-describedby": "token-how" })),
      h("button.primary", { type: "submit" }, "Sign in")),
    h("div", { id: "token-how" },
      h("p.muted", {}, "A token is made on the host, as the user of the node or the manager:"),
      h("pre", {}, "replicat api token create --name laptop --scope operate"),
      h("p.muted", {}, "Of a manager with ", h("code", {}, "--manager"), " and, to steer it, ", h("code", {}, "--scope admin"), "."),
      h("p.muted", {}, "The token is kept for this tab only, and gone when the tab is closed."))));
}
