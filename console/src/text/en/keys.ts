export const title = "API keys";
