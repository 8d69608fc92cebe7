// The page: sign in, drop files, look at each before it is imported, watch it, look at what has been.

import { call, Refused } from "./api.js";
import { Card } from "./card.js";
import { History } from "./history.js";
import { Review } from "./review.js";
import { signIn } from "./session.js";
import { remembered, Upload } from "./upload.js";
import { bytes, stateWords } from "./view.js";

const at = (id) => document.getElementById(id);
const REVIEW = /^#review\/([0-9a-f]{32})$/;
const IMPORT = /^#import\/([0-9a-f]{32})$/;
const cards = new Set();
let session = null;
let history = null;
let review = null;

function show(card) {
  cards.add(card);
  at("uploads").prepend(card.root);
}

function cardOf(given) {
  return new Card({
    ...given,
    chooseFile: () => at("files").click(),
    onReview: (card) => { if (!review && cards.size === 1) location.hash = `#review/${card.uploadId}`; },
    onEnd: (card, item) => {
      cards.delete(card);
      tell(`${item.fileName}: ${stateWords(item.state)}`);
      return history.show({ open: item.uploadId });
    },
    onDismiss: (card) => cards.delete(card),
  });
}

function add(files, options = { review: true }) {
  for (const file of files) {
    const waiting = [...cards].find((card) => card.upload?.fits(file));
    if (waiting) {
      waiting.upload.resume(file);
      continue;
    }
    const upload = Upload.of(file, options);
    const problem = unfit(file);
    if (problem) Object.assign(upload, { state: "failed", error: problem });
    show(cardOf({ name: file.name, size: file.size, upload }));
    if (!problem) upload.start();
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
      show(cardOf({ name: entry.name, size: entry.size, upload }));
    } catch (error) {
      if (error.status === 404) remembered.remove(entry.uploadId);
    }
  }
}

// What is being imported while nobody watched is taken up again.
async function followRunning() {
  const page = await call("GET", "/api/imports/?limit=20");
  for (const item of page.imports.filter((one) => !["finished", "review"].includes(one.phase)).reverse()) goOn(item);
}

function goOn(item) {
  if ([...cards].some((card) => card.uploadId === item.uploadId)) return;
  show(cardOf({ name: item.fileName, size: item.size, uploadId: item.uploadId }));
}

// A word from the browser, where somebody wanted it and looks elsewhere.
function tell(text) {
  if ("Notification" in window && Notification.permission === "granted" && document.hidden) new Notification("Contact Pipeline", { body: text });
}

async function route() {
  review?.stop();
  review = null;
  const [, uploadId] = location.hash.match(REVIEW) ?? [];
  at("review").hidden = !uploadId;
  at("work").hidden = Boolean(uploadId);
  if (!uploadId) {
    at("review").replaceChildren();
    const [, open] = location.hash.match(IMPORT) ?? [];
    at("no-such-address").hidden = Boolean(open) || location.hash.length < 2;
    await history.show({ open });
    return;
  }
  try {
    const [item, { fields }] = await Promise.all([call("GET", `/api/imports/${uploadId}`), call("GET", "/api/fields/")]);
    if (location.hash !== `#review/${uploadId}`) return;
    if (isDecided(item)) {
      location.hash = `#import/${uploadId}`;
      return;
    }
    review = new Review(at("review"), item, fields, (decided) => {
      for (const card of cards) if (card.uploadId === uploadId) { card.following?.close(); card.root.remove(); cards.delete(card); }
      if (decided) goOn(decided);
      location.hash = "";
    });
    await review.start();
  } catch (error) {
    at("review").replaceChildren(error.message);
  }
}

// Whether there is nothing to look at any more: it is imported, or being so.
function isDecided(item) {
  const isCounted = item.options.mode === "check";
  return ["succeeded", "verifying", "undoing"].includes(item.state) || (["queued", "loading"].includes(item.state) && !isCounted);
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
  at("who").hidden = false;
  at("owner").textContent = session.owner;
  at("files").accept = session.suffixes.join(",");
  at("taken").textContent = `CSV or Excel, compressed or not, up to ${bytes(session.maxUploadBytes)}`;
  at("notify").hidden = !("Notification" in window) || Notification.permission !== "default";
  history = new History({
    isOperator: session.role === "operator",
    isShown: (uploadId) => [...cards].some((card) => card.uploadId === uploadId),
    onGoesOn: goOn,
    owner: session.owner,
    // Fixed rows do to contacts what the others did.
    onFile: (file, { onExisting, strictness, consent }) => add([file], { review: false, onExisting, strictness, consent }),
  });
  await recall();
  await followRunning();
  await route();
}

at("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("sign-in-error").textContent = "";
  try {
    await signIn(at("token").value);
    at("token").value = "";
    await enter();
    at("files").focus();
  } catch (error) {
    at("sign-in-error").textContent = error.message;
  }
});
at("sign-out").addEventListener("click", async () => {
  await call("DELETE", "/api/session/");
  location.reload();
});
at("notify").addEventListener("click", async () => {
  await Notification.requestPermission();
  at("notify").hidden = true;
});
at("files").addEventListener("change", () => {
  add(at("files").files);
  at("files").value = "";
});
const drop = at("drop");
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
}
addEventListener("drop", (event) => { if (session && !review) add(event.dataTransfer.files); });
addEventListener("hashchange", route);
addEventListener("beforeunload", (event) => {
  if ([...cards].some((card) => card.upload?.state === "uploading")) event.preventDefault();
});

await enter();
