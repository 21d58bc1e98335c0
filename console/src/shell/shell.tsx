import { BookOpen, KeyRound, ScrollText, Server, UserRound } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { Link, useRoute } from "wouter-preact";
import { text } from "../text";

const PLACES = [
  { path: "/servers", label: text.shell.servers, Icon: Server },
  { path: "/keys", label: text.shell.keys, Icon: KeyRound },
  { path: "/audit", label: text.shell.audit, Icon: ScrollText },
  { path: "/account", label: text.shell.account, Icon: UserRound },
];

/** What stands around every page of one who is signed in. */
export function Shell({ children }: { children: ComponentChildren }) {
  return (
    <>
      <button type="button" class="skip" onClick={toContent}>
        {text.shell.skip}
      </button>
      <header class="bar">
        <Link href="/servers" class="brand">
          <img src="/console/icon.svg" alt="" width="28" height="28" />
          {text.shell.product}
        </Link>
        <nav aria-label={text.shell.mainNavigation}>
          {PLACES.map((place) => (
            <Place key={place.path} {...place} />
          ))}
          <a href="/docs/" target="_blank" rel="noopener">
            <BookOpen aria-hidden="true" />
            <span>{text.shell.docs}</span>
          </a>
        </nav>
      </header>
      <main id="content" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

function Place({ path, label, Icon }: (typeof PLACES)[number]) {
  const [here] = useRoute(`${path}/*?`);
  return (
    <Link href={path} aria-current={here ? "page" : undefined}>
      <Icon aria-hidden="true" />
      <span>{label}</span>
    </Link>
  );
}

/** No link: the fragment of the address says on which page one is. */
function toContent(): void {
  document.getElementById("content")?.focus();
}
