// The sign-in: by a token that is kept in this tab, or through the host.

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

// Discard the token. A session in the host is not affected.
export function signOut() {
  sessionStorage.removeItem(KEPT);
  throughHost = false;
}
