export const title = "Sign in";
export const intro = "Control your dedicated servers, and make API keys for those who should.";
export const email = "E-mail address";
export const password = "Password";
export const code = "Code from your authenticator";
export const codeHint = "6 digits, or one of your recovery codes.";
export const signIn = "Sign in";
export const withProvider = "Sign in with your organisation";
export const providerLeaves = "This leaves the page: what you typed there is lost.";
export const or = "or";
export const wrong = "E-mail address or password is not right.";
export const wrongWithCode = "E-mail address, password or code is not right.";
export const tooMany = "Too many attempts failed. Please wait before you try again.";
export const ended = "Your session has ended";
export const endedHint = "Sign in again to go on. What you typed is still there.";
export const finishing = "Signing in…";
export const attemptLost =
  "This sign-in was not begun in this tab, or too long ago. Please begin again.";
export const notKnown =
  "Your organisation knows you, but you could not be signed in: nobody here has your address, or it took longer than ten minutes. Try again, or ask who manages your account.";
/** By the code that the provider sent (RFC 6749, 4.1.2.1). */
export const refusedBecause = (code: string) =>
  code === "access_denied"
    ? "Your organisation did not let you in, or you cancelled there."
    : "Your organisation could not sign you in. Try again, or ask who manages your account.";
