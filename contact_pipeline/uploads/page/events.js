// What the service tells of an upload and its import, again after a bad line and after signing in again.

import { call } from "./api.js";

const AGAIN_AFTER_MS = 2000;

export function follow(uploadId, onProgress) {
  let source = null;
  let stopped = false;
  const open = () => {
    if (stopped) return;
    source = new EventSource(`/api/imports/${uploadId}/events`);
    source.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
    source.addEventListener("error", async () => {
      // A browser reconnects by itself, but not after an answer that is none: the session has ended, perhaps.
      if (source.readyState !== EventSource.CLOSED || stopped) return;
      const problem = await call("GET", `/api/upload/progress/?uploadId=${uploadId}`).then(() => null, (error) => error);
      if (problem?.status !== 404) setTimeout(open, AGAIN_AFTER_MS);
    });
  };
  open();
  return {
    close() {
      stopped = true;
      source.close();
    },
  };
}
