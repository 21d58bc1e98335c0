import { useState } from "preact/hooks";
import { Failure } from "../api/failure";
import { Button } from "../parts/button";
import { Input } from "../parts/field";
import { text } from "../text";

interface Props {
  /** What is sought now; empty: nothing. */
  sought: string;
  /** Why the list could not be had; null: it could. */
  error: Error | null;
  onSearch: (ip: string) => void;
}

/** Finds one address among thousands. */
export function Search({ sought, error, onSearch }: Props) {
  const [ip, setIp] = useState(sought);
  const wrong = sought && error instanceof Failure ? (error.fields[0]?.description ?? "") : "";
  return (
    <form
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(ip.trim());
      }}
    >
      <Input
        label={text.antihack.search}
        error={wrong}
        value={ip}
        onValue={setIp}
        input={{
          type: "search",
          placeholder: text.antihack.searchExample,
          autocomplete: "off",
          spellcheck: false,
        }}
      />
      <Button type="submit">{text.antihack.find}</Button>
      {sought && (
        <Button
          onClick={() => {
            setIp("");
            onSearch("");
          }}
        >
          {text.antihack.showAll}
        </Button>
      )}
    </form>
  );
}
