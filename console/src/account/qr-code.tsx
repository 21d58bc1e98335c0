import { encode } from "uqr";

/** Modules of white around it, which readers need (ISO/IEC 18004, 9.1). */
const QUIET = 4;

/** A text as a QR code, dark on light in both themes: not all readers take the inverse. */
export function QrCode({ value, label }: { value: string; label: string }) {
  const { data, size } = encode(value, { border: QUIET });
  const path = data
    .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
  return (
    <svg class="qr-code" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`}>
      <path d={path} shape-rendering="crispEdges" />
    </svg>
  );
}
