export const title = "Hardware";
