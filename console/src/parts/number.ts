import { language } from "../text";

const NUMBER = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });

/** A number as a person reads it, to the second decimal place. */
export function number(value: number): string {
  return NUMBER.format(value);
}
