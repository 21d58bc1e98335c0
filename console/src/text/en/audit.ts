export const title = "Audit";
