// The rows that did not load, to be fixed where they are shown and imported again.

import { call } from "./api.js";
import { button, count, element, OURS, table } from "./view.js";

// What a spreadsheet takes for a formula has an apostrophe before it in a file; see files/rejects_file.py.
const FORMULA = /^(?:[=+\-@\t\r\n＝＋－＠]|'[=+\-@\t\r\n＝＋－＠'])/;

// A table of the first rejects with an input for each cell; `onFile` gets the fixed rows as a file.
export async function fixing(item, messages, onFile) {
  const { titles, rows, total } = await call("GET", `/api/imports/${item.uploadId}/rejected-rows`);
  const own = titles.map((title, at) => (OURS.includes(title) ? -1 : at)).filter((at) => at >= 0);
  const errorsAt = titles.indexOf("_errors");
  const rowAt = titles.indexOf("_row");
  const rawAt = titles.indexOf("_raw");
  const changed = new Set();
  const save = button("Import the fixed rows", () => onFile(asFile(item, titles, rows.filter((_, at) => changed.has(at)))), {
    className: "main", disabled: true,
  });
  const shown = rows.map((cells, at) => {
    const wrong = cells[errorsAt].split(", ").map((one) => one.split(":"));
    const said = wrong.map(([code, column]) => (column ? `${column}: ` : "") + (messages.get(code) ?? code)).join("; ");
    // A row that has no columns is shown as it is in the file.
    const raw = cells[rawAt] ? element("code", { className: "why", textContent: cells[rawAt] }) : null;
    return [count(Number(cells[rowAt])), element("div", { textContent: said }, raw), ...own.map((position) => {
      const isLong = cells[position].includes("\n");
      const input = element(isLong ? "textarea" : "input", {
        ...(isLong ? { rows: 2 } : { type: "text" }), value: cells[position],
        oninput: () => {
          cells[position] = input.value;
          changed.add(at);
          save.disabled = false;
        },
      });
      input.setAttribute("aria-label", `${titles[position]}, row ${cells[rowAt]}`);
      if (wrong.some(([, column]) => column === titles[position])) input.className = "bad";
      return input;
    })];
  });
  return element(
    "div", {}, element("p", { className: "hint", textContent: total > rows.length
      ? `The first ${count(rows.length)} of ${count(total)}. For more, download the rejects, fix them and upload the file.`
      : "Change what is wrong; only rows that you have changed are imported." }),
    element("div", { className: "scroll" }, table(["Row", "What is wrong", ...own.map((at) => titles[at])], shown, { numbered: true })),
    element("div", { className: "buttons" }, save),
  );
}

function guarded(cell) {
  return FORMULA.test(cell) ? `'${cell}` : cell;
}

function asFile(item, titles, rows) {
  const line = (cells) => cells.map((cell) => `"${guarded(cell).replaceAll('"', '""')}"`).join(",");
  const text = `\ufeff${[titles, ...rows].map(line).join("\r\n")}\r\n`;
  return new File([text], `fixed rows of ${item.fileName.replace(/\.[^.]*$/, "")}.csv`, { type: "text/csv" });
}
