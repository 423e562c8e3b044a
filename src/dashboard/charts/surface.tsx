import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";

interface SurfaceProps {
  /** What is drawn, in words, with its present values. */
  readonly label: string;
  readonly height: number;
  /** Makes the plot; called once. */
  readonly create: (width: number, height: number, target: HTMLElement) => uPlot;
  /** Reads signals and gives the plot what to draw; called when one of them changed, the drawing is due, and somebody can see it. */
  readonly feed: (plot: uPlot) => void;
  /** Signals on which the drawing depends. */
  readonly follows: () => void;
}

/**
 * A plot on the page: made once, fed for ever. Nothing is drawn while the tab is hidden (the browser then gives no frames) or the plot is out
 * of sight; what was left out is drawn when it comes back.
 */
export function Surface({ label, height, create, feed, follows }: SurfaceProps) {
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef({ create, feed, follows });
  latest.current = { create, feed, follows };
  const redraw = useRef<() => void>(() => undefined);
  useEffect(() => {
    const target = box.current;
    if (target === null) return undefined;
    const plot = latest.current.create(Math.max(1, target.clientWidth), height, target);
    let frame = 0;
    let isDue = true;
    let isSeen = false;
    const ask = (): void => {
      isDue = true;
      if (frame === 0 && isSeen) frame = requestAnimationFrame(draw);
    };
    const draw = (): void => {
      frame = 0;
      isDue = false;
      latest.current.feed(plot);
    };
    redraw.current = ask;
    const stop = effect(() => {
      latest.current.follows();
      ask();
    });
    const sight = new IntersectionObserver(
      (entries) => {
        isSeen = entries.at(-1)?.isIntersecting ?? false;
        if (isSeen && isDue) ask();
      },
      { rootMargin: "100px" },
    );
    sight.observe(target);
    const size = new ResizeObserver(() => {
      const width = Math.max(1, target.clientWidth);
      if (width !== plot.width) plot.setSize({ width, height });
    });
    size.observe(target);
    return () => {
      stop();
      sight.disconnect();
      size.disconnect();
      cancelAnimationFrame(frame);
      plot.destroy();
    };
  }, [height]);
  // What the component was given anew (limits, words) may change the picture as well.
  useEffect(() => redraw.current());
  return <div ref={box} class={`plot plot-${height}`} role="img" aria-label={label} />;
}
