// The sign-in, and signing in again without losing what is under way.

import { call, onSignedOut } from "./api.js";

const at = (id) => document.getElementById(id);
const REFUSED = "Nobody has this token, or it was revoked.";
let asked = null;

export async function signIn(token) {
  try {
    return await call("POST", "/api/session/", { token: token.trim() });
  } catch (error) {
    throw error.status === 401 ? new Error(REFUSED) : error;
  }
}

// A call that finds the session ended waits here, and is made again.
onSignedOut(() => {
  asked ??= new Promise((resolve) => {
    const dialog = at("again");
    // Nothing goes on before: a dialog that is closed otherwise comes again.
    dialog.onclose = () => { if (asked) dialog.showModal(); };
    at("again-form").onsubmit = async (event) => {
      event.preventDefault();
      try {
        const session = await signIn(at("again-token").value);
        // What is under way is the other person's.
        if (session.owner !== at("owner").textContent) return location.reload();
        at("again-token").value = at("again-error").textContent = "";
        asked = null;
        dialog.close();
        resolve();
      } catch (error) {
        at("again-error").textContent = error.message;
      }
    };
    dialog.showModal();
  });
  return asked;
});
