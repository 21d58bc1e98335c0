export const broken =
  "Something went wrong on this page. Reload it; if that does not help, tell us.";
export const cancel = "Cancel";
export const close = "Close";
export const copied = "Copied";
export const copy = "Copy";
export const loading = "Loading…";
export const nothingFound = "Nothing matches.";
export const notOffered = "Not set up here.";
export const previous = "Previous";
export const next = "Next";
export const range = (first: string, last: string, of: string) => `${first}–${last} of ${of}`;
export const refresh = (what: string) => `Refresh: ${what}`;
export const requestId = "request";
export const retryIn = (seconds: number) => `Try again in ${Math.ceil(seconds)} s.`;
export const selectAll = "Select all";
export const selectShown = (count: number) => `Select the ${count} shown`;
export const selected = (count: number, of: number) => `${count} of ${of} selected`;
export const show = "Show";
export const stale = "What you see below is from before.";
export const tryAgain = "Try again";
export const unanswered =
  "The API did not answer. Your connection may be down, or the API may be; nothing that you typed is lost.";
