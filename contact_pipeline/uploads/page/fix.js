// The rows that did not load, to be fixed where they are shown and imported again.

import { call } from "./api.js";
import { button, count, element, table } from "./view.js";

const OURS = ["_row", "_errors", "_raw", "_rejects_of"];

// A table of the first rejects with an input for each cell; `onFile` gets the fixed rows as a file.
export async function fixing(item, messages, onFile) {
  const { titles, rows, total } = await call("GET", `/api/imports/${item.uploadId}/rejected-rows`);
  const own = titles.map((title, at) => (OURS.includes(title) ? -1 : at)).filter((at) => at >= 0);
  const errorsAt = titles.indexOf("_errors");
  const rowAt = titles.indexOf("_row");
  const changed = new Set();
  const save = button("Import the fixed rows", () => onFile(asFile(item, titles, rows.filter((_, at) => changed.has(at)))), {
    className: "main", disabled: true,
  });
  const shown = rows.map((cells, at) => {
    const wrong = cells[errorsAt].split(", ").map((one) => one.split(":"));
    return [count(Number(cells[rowAt])), wrong.map(([code]) => messages.get(code) ?? code).join("; "), ...own.map((position) => {
      const input = element("input", {
        type: "text", value: cells[position],
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

function asFile(item, titles, rows) {
  const line = (cells) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",");
  const text = `\ufeff${[titles, ...rows].map(line).join("\r\n")}\r\n`;
  return new File([text], `fixed rows of ${item.fileName.replace(/\.[^.]*$/, "")}.csv`, { type: "text/csv" });
}
