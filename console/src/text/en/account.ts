export const title = "Account";
