// The look before an import: how the file is read, where each column goes, what the rows become, and the decision.

import { call } from "./api.js";
import { follow } from "./events.js";
import { announce, bytes, button, count, element, labelled, numbers, OURS, percent, plain, rowNumbers, rowsOf, short, table } from "./view.js";

const LOOK_AFTER_MS = 300;
const COUNT_AFTER_MS = 1200;
const WHY = {
  title: "known title", person: "your choice", proposal: "suggested by its values", nothing: "",
};
const DELIMITERS = [["", "Found by itself"], [",", "Comma"], [";", "Semicolon"], ["\t", "Tab"], ["|", "Pipe"], [":", "Colon"]];
const ENCODINGS = ["utf-8", "cp1252", "cp1250", "cp1251", "iso8859-15", "mac_roman", "utf-16", "shift_jis", "gb18030", "big5", "euc_kr"];
const DATES = [["", "Found by itself"], ["true", "Day first (31/12/2024)"], ["false", "Month first (12/31/2024)"]];
const EXISTING = [
  ["update", "Update them with the file's values"], ["fill_blanks", "Only fill in what is blank"], ["skip", "Leave them as they are"],
];
// What is said of a whole file after its import is said before it in other words.
const NOTICES = {
  encoding_guessed: "How the characters are written is a guess: if letters look wrong above, choose another way.",
  sheets_not_read: "The workbook has other sheets: one sheet is read, the one that is chosen above.",
  dates_undecided: "Days and months could be the other way round: choose above which comes first.",
};
// What somebody sees who comes back to an upload that was decided about before.
const STANDS = {
  cancelled: "This upload was cancelled. Import takes it up again.", failed: "Its import failed.",
  undone: "Its import was undone. Import loads it anew.",
};
// All of them are sent, for what is left out stays as somebody chose it before, in another window perhaps.
const DEFAULTS = {
  onExisting: "update", strictness: "lenient", consent: "keep", maxRejects: null,
  encoding: null, delimiter: null, headerRow: null, sheet: null, dayFirst: null, mapping: null,
};
const COUNTS = [
  ["new", "inserted"], ["updated", "updated"], ["unchanged", "unchanged"], ["duplicates", "duplicateInFile"],
  ["rejected", "rejected"],
];

export class Review {
  constructor(root, item, fields, onDone) {
    Object.assign(this, { root, item, fields, onDone, look: null, turn: 0, lookDue: false, sheets: null });
    const { mode, review, saveMapping, ...before } = item.options ?? {};
    this.options = { ...DEFAULTS, ...before };
    // Column by column, by its title: it holds in whatever way the file is read.
    this.byHand = { ...before.mapping };
    this.problem = element("p", { className: "wrong", role: "alert" });
    this.reading = element("div", { className: "choices" });
    this.columnsHint = element("p", { className: "hint" });
    this.columns = element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Columns" });
    this.rows = element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "First rows" });
    this.counts = element("div");
    this.importButton = button("Import", () => this.#decide(), { className: "main", disabled: true });
    this.cancelButton = button("Cancel this upload", () => this.#cancel());
    this.unused = element("p", { className: "warning" });
    this.result = element("p", { className: "wrong", role: "alert" });
    this.heading = element("h2", { textContent: item.fileName, tabIndex: -1 });
    root.replaceChildren(
      element("p", {}, element("a", { href: "#", textContent: "← All imports" })),
      this.heading,
      element("p", { className: "hint", textContent: `${bytes(item.size)} · ${STANDS[item.state] ?? "nothing is imported before you decide"}` }),
      this.problem,
      section("How the file is read", this.reading),
      section("Columns", this.columnsHint, this.columns),
      section("First rows, as they would be stored", this.rows),
      section("What the import would do", this.counts),
      section("Choices", this.#choices()),
      this.unused,
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
    this.turn += 1;
    this.events?.close();
    clearTimeout(this.countTimer);
    this.importButton.disabled = true;
    clearTimeout(this.lookTimer);
    // What was changed before and is not looked at yet stays due.
    this.lookDue ||= look;
    if (this.lookDue) this.lookTimer = setTimeout(() => this.#lookAgain(), LOOK_AFTER_MS);
    else this.#countSoon();
  }

  // Another reading has other columns: what was said of those before says nothing.
  #reread(options) {
    if (this.look) this.look.proposed = {};
    this.#change({ ...options, mapping: null });
  }

  // What is sent: what was chosen, and what the look proposed where nothing was.
  get #chosen() {
    return { ...DEFAULTS, ...given(this.look?.proposed ?? {}), ...given(this.options) };
  }

  async #lookAgain() {
    const turn = ++this.turn;
    this.root.setAttribute("aria-busy", "true");
    try {
      const look = await call("POST", `/api/imports/${this.item.uploadId}/first-look`, this.#chosen);
      if (turn !== this.turn) return;
      this.lookDue = false;
      // What was proposed once is sent from then on, and no longer proposed; but the line of the titles a person says.
      const { headerRow, ...proposed } = given(look.proposed);
      this.look = { ...look, proposed: { ...this.look?.proposed, ...proposed }, headerRow };
      if (!headerRow && this.#recallChoices()) {
        await this.#lookAgain();
        return;
      }
      this.#show();
      this.#countSoon();
    } catch (error) {
      if (turn !== this.turn) return;
      this.problem.textContent = error.message;
      this.columns.replaceChildren();
      this.rows.replaceChildren();
      const slow = error.code === "too_slow_to_show";
      this.importButton.disabled = !slow;
      this.counts.replaceChildren(element("p", { className: "hint", textContent: slow ? "Nothing is counted yet." : "The file cannot be read like this." }));
    } finally {
      this.root.removeAttribute("aria-busy");
    }
  }

  // What was chosen for columns before the file was read in this way is chosen still; whether there was any.
  #recallChoices() {
    if (this.options.mapping) return false;
    const titles = new Set(this.look.columns.map((one) => one.column));
    const recalled = Object.entries(this.byHand).filter(([title]) => titles.has(title));
    if (!recalled.length) return false;
    this.options.mapping = { ...this.look.proposed.mapping, ...Object.fromEntries(recalled) };
    return true;
  }

  #show() {
    const { look } = this;
    this.problem.replaceChildren(...(look.headerRow ? [
      "Nobody knows these titles. ", button(`Line ${look.headerRow} holds the titles`, () => this.#change({ headerRow: look.headerRow })),
      " Else say below which line does. A file without titles needs a line of them: if line 1 is a contact, it would be lost.",
    ] : look.problem ? [`${look.problem.message}. Say below which column holds what.`] : []));
    const focused = document.activeElement?.id;
    this.#showReading(look.reading);
    this.#showColumns();
    this.#showRows();
    if (focused) document.getElementById(focused)?.focus();
    announce(`First rows of ${this.item.fileName} are shown`);
  }

  #showReading(reading) {
    const { options } = this;
    const workbook = reading.packed.includes("excel");
    if (reading.otherSheets.length) this.sheets ??= [reading.sheet ?? "", ...reading.otherSheets];
    this.reading.replaceChildren(...[
      this.sheets ? choice("sheet", "Sheet", this.sheets.map((name) => [name, name]), reading.sheet ?? "", (sheet) => this.#reread({ sheet })) : null,
      workbook ? null : choice("delimiter", `Columns are divided by (${named(reading.delimiter)})`, DELIMITERS, options.delimiter ?? "",
        (delimiter) => this.#reread({ delimiter })),
      workbook ? null : choice("encoding", `Characters are written in (${reading.encoding})`,
        [["", "Found by itself"], ...ENCODINGS.map((name) => [name, name])], options.encoding ?? "", (encoding) => this.#reread({ encoding })),
      labelled("header-row", "Line of the titles", element("input", {
        id: "header-row", type: "number", min: 1, value: options.headerRow ?? Math.max(1, reading.firstDataLine - 1),
        step: 1,
        onchange: (event) => event.target.reportValidity() && this.#reread({ headerRow: Number(event.target.value) || null }),
      })),
      choice("dates", `Dates like 3/4/2024${reading.datesUndecided.length ? " (the file does not tell)" : ""}`, DATES,
        String(options.dayFirst ?? ""),
        (value) => this.#change({ dayFirst: value === "" ? undefined : value === "true" })),
    ].filter(Boolean));
  }

  #showColumns() {
    const scrolled = this.columns.scrollTop;
    const shown = this.look.columns.map((one, at) => [one, at]).filter(([one]) => !this.#isOurs(one));
    const kept = shown.filter(([one]) => !one.field).length;
    this.columnsHint.textContent = `${count(shown.length)} columns, ${kept ? `${count(kept)} of them kept as they are` : "each goes to a field"}`;
    this.columns.replaceChildren(table(
      ["Column", "Goes to", "First values", "Filled"],
      shown.map(([one, at]) => [
        short(one.column) || "(no title)", this.#target(one, at), short(one.samples.join(" · ")), percent(one.filled),
      ]),
      { rowHeader: true },
    ));
    this.columns.scrollTop = scrolled;
    const unused = shown.filter(([one]) => one.suggestion && !one.field);
    this.unused.textContent = unused.length && !this.look.headerRow
      ? `Kept as they are, though they look like something: ${unused.map(([one]) => `${short(one.column)} (${this.#title(one.suggestion)})`).join(", ")}.` : "";
  }

  // The columns that a file of rejects has besides its own.
  #isOurs(column) {
    return OURS.includes(column.column) && this.look.columns.some((one) => one.column === "_rejects_of");
  }

  #target(one, at) {
    const taken = new Set(this.look.columns.map((other) => other.field).filter((field) => field && field !== one.field));
    const select = element(
      "select", { id: `column-${at}`, disabled: !one.column || Boolean(this.look.headerRow), "aria-label": `${one.column} goes to`, onchange: (event) => this.#map(one, event.target.value) },
      element("option", { value: "extra", textContent: "Keep as it is", selected: !one.field }),
      ...this.fields.map((field) => element("option", {
        value: field.name, textContent: field.title, selected: field.name === one.field, disabled: taken.has(field.name),
      })),
    );
    const suggestion = one.suggestion && !one.field && !this.look.headerRow ? button(`Use as ${this.#title(one.suggestion)}`, () => this.#map(one, one.suggestion), {
      "aria-label": `Use as ${this.#title(one.suggestion)}: ${one.column}`,
    }) : null;
    const why = one.field && this.look.proposed.mapping?.[one.column] === one.field ? "proposal" : one.mappedBy;
    return element("div", {}, select, suggestion, WHY[why] ? element("span", { className: "hint", textContent: ` ${WHY[why]}` }) : null);
  }

  #title(name) {
    return this.fields.find((field) => field.name === name)?.title ?? name;
  }

  // A person's choice for one column leaves the others as they are shown.
  #map(one, target) {
    const mapping = { ...(this.options.mapping ?? this.look.proposed.mapping) };
    mapping[one.column] = target;
    this.byHand[one.column] = target;
    this.#change({ mapping });
  }

  #showRows() {
    const { look } = this;
    const isShown = (cell, at) => !look.columns[at] || !this.#isOurs(look.columns[at]);
    const titles = [...look.columns.map((one) => this.#heading(one)), ...look.further.map((name) => this.#title(name))].filter(isShown);
    const shown = look.rows.map((row) => {
      const whole = row.marks.filter((mark) => mark.column === null).map((mark) => mark.message).join("; ");
      const cells = row.cells.map((cell, at) => {
        const marks = row.marks.filter((mark) => mark.column === at);
        return marks.length ? marked(cell, marks, row.rejected) : short(cell ?? "");
      }).filter(isShown);
      const state = row.rejected ? element("strong", { className: "wrong", textContent: whole ? `rejected: ${plain(whole)}` : "rejected" }) : plain(whole);
      return { cells: [count(row.row), state, ...cells], className: row.rejected ? "rejected" : "" };
    });
    this.rows.replaceChildren(shown.length ? table(["Row", "", ...titles], shown, { numbered: true })
      : element("p", { className: "hint", textContent: "Rows are shown when it is clear which column holds what." }));
  }

  // The title in the file, and the field that it goes to.
  #heading(one) {
    return element("span", { textContent: short(one.column) }, one.field && this.#title(one.field) !== one.column
      ? element("span", { className: "why", textContent: `→ ${this.#title(one.field)}` }) : null);
  }

  #choices() {
    const radios = element("fieldset", {}, element("legend", { textContent: "Contacts that are known already" }), ...EXISTING.map(([value, text]) =>
      element("label", {}, element("input", {
        type: "radio", name: "existing", value, checked: value === (this.options.onExisting ?? "update"), onchange: () => this.#change({ onExisting: value }, { look: false }),
      }), ` ${text}`)));
    const box = (text, checked, onchange) => element("label", {}, element("input", { type: "checkbox", checked, onchange }), ` ${text}`);
    this.save = element("input", { type: "checkbox", checked: true });
    return element(
      "div", { className: "stack" }, radios,
      box("A wrong value rejects its whole row (else only the value is left out)", this.options.strictness === "strict",
        (event) => this.#change({ strictness: event.target.checked ? "strict" : "lenient" })),
      box("The file may take back that somebody unsubscribed or must not be called", this.options.consent === "may_opt_in",
        (event) => this.#change({ consent: event.target.checked ? "may_opt_in" : "keep" })),
      labelled("max-rejects", "Stop when more rows than this are rejected", element("input", {
        id: "max-rejects", type: "number", min: 0, placeholder: "no limit", value: this.options.maxRejects ?? "",
        step: 1,
        onchange: (event) => event.target.reportValidity() && this.#change({ maxRejects: event.target.value === "" ? null : Number(event.target.value) }, { look: false }),
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
    if (!this.#isInReview) {
      this.counts.replaceChildren(element("p", { className: "hint", textContent: "What was imported before, or begun, is not counted again." }));
      return;
    }
    this.counts.replaceChildren(element("p", { className: "hint", textContent: "The whole file is about to be counted; you need not wait." }));
    this.countTimer = setTimeout(() => this.#count(), COUNT_AFTER_MS);
  }

  get #isInReview() {
    return ["in_review", "checked", "queued", "loading"].includes(this.item.state);
  }

  async #count() {
    const { turn } = this;
    const asked = this.#chosen;
    try {
      await call("POST", `/api/imports/${this.item.uploadId}/check`, { ...asked, saveMapping: false });
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
      if (turn !== this.turn) return;
      if (found.options && !sameChoices(asked, found.options)) this.#offerToCount();
      else this.#showCounts(found);
    });
  }

  #offerToCount() {
    this.counts.replaceChildren(
      element("p", { className: "wrong", textContent: "Somebody has just had this file counted by other choices than those shown here." }),
      button("Count it by these", () => this.#count()),
    );
  }

  #showCounts(found) {
    if (found.state !== "checked") {
      this.counts.replaceChildren(element("p", { className: "wrong", textContent: found.error ?? "It was not counted." }));
      return;
    }
    this.counts.replaceChildren(...[
      found.stopped ? element("p", { className: "wrong", textContent: `The import would stop early: ${found.stopped}.` })
        : element("p", { className: "good", textContent: `All was read: ${rowsOf(found.rows)}.` }),
      numbers(COUNTS.map(([name, key]) => [name, found[key]])),
      found.rejectsByColumn.length ? table(["Rows", "Column", "Why they are rejected"],
        found.rejectsByColumn.map((one) => [count(one.rows), one.column ?? "", plain(one.message)]), { numbered: true }) : null,
      found.warningsByField.length ? table(["Values", "Field", "What is noticed"],
        found.warningsByField.map((one) => [
          one.field || one.rows.length ? count(one.values) : "", one.field ? this.#title(one.field) : "",
          (NOTICES[one.code] ?? plain(one.message)) + rowNumbers(one.rows),
        ]), { numbered: true }) : null,
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
      // Somebody has decided meanwhile, in another window.
      if (error.status === 409) location.hash = `#import/${this.item.uploadId}`;
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

function given(options) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null && value !== "" && value !== undefined));
}

function sameChoices(one, other) {
  const chosen = (options) => JSON.stringify(Object.keys(DEFAULTS).map((name) => {
    const value = options[name] ?? DEFAULTS[name];
    return name === "mapping" && value ? Object.entries(value).sort() : value;
  }));
  return chosen(one) === chosen(other);
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

function marked(cell, marks, rejected) {
  const why = marks.map((mark) => plain(mark.message)).join("; ");
  return element("span", { className: rejected ? "mark bad" : "mark", title: why }, short(cell ?? "(left out)"),
    element("span", { className: "why", textContent: why }));
}
