import type { AuditRecord } from "../api/schema";
import { text } from "../text";
import { methodInWords } from "./words";

/** Hands the browser the records as a file (RFC 4180). */
export function exportCsv(records: AuditRecord[], who: (record: AuditRecord) => string): void {
  const rows = records.map((record) => [
    record.time ?? "",
    who(record),
    record.subject,
    methodInWords(record.method),
    record.resource,
    JSON.stringify(record.details, Object.keys(record.details).sort()),
    record.address,
    record.outcome,
    record.reason,
    record.operation,
    record.request,
    record.sequence,
  ]);
  const lines = [text.audit.columns, ...rows].map((row) => row.map(cell).join(","));
  const file = new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv;charset=utf-8" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = text.audit.csvName(new Date().toISOString().slice(0, 10));
  link.click();
  URL.revokeObjectURL(link.href);
}

/**
 * A spreadsheet takes what begins so for a formula, and what is recorded others wrote: the name that
 * somebody tried to sign in with. OWASP, "CSV Injection".
 */
const FORMULA = /^[=+\-@\t\r]/;

function cell(value: string): string {
  const harmless = FORMULA.test(value) ? `'${value}` : value;
  return `"${harmless.replaceAll('"', '""')}"`;
}
