// What is shown. Text only ever goes in as text.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const whole = new Intl.NumberFormat("en");

export function count(number) {
  return whole.format(number);
}

export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; number >= 1000 && at < units.length - 1; at += 1) number /= 1000;
  return `${number.toFixed(at && number < 100 ? 1 : 0)} ${units[at]}`;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function pace(rate, secondsLeft) {
  const parts = [];
  if (rate > 0) parts.push(`${bytes(rate)}/s`);
  if (secondsLeft !== null && secondsLeft !== undefined && rate > 0) parts.push(`${duration(secondsLeft)} left`);
  return parts.join(" · ");
}

// Columns that a file of rejects has besides its own.
export const OURS = ["_row", "_errors", "_raw", "_rejects_of"];

const SHORT = 100;

// A text as a cell shows it.
export function short(text) {
  return text.length > SHORT ? `${text.slice(0, SHORT)}…` : text;
}

export function rowsOf(number) {
  return number === 1 ? "1 row" : `${count(number)} rows`;
}

const WORDS = {
  in_review: "Waits for your decision", queued: "Waiting for its turn", loading: "Importing", verifying: "Checking that nothing is missing",
  succeeded: "Imported", checked: "Counted, waits for your decision", failed: "Failed", cancelled: "Cancelled",
  undoing: "Being undone", undone: "Undone",
};

export function stateWords(state) {
  return WORDS[state] ?? state;
}

// What a queued import waits for: its turn, or a time at which something that failed is tried again.
export function waiting(progress) {
  if (progress.waitsFor) {
    const time = new Date(progress.nextLaunchAt).toLocaleTimeString();
    return `${progress.waitsFor}; tried again at ${time}`;
  }
  return progress.place > 1 ? `place ${count(progress.place)} in the queue` : "";
}

export function announce(text) {
  document.getElementById("said").textContent = text;
}

// What became of an import: counts, why rows were rejected, the file with them, its run.
export function outcome(item, actions = {}) {
  const isGood = ["succeeded", "checked"].includes(item.state) && !isVain(item);
  const tone = isGood ? "good" : item.state === "failed" || isVain(item) ? "wrong" : "";
  const counts = [
    ["rows", item.rows], ["new", item.inserted], ["updated", item.updated], ["unchanged", item.unchanged],
    ["duplicates", item.duplicateInFile], ["rejected", item.rejected], ["warnings", item.warnings],
  ];
  return [
    element("p", { className: tone }, isVain(item) ? "Nothing was imported: every row was rejected" : `${stateWords(item.state)}${item.state === "succeeded" && item.seconds ? ` in ${duration(item.seconds)}` : ""}`),
    item.error ? element("p", { className: "wrong", textContent: item.error }) : null,
    item.rows ? numbers(counts) : null,
    item.rejectsByColumn?.length ? reasons("Why rows were rejected", "rows", item.rejectsByColumn.map(
      (one) => [one.rows, one.column ?? "", plain(one.message)],
    )) : null,
    item.warningsByField?.length ? reasons("What was noticed in rows that loaded", "values", item.warningsByField.map(
      (one) => [one.values, words(one.field ?? ""), plain(one.message) + rowNumbers(one.rows)],
    )) : null,
    item.columns?.length ? reasons("Where each column went", "values", item.columns.filter((one) => one.field || one.extra).map(
      (one) => [one.values, one.column, goesTo(one)],
    )) : null,
    element(
      "div", { className: "buttons" },
      item.rejected && actions.fix && ["succeeded", "failed"].includes(item.state) ? button("Fix rejects here", () => actions.fix(item), {
        "aria-label": `Fix rejects here: ${item.fileName}`,
      }) : null,
      item.rejected && item.state !== "checked" ? element("a", {
        className: "button", href: `/api/imports/${item.uploadId}/rejects`, download: "", textContent: "Download rejects",
        "aria-label": `Download rejects: ${item.fileName}`,
      }) : null,
      item.rows && actions.look && ["succeeded", "failed", "cancelled"].includes(item.state) && item.rows > item.rejected ? element("a", {
        className: "button", href: `/api/imports/${item.uploadId}/contacts`, download: "", textContent: "Download contacts",
        "aria-label": `Download contacts: ${item.fileName}`,
      }) : null,
      actions.look && ["in_review", "checked"].includes(item.state) ? element("a", {
        className: "button main", href: `#review/${item.uploadId}`, textContent: "Look at it, and decide",
        "aria-label": `Look at it, and decide: ${item.fileName}`,
      }) : null,
      ["failed", "cancelled", "undone"].includes(item.state) && actions.again ? button("Import again", () => actions.again(item), {
        "aria-label": `Import again: ${item.fileName}`,
      }) : null,
      actions.look && (item.state === "undone" || (["failed", "cancelled"].includes(item.state) && !item.rows)) ? element("a", {
        className: "button", href: `#review/${item.uploadId}`, textContent: "Look at it again",
        "aria-label": `Look at it again: ${item.fileName}`,
      }) : null,
      ["succeeded", "failed", "cancelled"].includes(item.state) && item.inserted + item.updated > 0 && actions.undo ? button("Undo", () => actions.undo(item), {
        "aria-label": `Undo: ${item.fileName}`,
      }) : null,
      element("a", {
        className: "button", href: `#import/${item.uploadId}`, textContent: "Link",
        "aria-label": `Link to this import: ${item.fileName}`,
      }),
      item.runUrl ? element("a", {
        className: "button", href: item.runUrl, target: "_blank", rel: "noreferrer", textContent: "Run in Dagster",
        "aria-label": `Run in Dagster: ${item.fileName}, in a new tab`,
      }) : null,
    ),
  ];
}

// Whether an import has ended well, and loaded nothing.
export function isVain(item) {
  return item.state === "succeeded" && item.rows > 0 && item.rejected === item.rows;
}

function words(field) {
  return field.replaceAll("_", " ");
}

export function rowNumbers(rows) {
  if (!rows?.length) return "";
  return ` (${rows.length > 1 ? "rows" : "row"} ${rows.slice(0, 20).map(count).join(", ")}${rows.length > 20 ? ", …" : ""})`;
}

function goesTo(column) {
  if (column.field) return words(column.field);
  return column.looksLike ? `kept as it is; it looks like ${words(column.looksLike)}` : "kept as it is";
}

function reasons(title, unit, rows) {
  return table([unit, "column", "what"], rows.slice(0, 200).map(([number, ...texts]) => [count(number), ...texts]), {
    caption: title, numbered: true,
  });
}

export function button(text, onclick, properties = {}) {
  return element("button", { type: "button", textContent: text, onclick, ...properties });
}

export function labelled(id, text, input) {
  const label = element("label", { textContent: text });
  label.htmlFor = id;
  return element("div", { className: "field" }, label, input);
}

// Numbers side by side, each above its name.
export function numbers(counts) {
  return element("dl", { className: "counts" }, ...counts.map(([name, number]) => element(
    "div", {}, element("dt", { textContent: name }), element("dd", { textContent: count(number) }),
  )));
}

// A message of the service without the marks of code that it has for other readers.
export function plain(message) {
  return message.replaceAll("`", "");
}

export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

// A table of texts and elements. A row is a list of cells, or an object with `cells` and `className`.
export function table(titles, rows, { caption = "", numbered = false, rowHeader = false } = {}) {
  return element(
    "table", { className: numbered ? "numbered" : "" }, caption ? element("caption", { textContent: caption }) : null,
    element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, ...rows.map((row) => element(
      "tr", { className: row.className ?? "" }, ...(row.cells ?? row).map((cell, at) => element(
        rowHeader && at === 0 ? "th" : "td", rowHeader && at === 0 ? { scope: "row" } : {}, cell,
      )),
    ))),
  );
}
