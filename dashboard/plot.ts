/** The plot of a card: rates of the last minutes. */
import uPlot from "uplot"
import { shownMillis } from "./history.js"
import { rate, type Series, seriesFor } from "./words.js"

/** The colours of the theme, read once for each theme. */
const colors = new Map<string, string>()

const color = (name: string): string => {
  const known = colors.get(name)
  if (known !== undefined) return known
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
  colors.set(name, value)
  return value
}

const plots = new Set<uPlot>()

/** Follows the theme. */
export const watchTheme = (): void => {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colors.clear()
    for (const plot of plots) plot.redraw(false)
  })
}

const font = '10px ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'

/** The least upper end of the vertical axis: a single call is not a mountain. */
const leastTop = 1

const nice = (top: number): number => {
  const power = 10 ** Math.floor(Math.log10(top))
  for (const step of [1, 2, 4, 5, 8, 10]) if (top <= step * power) return step * power
  return 10 * power
}

const fills: Partial<Record<Series, string>> = { good: "fill-good", bad: "fill-bad" }

const seriesNamed = (outcome: string): uPlot.Series => {
  const series = seriesFor(outcome)
  const fill = fills[series]
  return {
    label: outcome,
    stroke: () => color(`series-${series}`),
    width: 1.5,
    points: { show: false },
    ...(fill !== undefined && { fill: () => color(fill) })
  }
}

/** A plot of these outcomes: the one that there is, as long as it has the same, and none without outcomes. */
export const plotOf = (
  known: Plot | undefined,
  place: HTMLElement,
  outcomes: ReadonlyArray<string>,
  height: number
): Plot | undefined => {
  if (known?.outcomes.join() === outcomes.join()) return known
  known?.remove()
  return outcomes.length === 0 ? undefined : new Plot(place, outcomes, height)
}

export class Plot {
  private readonly plot: uPlot
  private width = 0

  constructor(
    private readonly place: HTMLElement,
    readonly outcomes: ReadonlyArray<string>,
    private readonly height: number
  ) {
    this.plot = this.make()
  }

  private make(): uPlot {
    this.width = this.place.clientWidth
    const plot = new uPlot(
      {
        width: Math.max(1, this.width),
        height: this.height,
        cursor: { show: false },
        legend: { show: false },
        select: { show: false, left: 0, top: 0, width: 0, height: 0 },
        padding: [6, 0, 0, 0],
        scales: {
          x: { time: false, range: (_, __, max) => [max - shownMillis / 1000, max] },
          y: { range: (_, __, max) => [0, nice(Math.max(leastTop, max || 0))] }
        },
        axes: [
          {
            size: 16,
            gap: 3,
            font,
            stroke: () => color("muted"),
            grid: { show: false },
            ticks: { show: false },
            splits: (_, __, ___, max) => [max - 120, max - 60],
            values: (_, splits) => splits.map((_, index) => (index === 0 ? "2 min ago" : "1 min ago"))
          },
          {
            side: 1,
            size: 32,
            gap: 4,
            font,
            stroke: () => color("muted"),
            grid: { stroke: () => color("hairline"), width: 1 },
            ticks: { show: false },
            splits: (_, __, ___, max) => [0, max / 2, max],
            values: (_, splits) => splits.map((value) => rate(value))
          }
        ],
        series: [{}, ...this.outcomes.map(seriesNamed)]
      },
      [[], ...this.outcomes.map(() => [])],
      this.place
    )
    plot.root.setAttribute("aria-hidden", "true")
    plots.add(plot)
    return plot
  }

  draw(rows: [Array<number>, ...Array<Array<number | null>>]): void {
    const width = this.place.clientWidth
    if (width > 0 && width !== this.width) {
      this.width = width
      this.plot.setSize({ width, height: this.height })
    }
    this.plot.setData(rows)
  }

  remove(): void {
    plots.delete(this.plot)
    this.plot.destroy()
  }
}
