/** Dark or light: as the system has it, unless chosen here. The choice is all that is kept. */

import { useState } from "preact/hooks";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = "theme";

export function applyTheme(theme: Theme = chosen()): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(chosen);
  return [
    theme,
    (next) => {
      localStorage.setItem(KEPT, next);
      applyTheme(next);
      setTheme(next);
    },
  ];
}

function chosen(): Theme {
  const kept = localStorage.getItem(KEPT);
  return THEMES.find((theme) => theme === kept) ?? "system";
}
