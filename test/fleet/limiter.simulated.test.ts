// What a fleet of limiters promises, in simulated fleets: see simulatedFleet.ts.
import { describe, expect, it } from "@effect/vitest"
import { divided, type OnStoreFailure } from "../../src/core/fleet/lease.js"
import { runs, show } from "../support/runs.js"
import { type Faults, mostIn, noFaults, type Options, simulate } from "./simulatedFleet.js"

const per = 1000

const leased = (limit: number, burst: number): Options["plan"] => ({
  limit,
  per,
  maxQueued: 1000,
  ...divided({ limit, per, burst })
})
const inline = (limit: number, burst: number): Options["plan"] => ({
  limit,
  per,
  burst,
  period: 0,
  hold: 0,
  local: Math.floor(burst / 4),
  most: burst,
  maxQueued: 1000
})

describe("at twice the demand of 50 processes, of which the first makes 50 times as many calls as the last", () => {
  const rows = [
    [1000, 0],
    [1000, 200],
    [100, 0],
    [100, 200]
  ] as const
  it.each(rows)("leases with a burst of %d and a wait of %d ms use 97 %% of the limit", (burst, maxWait) => {
    const { admissions, calls, trips } = simulate({
      seed: 1,
      plan: leased(1000, burst),
      onStoreFailure: "share",
      processes: 50,
      demand: 2,
      millis: 5000,
      faults: noFaults,
      maxWait
    })
    const used = admissions.filter(([at]) => at >= 1000).length / 4
    show([{ burst, maxWait, used, most: mostIn(admissions, 1000), trips: trips / calls }])
    expect(used).toBeGreaterThanOrEqual(970)
    expect(mostIn(admissions, 1000)).toBeLessThanOrEqual(1000 + burst)
    // With a tenth of a second as burst, a lease is for an eightieth.
    expect(trips / calls).toBeLessThan(burst === 1000 ? 0.3 : 0.8)
  })
})

const everything: Faults = {
  lost: 0.01,
  freezes: [0.06, 6000],
  pauses: [0.5, 2000],
  crashes: [0.2, 3000]
}

const check = (
  plan: Options["plan"],
  onStoreFailure: OnStoreFailure,
  seeds: number,
  options: Partial<Options> = {}
): void => {
  let most = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const { admissions, calls, waiting } = simulate({
      seed,
      plan,
      onStoreFailure,
      processes: 12,
      demand: 0.4,
      millis: 20_000,
      faults: everything,
      maxWait: seed % 2 === 0 ? 300 : 0,
      mostCost: 1 + (seed % 3),
      ...options
    })
    most = Math.max(most, mostIn(admissions, 1000))
    expect(most, `with the seed ${seed}`).toBeLessThanOrEqual(plan.limit + (plan.burst ?? 0) + rest(plan))
    // It was no fleet that does nothing, and none in which calls pile up.
    expect(admissions.length).toBeGreaterThan(100)
    expect(waiting).toBeLessThan(calls / 20)
  }
  show(
    `${onStoreFailure}: at most ${most} in a second, ${plan.limit + (plan.burst ?? 0) + rest(plan)} allowed`
  )
}

/** What the store does not grant of the burst. */
const rest = ({ hold, limit, local }: Options["plan"]): number =>
  hold === 0 ? 0 : local + Math.ceil((hold * limit) / per)

describe("a fleet never admits more than limit and burst in any second", () => {
  const rows = [
    ["share", 200],
    ["last", 200],
    ["reject", 200],
    ["reject", 40]
  ] as const
  it.each(rows)("with leases and %s (burst %d), whatever is lost, frozen, paused, crashed", (mode, burst) =>
    check(leased(200, burst), mode, runs(3, 200))
  )

  // A process that loses the store alone goes beyond it by its share, which such a burst has no room for.
  it.each(["share", "last"] as const)(
    "with leases and %s (burst 40), if the store is away for all at once",
    (mode) => check(leased(200, 40), mode, runs(3, 200), { faults: { ...everything, lost: 0 } })
  )

  it("when every call asks and is rejected without an answer, whatever is lost, frozen, paused, crashed", () =>
    check(inline(200, 40), "reject", runs(3, 100)))

  it.each(["share", "last"] as const)(
    "when every call asks, with %s, if the store is away for all at once",
    (mode) => check(inline(200, 40), mode, runs(3, 100), { faults: { ...everything, lost: 0 } })
  )
})
