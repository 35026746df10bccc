/** The live clock with timers of the host that do not wait: real forms, virtual time. */
import { vi } from "@effect/vitest"
import { liveClock } from "../../src/internal/time.js"

/** Runs something to its end. All timers that it sets fire in their order, at once. */
export const runLive = async <A>(run: () => Promise<A>): Promise<A> => {
  vi.useFakeTimers({
    now: 0,
    toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "Date"]
  })
  // Effect has kept the host's monotonic time from before.
  const monotonic = vi.spyOn(liveClock, "unsafeCurrentTimeNanos")
  monotonic.mockImplementation(() => BigInt(Date.now()) * 1_000_000n)
  try {
    const running = run()
    await vi.runAllTimersAsync()
    return await running
  } finally {
    monotonic.mockRestore()
    vi.useRealTimers()
  }
}
