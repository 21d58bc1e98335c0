export const title = "Anti-spam";
