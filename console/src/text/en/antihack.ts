export const title = "Anti-hack";
