export const title = "Servers";
