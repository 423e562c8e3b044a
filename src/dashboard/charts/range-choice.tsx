import { Choice } from "../components/field.tsx";
import { range, RANGES } from "../live/points.ts";
import { t } from "../words.ts";

/** How much time all charts show. */
export function RangeChoice() {
  return (
    <Choice
      quiet
      name="range"
      label={t("range")}
      value={range.value}
      options={RANGES.map((value) => ({ value, text: t(`range.${value}`) }))}
      onChoose={(value) => (range.value = value)}
    />
  );
}
