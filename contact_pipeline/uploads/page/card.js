// One card for each file that is on its way. Its bar is for the whole way: the upload fills the first half, the import the
// second. What has ended goes to the list below; what failed before it was an import stays until it is dismissed.

import { call, Refused } from "./api.js";
import { follow } from "./events.js";
import { announce, button, bytes, count, element, pace, rowsOf, stateWords, waiting } from "./view.js";

export class Card {
  constructor({ name, size, upload = null, uploadId = null, chooseFile, onReview, onEnd, onDismiss }) {
    Object.assign(this, { name, upload, uploadId: upload?.uploadId ?? uploadId, chooseFile, onReview, onEnd, onDismiss });
    this.bar = element("progress", { max: 100, value: 0, "aria-label": `Progress of ${name}` });
    this.status = element("p", { className: "hint" });
    this.pauseButton = this.#button("Pause", () => this.#pauseOrResume());
    this.cancelButton = this.#button("Cancel", () => this.#cancel());
    this.dismissButton = this.#button("Dismiss", () => this.#dismiss());
    this.dismissButton.hidden = true;
    this.reviewLink = element("a", { className: "button main", textContent: "Look at it, and decide", hidden: true });
    this.reviewLink.setAttribute("aria-label", `Look at it, and decide: ${name}`);
    this.root = element(
      "li", {}, element("div", { className: "line" }, element("h3", { textContent: name }),
        element("span", { className: "hint", textContent: bytes(size) })),
      this.bar, this.status,
      element("div", { className: "buttons" }, this.reviewLink, this.pauseButton, this.cancelButton, this.dismissButton),
    );
    upload?.addEventListener("change", () => this.#showUpload());
    if (upload) this.#showUpload();
    else this.follow();
  }

  #button(text, action) {
    return button(text, action, { "aria-label": `${text} ${this.name}` });
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
      completed: "Uploaded",
      cancelled: "Cancelled",
      failed: upload.error,
    };
    this.#say(words[upload.state], upload.state);
    if (upload.state === "completed" && !this.following) this.follow();
    if (upload.state === "cancelled" || upload.state === "failed") this.#stay();
  }

  // Show what the service tells of the import, until it has ended.
  follow() {
    this.following?.close();
    this.pauseButton.hidden = true;
    this.following = follow(this.uploadId, (progress) => this.#showImport(progress));
  }

  #showImport(progress) {
    const toReview = progress.phase === "review";
    this.bar.value = 50 + progress.percent / 2;
    this.reviewLink.hidden = !toReview;
    this.reviewLink.href = `#review/${this.uploadId}`;
    const rows = progress.rows ? rowsOf(progress.rows) : "";
    const rejected = progress.rejected ? `${count(progress.rejected)} rejected` : "";
    const words = [stateWords(progress.state), waiting(progress), rows, rejected, pace(progress.rate, progress.eta)];
    this.#say(words.filter(Boolean).join(" · "), progress.state);
    // A stream for each file that waits for a decision would leave none for the calls: a browser makes six to a host.
    if (toReview) this.following?.close();
    if (toReview && this.upload) {
      this.upload = null;
      this.onReview(this);
    }
    if (progress.phase === "finished") this.#finish();
  }

  async #finish() {
    this.following?.close();
    try {
      const item = await call("GET", `/api/imports/${this.uploadId}`);
      this.root.remove();
      this.onEnd(this, item);
    } catch (error) {
      // An upload that was cancelled has become no import.
      if (!(error instanceof Refused) || error.status !== 404) this.status.textContent = error.message;
      this.#stay();
    }
  }

  #stay() {
    this.following?.close();
    this.bar.hidden = this.pauseButton.hidden = this.cancelButton.hidden = true;
    this.dismissButton.hidden = false;
  }

  #dismiss() {
    this.root.remove();
    this.onDismiss(this);
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
    else this.chooseFile();
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
