/** What a browser keeps for this page. Where it may keep nothing (private windows, policies), the page goes on without. */

export function recall(key: string): string | undefined {
  return attempt(() => localStorage.getItem(key) ?? undefined);
}

export function remember(key: string, value: string): void {
  attempt(() => localStorage.setItem(key, value));
}

/** Until the tab is closed. */
export function recallHere(key: string): string | undefined {
  return attempt(() => sessionStorage.getItem(key) ?? undefined);
}

/** Until the tab is closed; undefined forgets it. */
export function rememberHere(key: string, value: string | undefined): void {
  attempt(() => (value === undefined ? sessionStorage.removeItem(key) : sessionStorage.setItem(key, value)));
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
