export const title = "Account";

export const you = "You";
export const email = "E-mail address";
export const account = "Account";
export const role = "You may";
export const roles = {
  ROLE_UNSPECIFIED: "–",
  READ_ONLY: "Look, and change nothing of the account",
  MEMBER: "Look, and change what belongs to the account",
  OWNER: "Do everything, as an owner of the account",
};
export const address = "You come from";
export const begun = "Signed in";
export const ends = "Until";
export const idle = (seconds: number) =>
  `(or after ${Math.round(seconds / 60)} minutes without a call)`;
export const everywhere = "Sign out everywhere";
export const everywhereHint = "Everywhere: on every device and in every browser, here too.";

export const password = "Password";
export const yourPassword = "Your password";
export const presentPassword = "Present password";
export const newPassword = "New password";
export const passwordHint = (shortest: number) =>
  `${shortest} characters or more. Several words are good.`;
export const passwordShort = (shortest: number) => `This has fewer than ${shortest} characters.`;
export const passwordWrong = "This is not your password.";
export const changePassword = "Change password";
export const passwordChanged = "Your password is changed. All your other sessions have been ended.";

export const secondFactor = "Second factor";
export const on = "On";
export const off = "Off";
export const secondFactorOn = "Signing in takes a code from your authenticator as well.";
export const secondFactorOff =
  "With a second factor, a stolen password alone lets nobody in: signing in takes a code from an authenticator app as well.";
export const setUp = "Set up second factor";
export const setUpHint =
  "Have an authenticator app at hand, on your phone for instance. First your password, once more.";
export const goOn = "Continue";
export const scan = "Scan this with your authenticator:";
export const openHere = "Or open it in an authenticator on this device.";
export const qrCode = "QR code for your authenticator";
export const typeInstead = "Or type this secret there (6 digits, every 30 seconds, SHA-1):";
export const code = "The code that it shows now";
export const codeHint = "6 digits.";
export const codeWrong =
  "This is not the code of this moment. Check that the clock of your device is right.";
export const confirm = "Turn it on";
export const secondFactorIsOn = "The second factor is on.";
export const recoveryCodes = "Recovery codes";
export const recoveryHint =
  "When your authenticator is lost, each of these lets you sign in once in place of a code. Keep them where you keep no password. They are not shown again.";
export const copyCodes = "Copy codes";
export const kept = "I have kept them";
export const remove = "Remove second factor";
export const removeTitle = "Remove the second factor?";
export const removeHint =
  "From then on your password alone is enough to sign in. Your recovery codes are void.";
export const notProven = "Password or code is not right. A code can be used only once.";
