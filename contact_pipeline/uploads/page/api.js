// Calls of the service. The cookie of the sign-in goes along by itself.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "The service does not answer as it should.");
    this.status = status;
    this.code = problem.code ?? "";
    this.retryAfter = problem.retryAfter ?? 0;
  }

  // Whether the same call may succeed a little later.
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

// Until somebody has signed in, a 401 is an answer; after that the session has ended, and the call waits for a new one.
let signInAgain = null;
let signedIn = false;

export function onSignedOut(ask) {
  signInAgain = ask;
}

export async function call(method, path, body) {
  if (path !== "/api/session/") return inSession(() => ask(method, path, body));
  const answer = await ask(method, path, body);
  signedIn ||= method !== "DELETE";
  return answer;
}

async function inSession(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (error.status !== 401 || !signedIn) throw error;
    await signInAgain();
    return inSession(attempt);
  }
}

async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new Refused(0, { detail: "The service cannot be reached." });
  }
  const content = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, content ?? {});
  return content;
}

// XMLHttpRequest, for fetch tells nothing of how far a body has been sent.
export function sendChunk(uploadId, index, blob, onSent, signal) {
  return inSession(() => send(uploadId, index, blob, onSent, signal));
}

function send(uploadId, index, blob, onSent, signal) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("uploadId", uploadId);
    form.append("chunkIndex", String(index));
    form.append("chunk", blob, "chunk");
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.upload.onprogress = (event) => onSent(Math.min(event.loaded, blob.size));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onerror = () => reject(new Refused(0, { detail: "The line is down." }));
    request.onload = () => {
      if (request.status === 200) return resolve();
      let problem = {};
      try { problem = JSON.parse(request.responseText); } catch { /* a proxy's answer */ }
      reject(new Refused(request.status, problem));
    };
    request.onloadend = () => signal.removeEventListener("abort", stop);
    request.open("POST", "/api/upload/chunk/");
    if (signal.aborted) return reject(new DOMException("stopped", "AbortError"));
    request.send(form);
  });
}
