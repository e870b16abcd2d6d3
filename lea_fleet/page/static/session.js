// Who is signed in: by a token that stays in this tab, or to the host.

const KEPT = "lea_fleet_token";

let throughHost = document.documentElement.dataset.signedIn === "yes";

export function token() {
  return sessionStorage.getItem(KEPT);
}

export function isSignedIn() {
  return token() !== null || throughHost;
}

export function signIn(text) {
  sessionStorage.setItem(KEPT, text);
}

// Forget the token. Whether the host still knows the operator is for the host to say.
export function signOut() {
  sessionStorage.removeItem(KEPT);
  throughHost = false;
}
