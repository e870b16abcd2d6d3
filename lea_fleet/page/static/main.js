// The page starts here: with the sign-in, or with the fleet.

import { follow } from "./address.js";
import { showFleet } from "./fleet.js";
import { language, t } from "./i18n.js";
import { isSignedIn, signOut } from "./session.js";
import { showSignIn } from "./signin.js";

let stop = () => {};

// Build everything anew: at the start, after signing in and out, in another language.
function start(reason) {
  stop();
  follow(() => {});
  document.documentElement.lang = language();
  document.title = t("title");
  stop = isSignedIn() ? showFleet(start, leave) : showSignIn(start, reason);
}

// Go back to the sign-in; with a failure, say why.
function leave(reason) {
  signOut();
  start(reason);
}

start();
