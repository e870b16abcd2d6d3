// The sign-in: by a token that is kept in this tab, or through the host.

const KEPT = "lea_fleet_token";

const { signedIn, host } = document.documentElement.dataset;

// The address of the host's own pages.
export const HOST = host;

let throughHost = signedIn === "operator";

export function token() {
  return sessionStorage.getItem(KEPT);
}

export function isSignedIn() {
  return token() !== null || throughHost;
}

// Whether a user is signed in to the host who is not an operator of the fleet.
export function isStranger() {
  return signedIn === "other";
}

export function isThroughHost() {
  return throughHost && token() === null;
}

export function signIn(text) {
  sessionStorage.setItem(KEPT, text);
}

// Discard the token. A session in the host is not affected.
export function signOut() {
  sessionStorage.removeItem(KEPT);
  throughHost = false;
}
