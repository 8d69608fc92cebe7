// The look before an import: how the file is read, where each column goes, what the rows become, and the decision.

import { call } from "./api.js";
import { follow } from "./events.js";
import { announce, bytes, button, count, element, labelled, percent, table } from "./view.js";

const LOOK_AFTER_MS = 300;
const COUNT_AFTER_MS = 1200;
const WHY = {
  title: "known title", person: "your choice", proposal: "suggested by its values", nothing: "",
};
const DELIMITERS = [["", "Found by itself"], [",", "Comma"], [";", "Semicolon"], ["tab", "Tab"], ["|", "Pipe"], [":", "Colon"]];
const ENCODINGS = ["utf-8", "cp1252", "cp1250", "cp1251", "iso8859-15", "mac_roman", "utf-16", "shift_jis", "gb18030", "big5", "euc_kr"];
const DATES = [["", "Found by itself"], ["true", "Day first (31/12/2024)"], ["false", "Month first (12/31/2024)"]];
const EXISTING = [
  ["update", "Update them with the file's values"], ["fill_blanks", "Only fill in what is blank"], ["skip", "Leave them as they are"],
];
const COUNTS = [
  ["new", "inserted"], ["updated", "updated"], ["unchanged", "unchanged"], ["twice in the file", "duplicateInFile"],
  ["rejected", "rejected"],
];

export class Review {
  constructor(root, item, fields, onDone) {
    Object.assign(this, { root, item, fields, onDone, options: {}, look: null, turn: 0 });
    this.problem = element("p", { className: "wrong", role: "alert" });
    this.reading = element("div", { className: "choices" });
    this.columns = element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Columns" });
    this.rows = element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "First rows" });
    this.counts = element("div");
    this.importButton = button("Import", () => this.#decide(), { className: "main", disabled: true });
    this.cancelButton = button("Cancel this upload", () => this.#cancel());
    this.result = element("p", { className: "wrong", role: "alert" });
    this.heading = element("h2", { textContent: item.fileName, tabIndex: -1 });
    root.replaceChildren(
      element("p", {}, element("a", { href: "#", textContent: "← All imports" })),
      this.heading,
      element("p", { className: "hint", textContent: `${bytes(item.size)} · nothing is imported before you decide` }),
      this.problem,
      section("How the file is read", this.reading),
      section("Columns", this.columns),
      section("First rows, as they would be stored", this.rows),
      section("What the import would do", this.counts),
      section("Choices", this.#choices()),
      element("div", { className: "buttons" }, this.importButton, this.cancelButton),
      this.result,
    );
    this.heading.focus();
  }

  async start() {
    await this.#lookAgain();
  }

  stop() {
    this.turn += 1;
    clearTimeout(this.lookTimer);
    clearTimeout(this.countTimer);
    this.events?.close();
  }

  #change(options, { look = true } = {}) {
    Object.assign(this.options, options);
    this.events?.close();
    clearTimeout(this.countTimer);
    this.importButton.disabled = true;
    clearTimeout(this.lookTimer);
    if (look) this.lookTimer = setTimeout(() => this.#lookAgain(), LOOK_AFTER_MS);
    else this.#countSoon();
  }

  // What is sent: what was chosen, and what the look proposed where nothing was.
  get #chosen() {
    const chosen = { ...this.look?.proposed, ...this.options };
    return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== null && value !== "" && value !== undefined));
  }

  async #lookAgain() {
    const turn = ++this.turn;
    this.root.setAttribute("aria-busy", "true");
    try {
      const look = await call("POST", `/api/imports/${this.item.uploadId}/first-look`, this.#chosen);
      if (turn !== this.turn) return;
      this.look = { ...look, proposed: { ...this.look?.proposed, ...look.proposed } };
      this.#show();
      this.#countSoon();
    } catch (error) {
      if (turn !== this.turn) return;
      this.problem.textContent = error.message;
      this.columns.replaceChildren();
      this.rows.replaceChildren();
      this.counts.replaceChildren(element("p", { className: "hint", textContent: "The file cannot be read like this." }));
    } finally {
      this.root.removeAttribute("aria-busy");
    }
  }

  #show() {
    const { look } = this;
    this.problem.textContent = look.problem ? `${look.problem.message}. Say below which column holds what.` : "";
    this.#showReading(look.reading);
    this.#showColumns();
    this.#showRows();
    announce(`First rows of ${this.item.fileName} are shown`);
  }

  #showReading(reading) {
    const focused = document.activeElement?.id;
    const { options } = this;
    const workbook = reading.packed.includes("excel");
    this.reading.replaceChildren(...[
      workbook && reading.otherSheets.length ? choice("sheet", "Sheet", [
        [reading.sheet ?? "", reading.sheet ?? "first"], ...reading.otherSheets.map((name) => [name, name]),
      ], reading.sheet ?? "", (sheet) => this.#change({ sheet, mapping: undefined })) : null,
      workbook ? null : choice("delimiter", `Columns are divided by (${named(reading.delimiter)})`, DELIMITERS, options.delimiter ?? "",
        (delimiter) => this.#change({ delimiter })),
      workbook ? null : choice("encoding", `Characters are written in (${reading.encoding})`,
        [["", "Found by itself"], ...ENCODINGS.map((name) => [name, name])], options.encoding ?? "", (encoding) => this.#change({ encoding })),
      labelled("header-row", "Line of the titles", element("input", {
        id: "header-row", type: "number", min: 1, value: options.headerRow ?? this.look.proposed.headerRow ?? Math.max(1, reading.firstDataLine - 1),
        onchange: (event) => this.#change({ headerRow: Number(event.target.value) || null }),
      })),
      choice("dates", `Dates like 3/4/2024${reading.datesUndecided.length ? " (the file does not tell)" : ""}`, DATES,
        options.dayFirst === undefined ? "" : String(options.dayFirst),
        (value) => this.#change({ dayFirst: value === "" ? undefined : value === "true" })),
    ].filter(Boolean));
    if (focused) document.getElementById(focused)?.focus();
  }

  #showColumns() {
    const focused = document.activeElement?.id;
    const scrolled = this.columns.scrollTop;
    this.columns.replaceChildren(table(
      ["Column", "First values", "Filled", "Goes to"],
      this.look.columns.map((one, at) => [
        one.column || "(no title)", one.samples.join(" · "), percent(one.filled), this.#target(one, at),
      ]),
      { rowHeader: true },
    ));
    this.columns.scrollTop = scrolled;
    if (focused) document.getElementById(focused)?.focus();
  }

  #target(one, at) {
    const taken = new Set(this.look.columns.map((other) => other.field).filter((field) => field && field !== one.field));
    const select = element(
      "select", { id: `column-${at}`, "aria-label": `${one.column} goes to`, onchange: (event) => this.#map(one, event.target.value) },
      element("option", { value: "extra", textContent: "Keep as it is", selected: !one.field }),
      ...this.fields.map((field) => element("option", {
        value: field.name, textContent: field.title, selected: field.name === one.field, disabled: taken.has(field.name),
      })),
    );
    const suggestion = one.suggestion && !one.field ? button(`Use as ${this.#title(one.suggestion)}`, () => this.#map(one, one.suggestion), {
      "aria-label": `Use ${one.column} as ${this.#title(one.suggestion)}`,
    }) : null;
    return element("div", {}, select, suggestion, WHY[one.mappedBy] ? element("span", { className: "hint", textContent: ` ${WHY[one.mappedBy]}` }) : null);
  }

  #title(name) {
    return this.fields.find((field) => field.name === name)?.title ?? name;
  }

  // A person's choice for one column leaves the others as they are shown.
  #map(one, target) {
    const mapping = {};
    for (const other of this.look.columns) {
      if (other.mappedBy === "person" || other.mappedBy === "proposal") mapping[other.column] = other.field ?? "extra";
    }
    mapping[one.column] = target;
    this.#change({ mapping });
  }

  #showRows() {
    const { look } = this;
    const titles = [...look.columns.map((one) => one.column), ...look.further.map((name) => this.#title(name))];
    const shown = look.rows.map((row) => {
      const whole = row.marks.filter((mark) => mark.column === null).map((mark) => mark.message).join("; ");
      const cells = row.cells.map((cell, at) => {
        const marks = row.marks.filter((mark) => mark.column === at);
        return marks.length ? marked(cell, marks, row.rejected) : cell ?? "";
      });
      const state = row.rejected ? element("strong", { className: "wrong", textContent: whole ? `rejected: ${plain(whole)}` : "rejected" }) : plain(whole);
      return { cells: [count(row.row), state, ...cells], className: row.rejected ? "rejected" : "" };
    });
    this.rows.replaceChildren(shown.length ? table(["Row", "", ...titles], shown, { numbered: true })
      : element("p", { className: "hint", textContent: "Rows are shown when it is clear which column holds what." }));
  }

  #choices() {
    const radios = element("fieldset", {}, element("legend", { textContent: "Contacts that are known already" }), ...EXISTING.map(([value, text]) =>
      element("label", {}, element("input", {
        type: "radio", name: "existing", value, checked: value === "update", onchange: () => this.#change({ onExisting: value }, { look: false }),
      }), ` ${text}`)));
    const box = (text, checked, onchange) => element("label", {}, element("input", { type: "checkbox", checked, onchange }), ` ${text}`);
    this.save = element("input", { type: "checkbox", checked: true });
    return element(
      "div", { className: "stack" }, radios,
      box("A wrong value rejects its whole row (else only the value is left out)", false,
        (event) => this.#change({ strictness: event.target.checked ? "strict" : undefined })),
      box("The file may take back that somebody unsubscribed or must not be called", false,
        (event) => this.#change({ consent: event.target.checked ? "may_opt_in" : undefined })),
      labelled("max-rejects", "Stop when more rows than this are rejected", element("input", {
        id: "max-rejects", type: "number", min: 0, placeholder: "no limit",
        onchange: (event) => this.#change({ maxRejects: event.target.value === "" ? undefined : Number(event.target.value) }, { look: false }),
      })),
      element("label", {}, this.save, " Remember the columns for files with these titles"),
    );
  }

  #countSoon() {
    clearTimeout(this.countTimer);
    if (!this.look || this.look.problem) {
      this.counts.replaceChildren(element("p", { className: "hint", textContent: "Nothing is counted yet." }));
      return;
    }
    this.importButton.disabled = false;
    this.counts.replaceChildren(element("p", { className: "hint", textContent: "The whole file is about to be counted; you need not wait." }));
    this.countTimer = setTimeout(() => this.#count(), COUNT_AFTER_MS);
  }

  async #count() {
    const { turn } = this;
    try {
      await call("POST", `/api/imports/${this.item.uploadId}/check`, { ...this.#chosen, saveMapping: false });
    } catch (error) {
      if (turn === this.turn) this.counts.replaceChildren(element("p", { className: "wrong", textContent: error.message }));
      return;
    }
    if (turn !== this.turn) return;
    this.events?.close();
    this.events = follow(this.item.uploadId, async (progress) => {
      if (turn !== this.turn) return;
      if (progress.phase !== "finished") {
        this.counts.replaceChildren(element("p", {
          className: "hint", role: "status",
          textContent: progress.phase === "queued" ? "Waiting to be counted" : `Counting: ${count(progress.rows)} rows so far, ${count(progress.rejected)} rejected`,
        }), element("progress", { max: 100, value: progress.percent, "aria-label": "Counted" }));
        return;
      }
      this.events.close();
      const found = await call("GET", `/api/imports/${this.item.uploadId}`).catch((error) => ({ error: error.message }));
      if (turn === this.turn) this.#showCounts(found);
    });
  }

  #showCounts(found) {
    if (found.state !== "checked") {
      this.counts.replaceChildren(element("p", { className: "wrong", textContent: found.error ?? "It was not counted." }));
      return;
    }
    this.counts.replaceChildren(...[
      element("p", { className: "good", textContent: `All ${count(found.rows)} rows were read.` }),
      element("dl", { className: "counts" }, ...COUNTS.map(([name, key]) => element(
        "div", {}, element("dt", { textContent: name }), element("dd", { textContent: count(found[key]) }),
      ))),
      found.rejectsByColumn.length ? table(["Rows", "Column", "Why they are rejected"],
        found.rejectsByColumn.map((one) => [count(one.rows), one.column ?? "", plain(one.message)]), { numbered: true }) : null,
      found.warningsByField.length ? table(["Values", "Field", "What is noticed"],
        found.warningsByField.map((one) => [count(one.values), one.field ? this.#title(one.field) : "", plain(one.message)]), { numbered: true }) : null,
    ].filter(Boolean));
    announce(`${this.item.fileName}: ${count(found.rows)} rows counted, ${count(found.rejected)} rejected`);
  }

  async #decide() {
    this.importButton.disabled = true;
    this.stop();
    try {
      await call("POST", `/api/imports/${this.item.uploadId}/import`, { ...this.#chosen, saveMapping: this.save.checked });
      this.onDone(this.item);
    } catch (error) {
      this.result.textContent = error.message;
      this.importButton.disabled = false;
    }
  }

  async #cancel() {
    this.stop();
    try {
      await call("POST", `/api/imports/${this.item.uploadId}/cancel`);
      this.onDone(null);
    } catch (error) {
      this.result.textContent = error.message;
    }
  }
}

function section(title, ...content) {
  return element("section", {}, element("h3", { textContent: title }), ...content);
}

function choice(id, label, choices, value, onchange) {
  return labelled(id, label, element(
    "select", { id, onchange: (event) => onchange(event.target.value) },
    ...choices.map(([name, text]) => element("option", { value: name, textContent: text, selected: name === value })),
  ));
}

function named(delimiter) {
  return { ",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", ":": "colon" }[delimiter] ?? delimiter;
}

function plain(message) {
  return message.replaceAll("`", "");
}

function marked(cell, marks, rejected) {
  const why = marks.map((mark) => plain(mark.message)).join("; ");
  return element("span", { className: rejected ? "mark bad" : "mark", title: why }, cell ?? "(left out)",
    element("span", { className: "why", textContent: why }));
}
