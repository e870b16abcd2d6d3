// The entry point: shows the sign-in, or the fleet.

import { follow } from "./address.js";
import { showFleet } from "./fleet.js";
import { language, t } from "./i18n.js";
import { isSignedIn, signOut } from "./session.js";
import { forget as forgetViews } from "./saved.js";
import { forget } from "./who.js";
import { showSignIn } from "./signin.js";

let stop = () => {};

// Build the page: at the start, after signing in or out, and in another language.
function start(reason) {
  stop();
  follow(() => {});
  document.body.classList.remove("beside"); // the panel goes with the page
  document.documentElement.lang = language();
  document.title = t("title");
  stop = isSignedIn() ? showFleet(start, leave) : showSignIn(start, reason);
}

// Go back to the sign-in, with the failure that is the reason.
function leave(reason) {
  signOut();
  forget();
  forgetViews();
  start(reason);
}

start();
