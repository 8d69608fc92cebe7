// The page: sign in, drop files, watch each go from upload to import, look at what has been.

import { call, Refused } from "./api.js";
import { remembered, Upload } from "./upload.js";
import { announce, bytes, count, element, outcome, pace, stateWords, waiting } from "./view.js";

const at = (id) => document.getElementById(id);
const cards = new Map();
let session = null;
let older = null;

// One card a file. Its bar is for the whole way: the upload fills the first half, the import the second.
class Card {
  constructor(name, size, upload = null) {
    this.name = name;
    this.upload = upload;
    this.uploadId = upload?.uploadId ?? null;
    this.bar = element("progress", { max: 100, value: 0, "aria-label": `Progress of ${name}` });
    this.status = element("p", { className: "hint" });
    this.pauseButton = this.#button("Pause", () => this.#pauseOrResume());
    this.cancelButton = this.#button("Cancel", () => this.#cancel());
    this.result = element("div");
    this.buttons = element("div", { className: "buttons" }, this.pauseButton, this.cancelButton);
    this.root = element(
      "li", {}, element("div", { className: "line" }, element("h3", { textContent: name }),
        element("span", { className: "hint", textContent: bytes(size) })),
      this.bar, this.status, this.buttons, this.result,
    );
    at("uploads").prepend(this.root);
    upload?.addEventListener("change", () => this.#showUpload());
    if (upload) this.#showUpload();
  }

  #button(text, action) {
    return element("button", { type: "button", textContent: text, "aria-label": `${text} ${this.name}`, onclick: action });
  }

  #label(text) {
    this.pauseButton.textContent = text;
    this.pauseButton.setAttribute("aria-label", `${text} ${this.name}`);
  }

  #showUpload() {
    const { upload } = this;
    this.uploadId = upload.uploadId;
    this.bar.value = upload.size ? (50 * upload.sent) / upload.size : 0;
    this.pauseButton.hidden = !["uploading", "paused", "waiting"].includes(upload.state) || !upload.uploadId;
    this.#label(upload.state === "uploading" ? "Pause" : upload.state === "paused" ? "Resume" : "Choose the file again");
    const of = `${bytes(upload.sent)} of ${bytes(upload.size)}`;
    const words = {
      waiting: upload.uploadId ? `${of} are there. Choose the file again to go on` : "Beginning",
      uploading: upload.trouble ? `${upload.trouble} Trying again · ${of}` : ["Uploading", of, pace(upload.rate, upload.secondsLeft)].filter(Boolean).join(" · "),
      paused: `Paused · ${of}`,
      completed: stateWords("queued"),
      cancelled: "Cancelled",
      failed: upload.error,
    };
    this.#say(words[upload.state], upload.state);
    if (upload.state === "completed" && !this.following) this.follow();
    if (upload.state === "cancelled" || upload.state === "failed") this.#end();
  }

  // Show what the service tells of the import, until it has ended.
  follow() {
    this.following = new EventSource(`/api/imports/${this.uploadId}/events`);
    this.pauseButton.hidden = true;
    this.following.addEventListener("progress", (event) => this.#showImport(JSON.parse(event.data)));
  }

  #showImport(progress) {
    this.bar.value = 50 + progress.percent / 2;
    const rows = progress.rows ? `${count(progress.rows)} rows` : "";
    const rejected = progress.rejected ? `${count(progress.rejected)} rejected` : "";
    const how = pace(progress.rate, progress.eta);
    const words = [stateWords(progress.state), waiting(progress), rows, rejected, how];
    this.#say(words.filter(Boolean).join(" · "), progress.state);
    if (progress.phase === "finished") this.#finish();
  }

  async #finish() {
    this.#end();
    try {
      const item = await call("GET", `/api/imports/${this.uploadId}`);
      this.status.hidden = true;
      this.bar.hidden = item.state === "succeeded" || item.state === "checked";
      this.result.replaceChildren(...outcome(item).filter(Boolean));
    } catch (error) {
      // An upload that was cancelled has become no import.
      if (!(error instanceof Refused) || error.status !== 404) this.status.textContent = error.message;
    }
    await showHistory();
  }

  #end() {
    this.following?.close();
    this.buttons.hidden = true;
  }

  #say(text, state) {
    this.status.textContent = text;
    this.status.className = state === "failed" ? "wrong" : "hint";
    this.root.dataset.state = state;
    if (state !== this.said) announce(`${this.name}: ${text}`);
    this.said = state;
  }

  #pauseOrResume() {
    if (this.upload.state === "uploading") this.upload.pause();
    else if (this.upload.file) this.upload.resume();
    else at("files").click();
  }

  async #cancel() {
    this.cancelButton.disabled = true;
    try {
      if (this.upload && this.upload.state !== "completed") await this.upload.cancel();
      else await call("POST", `/api/imports/${this.uploadId}/cancel`);
    } catch (error) {
      this.status.textContent = error.message;
    } finally {
      this.cancelButton.disabled = false;
    }
  }
}

function add(files) {
  for (const file of files) {
    const waiting = [...cards.values()].find((card) => card.upload?.fits(file));
    const problem = waiting ? "" : unfit(file);
    if (waiting) {
      waiting.upload.resume(file);
    } else if (problem) {
      const upload = Upload.of(file);
      upload.state = "failed";
      upload.error = problem;
      cards.set(upload, new Card(file.name, file.size, upload));
    } else {
      const upload = Upload.of(file);
      cards.set(upload, new Card(file.name, file.size, upload));
      upload.start();
    }
  }
}

function unfit(file) {
  const name = file.name.toLowerCase();
  if (!session.suffixes.some((suffix) => name.endsWith(suffix))) {
    return `Only files that end with ${session.suffixes.join(", ")} are taken: save the table as CSV or Excel.`;
  }
  if (file.size === 0) return "The file is empty.";
  if (file.size > session.maxUploadBytes) return `Files of up to ${bytes(session.maxUploadBytes)} are taken: split it.`;
  return "";
}

async function recall() {
  for (const entry of remembered.all()) {
    const upload = new Upload(entry.name, entry.size);
    try {
      if (!(await upload.recall(entry))) throw new Refused(404, {});
      cards.set(upload, new Card(entry.name, entry.size, upload));
    } catch (error) {
      if (error.status === 404) remembered.remove(entry.uploadId);
    }
  }
}

async function showHistory(more = false) {
  const page = await call("GET", `/api/imports/?limit=20${more ? `&cursor=${encodeURIComponent(older)}` : ""}`);
  const shown = page.imports.map(historyEntry);
  if (more) at("history").append(...shown);
  else at("history").replaceChildren(...shown);
  older = page.next;
  at("older").hidden = !older;
  at("history-empty").hidden = at("history").childElementCount > 0;
}

function historyEntry(item) {
  const details = element("details", {}, element(
    "summary", {}, element("span", { className: "line" },
      element("strong", { textContent: item.fileName }),
      element("span", { className: "hint", textContent: [
        stateWords(item.state), `${count(item.rows)} rows`, item.rejected ? `${count(item.rejected)} rejected` : "",
        new Date(item.uploadedAt).toLocaleString(), session.role === "operator" ? item.owner : "",
      ].filter(Boolean).join(" · ") })),
  ));
  details.addEventListener("toggle", async () => {
    if (!details.open || details.childElementCount > 1) return;
    const body = element("div");
    details.append(body);
    const found = await call("GET", `/api/imports/${item.uploadId}`).catch((error) => ({ ...item, error: error.message }));
    body.replaceChildren(...outcome(found).filter(Boolean));
  });
  return element("li", {}, details);
}

// What is being imported while nobody watched is taken up again.
async function followRunning() {
  const page = await call("GET", "/api/imports/?limit=20");
  for (const item of page.imports.filter((one) => one.phase !== "finished").reverse()) {
    if ([...cards.values()].some((card) => card.uploadId === item.uploadId)) continue;
    const card = new Card(item.fileName, item.size);
    card.uploadId = item.uploadId;
    cards.set(card, card);
    card.follow();
  }
}

async function enter() {
  try {
    session = await call("GET", "/api/session/");
  } catch (error) {
    at("sign-in").hidden = false;
    at("work").hidden = at("who").hidden = true;
    if (error.status !== 401) at("sign-in-error").textContent = error.message;
    at("token").focus();
    return;
  }
  at("sign-in").hidden = true;
  at("work").hidden = at("who").hidden = false;
  at("owner").textContent = session.owner;
  at("files").accept = session.suffixes.join(",");
  at("taken").textContent = `CSV or Excel, compressed or not, up to ${bytes(session.maxUploadBytes)}`;
  await recall();
  await followRunning();
  await showHistory();
}

at("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("sign-in-error").textContent = "";
  try {
    await call("POST", "/api/session/", { token: at("token").value.trim() });
    at("token").value = "";
    await enter();
    at("files").focus();
  } catch (error) {
    at("sign-in-error").textContent = error.status === 401 ? "Nobody has this token, or it was revoked." : error.message;
  }
});
at("sign-out").addEventListener("click", async () => {
  await call("DELETE", "/api/session/");
  location.reload();
});
at("files").addEventListener("change", () => {
  add(at("files").files);
  at("files").value = "";
});
at("older").addEventListener("click", () => showHistory(true));
const drop = at("drop");
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
}
addEventListener("drop", (event) => { if (session) add(event.dataTransfer.files); });
addEventListener("beforeunload", (event) => {
  if ([...cards.values()].some((card) => card.upload?.state === "uploading")) event.preventDefault();
});

await enter();
