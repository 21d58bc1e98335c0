export const title = "Addresses";
