import { useState } from "preact/hooks";
import type { Refusal } from "./api.ts";
import { Button } from "./components/button.tsx";
import { ApiText } from "./components/card.tsx";
import { Field } from "./components/field.tsx";
import { signIn } from "./store.ts";
import { t } from "./words.ts";

interface RefusalProps {
  readonly refusal: Refusal;
}

/** Asks for the token of the admin API. */
export function SignIn({ refusal }: RefusalProps) {
  const [given, give] = useState("");
  return (
    <section class="card alone" aria-labelledby="sign-in-title">
      <h1 id="sign-in-title">{t("signin.title")}</h1>
      <p>{t("signin.why")}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (given.trim() !== "") signIn(given.trim());
        }}
      >
        <Field
          label={t("signin.token")}
          name="token"
          kind="password"
          autocomplete="current-password"
          value={given}
          onInput={give}
          required
          autofocus
        />
        <p class="field-hint" role="status">
          <ApiText>{refusal.detail}</ApiText>
        </p>
        <Button type="submit" kind="primary" name="sign-in">
          {t("signin.act")}
        </Button>
      </form>
    </section>
  );
}

/** What the API said, as it is: only whoever runs it can change that. */
export function Refused({ refusal }: RefusalProps) {
  return (
    <section class="card alone" aria-labelledby="refused-title" data-refused={refusal.code}>
      <h1 id="refused-title">{t("refused.title")}</h1>
      <p>
        <ApiText>{refusal.title}</ApiText>
      </p>
      <p>{refusal.code === "no-flags" ? t("refused.noflags") : <ApiText>{refusal.detail}</ApiText>}</p>
    </section>
  );
}
