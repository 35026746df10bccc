/** Figures and goals of the run, as they are found. */
import { Effect } from "effect"

export interface Report {
  /** Shows a figure that depends on the machine, or that is only of interest. */
  readonly figure: (name: string, found: string) => Effect.Effect<void>
  /** Shows a goal; a missed one makes the run fail. */
  readonly goal: (name: string, holds: boolean, found: string) => Effect.Effect<void>
  readonly missed: () => number
}

export const make = (write: (line: string) => void): Report => {
  let missed = 0
  const line = (mark: string, name: string, found: string) =>
    Effect.sync(() => write(`${mark.padEnd(8)}${name.padEnd(76)}  ${found}`))
  return {
    figure: (name, found) => line("", name, found),
    goal: (name, holds, found) => {
      if (!holds) missed += 1
      return line(holds ? "ok" : "MISSED", name, found)
    },
    missed: () => missed
  }
}

/** The value that a share of all values does not exceed. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN
}

/** The most instants in any time of a length, all ends included once. */
export const mostWithin = (instants: ReadonlyArray<number>, length: number): number => {
  const sorted = [...instants].sort((left, right) => left - right)
  let from = 0
  let most = 0
  sorted.forEach((instant, index) => {
    while (sorted[from] <= instant - length) from++
    most = Math.max(most, index - from + 1)
  })
  return most
}

/** Instants in groups: a new group begins after a pause. */
export const groupsOf = (
  instants: ReadonlyArray<number>,
  pause: number
): ReadonlyArray<ReadonlyArray<number>> => {
  const groups: Array<Array<number>> = []
  let last = -Infinity
  for (const instant of [...instants].sort((left, right) => left - right)) {
    if (instant - last > pause) groups.push([])
    groups[groups.length - 1].push(instant)
    last = instant
  }
  return groups
}

/** Milliseconds or microseconds, as they are read best. */
export const time = (micros: number): string =>
  micros >= 1e6
    ? `${(micros / 1e6).toFixed(2)} s`
    : micros >= 1000
      ? `${(micros / 1000).toFixed(1)} ms`
      : `${micros.toFixed(0)} us`
