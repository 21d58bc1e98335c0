import { Failure } from "./failure";

/** What the API says of one field of a form; `index`: of which item of a list, from 0. */
export interface FieldError {
  index?: number;
  description: string;
}

export interface FieldErrors {
  /** What is wrong with a field, by its name. */
  of: (name: string) => FieldError[];
  /** The same of several fields in one text; empty: nothing. */
  said: (...names: string[]) => string;
  /** The failure, unless every field that it names is one of the form's. */
  rest: Error | null;
}

/** Why a call was refused, by the fields of the form that it was made from. */
export function fieldErrors(error: Error | null, form: string[]): FieldErrors {
  const violations = error instanceof Failure ? error.fields : [];
  const parsed = violations.map(({ field, description }) => {
    const [, name = field, index] = /^(\w+)\[(\d+)\]/.exec(field) ?? [];
    return { name, description, ...(index && { index: Number(index) }) };
  });
  const shown = parsed.length > 0 && parsed.every(({ name }) => form.includes(name));
  return {
    of: (field) => parsed.filter(({ name }) => name === field),
    said: (...fields) =>
      parsed
        .filter(({ name }) => fields.includes(name))
        .map(({ description }) => description)
        .join(" "),
    rest: shown ? null : error,
  };
}
