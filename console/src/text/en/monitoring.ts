export const title = "Monitoring";
