export const title = "Sign in";
export const intro = "Control your dedicated servers, and make API keys for those who should.";
export const email = "E-mail address";
export const password = "Password";
export const code = "Code from your authenticator";
export const codeHint = "6 digits, or one of your recovery codes.";
export const signIn = "Sign in";
export const withProvider = "Sign in with your organisation";
export const or = "or";
export const wrong = "E-mail address, password or code is not right.";
export const ended = "Your session has ended";
export const endedHint = "Sign in again to go on. What you typed is still there.";
export const finishing = "Signing in…";
export const again = "Sign in another way";
export const attemptLost =
  "This sign-in was not begun on this page, or too long ago. Please begin again.";
export const providerRefused = (why: string) => `Your organisation refused the sign-in: ${why}`;
