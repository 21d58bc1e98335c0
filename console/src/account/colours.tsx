import { Section } from "../parts/section";
import { THEMES, type Theme, useTheme } from "../shell/theme";
import { text } from "../text";

const LABELS: Record<Theme, string> = {
  system: text.shell.asSystem,
  light: text.shell.light,
  dark: text.shell.dark,
};

/** Dark or light, in this browser. */
export function Colours() {
  const [theme, setTheme] = useTheme();
  return (
    <Section title={text.shell.theme}>
      <fieldset class="choices">
        <legend class="offscreen">{text.shell.theme}</legend>
        {THEMES.map((each) => (
          <label key={each} class="tick">
            <input
              type="radio"
              name="theme"
              checked={theme === each}
              onChange={() => setTheme(each)}
            />
            <span>{LABELS[each]}</span>
          </label>
        ))}
      </fieldset>
    </Section>
  );
}
