// The list of what has been imported, or was to be: searched, opened, undone, imported again.

import { call } from "./api.js";
import { fixing } from "./fix.js";
import { count, element, isVain, outcome, plain, rowsOf, stateWords } from "./view.js";

const at = (id) => document.getElementById(id);
const STATES = ["in_review", "queued", "loading", "succeeded", "failed", "cancelled", "undone", "checked"];

export class History {
  constructor({ isOperator, owner, isShown, onGoesOn, onFile }) {
    Object.assign(this, { isOperator, owner, isShown, onGoesOn, onFile, next: null, turn: 0 });
    at("filter-state").replaceChildren(
      element("option", { value: "", textContent: "any" }),
      ...STATES.map((state) => element("option", { value: state, textContent: stateWords(state) })),
    );
    at("filter-owner-field").hidden = !isOperator;
    at("filters").oninput = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.show(), 250);
    };
    at("filters").onsubmit = (event) => event.preventDefault();
    at("older").onclick = () => this.show({ more: true });
  }

  get #filters() {
    const chosen = {
      name: at("filter-name").value.trim(), state: at("filter-state").value, day: at("filter-day").value,
      owner: this.isOperator ? at("filter-owner").value.trim() : "",
    };
    return Object.entries(chosen).filter(([, value]) => value);
  }

  // Show the list; `open`: an import whose entry is to be open.
  async show({ more = false, open = null } = {}) {
    const turn = ++this.turn;
    const asked = new URLSearchParams([["limit", 20], ...this.#filters, ...(more ? [["cursor", this.next]] : [])]);
    const page = await call("GET", `/api/imports/?${asked}`);
    if (turn !== this.turn) return;
    const entries = page.imports.filter((item) => !this.isShown(item.uploadId)).map((item) => this.#entry(item, item.uploadId === open));
    if (open && !page.imports.some((item) => item.uploadId === open)) {
      // Somebody was sent its address: it is shown however old it is.
      entries.unshift(await call("GET", `/api/imports/${open}`).then(
        (item) => this.#entry(item, true), (error) => element("li", { className: "wrong", textContent: error.message }),
      ));
      if (turn !== this.turn) return;
    }
    if (more) at("history").append(...entries);
    else at("history").replaceChildren(...entries);
    at("history").querySelector("details[open]")?.scrollIntoView({ block: "nearest" });
    this.next = page.next;
    at("older").hidden = !page.next;
    at("history-empty").hidden = at("history").childElementCount > 0;
    at("history-empty").textContent = this.#filters.length ? "None like that." : "None so far.";
  }

  #entry(item, isOpen) {
    const details = element("details", { open: isOpen }, element(
      "summary", {}, element("span", { className: "line" },
        element("strong", { textContent: item.fileName }),
        element("span", { className: "hint", textContent: [
          isVain(item) ? "Nothing was imported" : stateWords(item.state), item.rows ? rowsOf(item.rows) : "", item.rejected ? `${count(item.rejected)} rejected` : "",
          new Date(item.uploadedAt).toLocaleString(), this.isOperator ? item.owner : "",
        ].filter(Boolean).join(" · ") })),
    ));
    details.addEventListener("toggle", () => this.#fill(details, item));
    if (isOpen) this.#fill(details, item);
    const entry = element("li", {}, details);
    entry.dataset.state = item.state;
    return entry;
  }

  async #fill(details, item) {
    if (!details.open || details.childElementCount > 1) return;
    const body = element("div");
    details.append(body);
    const found = await call("GET", `/api/imports/${item.uploadId}`).catch((error) => ({ ...item, error: error.message }));
    const actions = {
      again: (one) => this.#act(body, one, "import-again"), undo: (one) => this.#undo(body, one),
      ...(item.owner === this.owner ? { fix: (one) => this.#fix(body, one), look: true } : {}),
    };
    body.replaceChildren(...outcome(found, actions).filter(Boolean));
  }

  async #fix(body, item) {
    const messages = new Map(item.rejectsByColumn.map((one) => [one.code, plain(one.message)]));
    try {
      const editor = await fixing(item, messages, (file) => {
        editor.remove();
        this.onFile(file, item.options);
      });
      body.append(editor);
      (editor.querySelector(".bad") ?? editor.querySelector("input"))?.focus();
    } catch (error) {
      body.append(element("p", { className: "wrong", role: "alert", textContent: error.message }));
    }
  }

  #undo(body, item) {
    const said = `Undo the import of ${item.fileName}?\n\nUp to ${count(item.inserted)} contacts that it brought are removed, and up to `
      + `${count(item.updated)} go back to what other imports say. What other imports say of the same people stays.`;
    if (confirm(said)) this.#act(body, item, "undo");
  }

  async #act(body, item, what) {
    try {
      const done = await call("POST", `/api/imports/${item.uploadId}/${what}`);
      if (done.state === "queued" || done.state === "undoing") this.onGoesOn(item);
      await this.show({ open: item.uploadId });
    } catch (error) {
      body.prepend(element("p", { className: "wrong", role: "alert", textContent: error.message }));
    }
  }
}
