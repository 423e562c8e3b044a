import { createWords } from "./i18n.ts";
import { EN, type WordKey } from "./words-en.ts";
import { FR } from "./words-fr.ts";

/** The texts of the page itself and its charts; panels have their own. */
export const t = createWords<WordKey>({ en: EN, fr: FR });
