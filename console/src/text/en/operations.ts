export const title = "Operations";
