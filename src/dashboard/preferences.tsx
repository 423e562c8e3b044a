import { useRef } from "preact/hooks";
import { LANGUAGES } from "../incidents/incident.ts";
import { Button } from "./components/button.tsx";
import { Choice } from "./components/field.tsx";
import { chooseLanguage, language } from "./i18n.ts";
import { signIn, token } from "./store.ts";
import { chooseTheme, theme, THEMES } from "./theme.ts";
import { t } from "./words.ts";

/** Each in its own words, so whoever cannot read the page finds his. */
const NAMES = { en: "English", fr: "Français" } as const;

export function Preferences() {
  const element = useRef<HTMLDetailsElement>(null);
  const close = (): void => element.current?.removeAttribute("open");
  return (
    // It closes when one leaves it, by whatever way.
    <details
      ref={element}
      class="preferences"
      onFocusOut={({ relatedTarget }) => {
        if (relatedTarget instanceof Node && element.current?.contains(relatedTarget) !== true) close();
      }}
      onKeyDown={({ key }) => {
        if (key !== "Escape") return;
        close();
        element.current?.querySelector("summary")?.focus();
      }}
    >
      <summary class="button button-quiet" aria-label={t("preferences")}>
        <span aria-hidden="true">⚙</span>
      </summary>
      <div class="preferences-body">
        <Choice
          name="language"
          label={t("language")}
          value={language.value}
          options={LANGUAGES.map((value) => ({ value, text: NAMES[value] }))}
          onChoose={chooseLanguage}
        />
        <Choice
          name="theme"
          label={t("theme")}
          value={theme.value}
          options={THEMES.map((value) => ({ value, text: t(`theme.${value}`) }))}
          onChoose={chooseTheme}
        />
        {token.value === undefined ? null : (
          <Button onPress={() => signIn(undefined)} name="sign-out">
            {t("signin.out")}
          </Button>
        )}
      </div>
    </details>
  );
}
