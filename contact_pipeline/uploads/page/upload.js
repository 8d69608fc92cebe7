// One file on its way: chunk by chunk, several at once, again after a bad line, on after a reload.

import { call, sendChunk } from "./api.js";

const AT_ONCE = 3;
const LONGEST_WAIT_MS = 30_000;
const RATE_OVER_MS = 10_000;
const REMEMBERED = "contact-pipeline.uploads";

// What is needed to go on after a reload; the file itself must be chosen again.
export const remembered = {
  all() {
    try { return JSON.parse(localStorage.getItem(REMEMBERED)) ?? []; } catch { return []; }
  },
  add(entry) {
    localStorage.setItem(REMEMBERED, JSON.stringify([...this.all().filter((one) => one.uploadId !== entry.uploadId), entry]));
  },
  remove(uploadId) {
    localStorage.setItem(REMEMBERED, JSON.stringify(this.all().filter((one) => one.uploadId !== uploadId)));
  },
};

export class Upload extends EventTarget {
  // state: waiting (for its file), uploading, paused, completed, cancelled, failed
  constructor(name, size) {
    super();
    Object.assign(this, { name, size, file: null, uploadId: null, state: "waiting", error: "", trouble: "" });
    this.chunkSize = 0;
    this.missing = [];
    this.inFlight = new Map();
    this.stop = new AbortController();
    this.marks = [];
  }

  static of(file, options = { review: true }) {
    const upload = new Upload(file.name, file.size);
    Object.assign(upload, { file, options });
    return upload;
  }

  fits(file) {
    return this.state === "waiting" && this.uploadId && file.name === this.name && file.size === this.size
      && (!this.lastModified || file.lastModified === this.lastModified);
  }

  get sent() {
    const missing = this.missing.reduce((sum, index) => sum + this.#length(index), 0);
    const flying = [...this.inFlight].reduce((sum, [index, bytes]) => sum + bytes - this.#length(index), 0);
    return this.chunkSize ? this.size - missing + flying : 0;
  }

  // Bytes a second, over the last seconds; 0 while there is nothing to tell it from.
  get rate() {
    if (this.marks.length < 2) return 0;
    const [first, last] = [this.marks[0], this.marks.at(-1)];
    return last.at > first.at ? Math.max(0, ((last.sent - first.sent) * 1000) / (last.at - first.at)) : 0;
  }

  get secondsLeft() {
    return this.rate > 0 ? (this.size - this.sent) / this.rate : null;
  }

  async start() {
    try {
      const begun = await call("POST", "/api/upload/init/", { fileName: this.name, fileSize: this.size, ...this.options });
      this.uploadId = begun.uploadId;
      this.chunkSize = begun.chunkSize;
      this.missing = [...Array(begun.totalChunks).keys()];
      remembered.add({
        uploadId: this.uploadId, name: this.name, size: this.size, lastModified: this.file.lastModified,
      });
      await this.#send();
    } catch (error) {
      this.#fail(error);
    }
  }

  // Ask what is missing; returns whether there is anything to go on with.
  async recall({ uploadId, lastModified }) {
    const parts = await call("GET", `/api/upload/parts/?uploadId=${uploadId}`);
    Object.assign(this, { uploadId, lastModified, chunkSize: parts.chunkSize, missing: parts.missingChunks });
    if (parts.state === "completed") this.#become("completed");
    this.#changed();
    return parts.state === "uploading" || parts.state === "completing" || parts.state === "completed";
  }

  pause() {
    if (this.state !== "uploading") return;
    this.#become("paused");
    this.stop.abort();
  }

  async resume(file) {
    this.file = file ?? this.file;
    if (!this.file || this.state === "uploading") return;
    try {
      const parts = await call("GET", `/api/upload/parts/?uploadId=${this.uploadId}`);
      this.missing = parts.missingChunks;
      await this.#send();
    } catch (error) {
      this.#fail(error);
    }
  }

  async cancel() {
    const before = this.state;
    this.#become("cancelled");
    this.stop.abort();
    remembered.remove(this.uploadId);
    if (this.uploadId && before !== "failed") await call("POST", "/api/upload/cancel/", { uploadId: this.uploadId });
  }

  async #send() {
    this.stop = new AbortController();
    this.marks = [];
    this.#become("uploading");
    const queue = [...this.missing];
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work(queue)));
    if (this.state !== "uploading") return;
    await this.#insist(() => call("POST", "/api/upload/complete/", { uploadId: this.uploadId }));
    if (this.state !== "uploading") return;
    remembered.remove(this.uploadId);
    this.#become("completed");
  }

  async #work(queue) {
    while (queue.length && this.state === "uploading") {
      const index = queue.shift();
      const begin = index * this.chunkSize;
      const blob = this.file.slice(begin, begin + this.#length(index));
      await this.#insist(() => {
        this.inFlight.set(index, 0);
        return sendChunk(this.uploadId, index, blob, (bytes) => {
          this.inFlight.set(index, bytes);
          this.#changed();
        }, this.stop.signal);
      });
      this.inFlight.delete(index);
      if (this.state === "uploading") this.missing = this.missing.filter((one) => one !== index);
      this.#changed();
    }
  }

  // Try again what may pass, for as long as it takes; stop when somebody pauses or cancels.
  async #insist(attempt) {
    for (let wait = 1000; this.state === "uploading"; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      try {
        const done = await attempt();
        this.trouble = "";
        return done;
      } catch (error) {
        this.inFlight.clear();
        if (error.name === "AbortError") return undefined;
        if (!error.passes) throw error;
        this.trouble = error.message;
        this.#changed();
        await this.#pass(Math.max(wait, 1000 * error.retryAfter));
      }
    }
    return undefined;
  }

  // Wait, but no longer than until the line is back, or somebody stops.
  #pass(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      const wake = () => { clearTimeout(timer); resolve(); };
      addEventListener("online", wake, { once: true });
      this.stop.signal.addEventListener("abort", wake, { once: true });
    });
  }

  #length(index) {
    return Math.min(this.chunkSize, this.size - index * this.chunkSize);
  }

  #fail(error) {
    if (this.state === "cancelled") return;
    this.stop.abort();
    this.error = error.message;
    if (error.code !== "unauthorized") remembered.remove(this.uploadId);
    this.#become("failed");
  }

  #become(state) {
    this.state = state;
    this.inFlight.clear();
    this.trouble = "";
    this.#changed();
  }

  #changed() {
    const now = performance.now();
    if (this.state === "uploading" && (!this.marks.length || now - this.marks.at(-1).at > 250)) {
      this.marks.push({ at: now, sent: this.sent });
      while (this.marks.length > 2 && now - this.marks[0].at > RATE_OVER_MS) this.marks.shift();
    }
    this.dispatchEvent(new Event("change"));
  }
}
