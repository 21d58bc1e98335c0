import { focusManager } from "@tanstack/preact-query";
import { useEffect, useRef } from "preact/hooks";

const LEEWAY_SECONDS = 2;

const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"] as const;

/**
 * Asks the API for nothing by itself while nobody is there: each call keeps the session, which is to
 * end when its person has gone. Nobody is there when nothing was touched for `seconds`; so a session
 * that ends `seconds` after its last call ends twice as long after its person went. `onGone` is called
 * then.
 */
export function useRestWhenLeftAlone(seconds: number, onGone: () => void): void {
  const gone = useRef(onGone);
  gone.current = onGone;
  useEffect(() => {
    let timer = 0;
    function rest(): void {
      focusManager.setFocused(false);
      timer = window.setTimeout(() => gone.current(), (seconds + LEEWAY_SECONDS) * 1000);
    }
    function touched(): void {
      // As the browser says: a hidden tab rests anyway.
      focusManager.setFocused(undefined);
      clearTimeout(timer);
      timer = window.setTimeout(rest, seconds * 1000);
    }
    touched();
    for (const sign of SIGNS) addEventListener(sign, touched, { passive: true });
    return () => {
      clearTimeout(timer);
      for (const sign of SIGNS) removeEventListener(sign, touched);
    };
  }, [seconds]);
}
