/** When a key is to stop to work, as it is chosen in the form. */

export const CHOICES = ["30", "90", "365", "date", "never"] as const;

export interface Expiry {
  /** So many days, the end of a day, or never. */
  choice: (typeof CHOICES)[number];
  /** The last day, as YYYY-MM-DD, in the reader's time zone. */
  day: string;
}

/** Long enough to be of use, and short enough that what leaks dies. */
export const DEFAULT: Expiry = { choice: "90", day: "" };

const DAY_MS = 86_400_000;

/** When it ends, from now; null: never, or no day is given yet. */
export function endOf({ choice, day }: Expiry, now: number): Date | null {
  if (choice === "never") return null;
  if (choice !== "date") return new Date(now + Number(choice) * DAY_MS);
  const end = new Date(`${day}T23:59:59`);
  return Number.isNaN(end.getTime()) ? null : end;
}

/** Whether a key can be made with it. */
export function isPossible(expiry: Expiry, now: number): boolean {
  return expiry.choice === "never" || (endOf(expiry, now)?.getTime() ?? 0) > now;
}

/** A day as an input of type "date" has it, in the reader's time zone. */
export function dayOf(time: number): string {
  const moment = new Date(time);
  return [moment.getFullYear(), moment.getMonth() + 1, moment.getDate()]
    .map((part) => String(part).padStart(2, "0"))
    .join("-");
}
