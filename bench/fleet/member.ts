/**
 * One process of the fleet: it calls through shared and unshared policies as it is told, and reports what it saw.
 *
 * A call on a policy that is shared locally has to end in the step in which it begins. It is run synchronously, so that a call that
 * waits is found by counting, at any speed of the machine.
 */
import { Effect, Exit, Layer, Logger, LogLevel, ManagedRuntime, Runtime, Stream } from "effect"
import { CircuitBreaker, RateLimiter } from "effect-resilience"
import { Share, SharedStore } from "effect-resilience/fleet"
import { RedisStore } from "effect-resilience/redis"
import type { Collected, News, Order, Setup, Sharing, Timed as TimedCall, Traffic } from "./messages.js"
import { cpuNanos } from "../measure.js"
import { partner, rate } from "./settings.js"

class Timed extends CircuitBreaker.Tag("Timed")<Timed>() {}
class Unshared extends CircuitBreaker.Tag("Unshared")<Unshared>() {}
class Asking extends CircuitBreaker.Tag("Asking")<Asking>() {}
class Local extends CircuitBreaker.Tag("Local")<Local>() {}
class Inline extends CircuitBreaker.Tag("Inline")<Inline>() {}
class Alone extends CircuitBreaker.Tag("Alone")<Alone>() {}
class Limited extends RateLimiter.Tag("Limited")<Limited>() {}

type Services = Timed | Unshared | Asking | Local | Inline | Alone | Limited

const now = (): number => Date.now()

/** What a store says of its health is told to the run instead. */
const quiet = Logger.minimumLogLevel(LogLevel.Error)

/** Between two looks at what there is to call. */
const tickMillis = 5

export const member = async ({ name, url }: Setup): Promise<void> => {
  // The run may have ended; then so does this process.
  const tell = (news: News): void => void process.send?.(news, undefined, undefined, () => {})
  const told = (sharing: Sharing) => ({
    onStateChange: ({ to }: CircuitBreaker.StateChange) =>
      Effect.sync(() => tell({ _tag: "Changed", sharing, to, at: now() }))
  })

  const policies = Layer.mergeAll(
    Timed.layer({ share: Share.local() }),
    Unshared.layer({}),
    Asking.layer({ share: Share.inline() }),
    Local.layer({ ...partner, ...told("local"), share: Share.local() }),
    Inline.layer({ ...partner, ...told("inline"), share: Share.inline() }),
    Alone.layer({ ...partner, ...told("alone") }),
    Limited.layer({ rate, share: Share.leasedRate() })
  )
  const managed = ManagedRuntime.make(
    Layer.provideMerge(policies, Layer.provide(RedisStore.layer({ url, instance: name }), quiet))
  )
  const runtime = await managed.runtime()
  const shared = await managed.runPromise(SharedStore.SharedStore)
  managed.runFork(
    Stream.runForEach(shared.changes, ({ _tag }) =>
      Effect.sync(() => tell({ _tag: "Health", health: _tag, at: now() }))
    )
  )

  let traffic: Traffic = { timed: 0, partner: 0, through: [], limited: 0 }
  let outage: number | undefined
  const fresh = () => ({
    shared: [] as Array<TimedCall>,
    unshared: [] as Array<TimedCall>,
    inline: [] as Array<number>,
    admitted: [] as Array<number>,
    waited: 0,
    asked: 0,
    offered: 0,
    late: 0
  })
  let seen = fresh()
  /** When each call began that has not ended. */
  const running = new Set<number>()

  /** Runs a call, and says whether it has ended in this step. One that waits is followed until it ends. */
  const isAtOnce = <A>(call: Effect.Effect<A, unknown, Services>, succeeded: () => void): boolean => {
    const exit = Runtime.runSyncExit(runtime)(call)
    if (Exit.isSuccess(exit)) succeeded()
    if (Exit.isSuccess(exit) || exit.cause._tag !== "Die") return true
    if (!Runtime.isAsyncFiberException(exit.cause.defect)) return true
    const startedAt = performance.now()
    running.add(startedAt)
    exit.cause.defect.fiber.addObserver((later) => {
      running.delete(startedAt)
      if (Exit.isSuccess(later)) succeeded()
    })
    return false
  }
  const timed = Timed.protect(Effect.void)
  const unshared = Unshared.protect(Effect.void)
  const measured = (call: typeof timed | typeof unshared): TimedCall => {
    const [startedAt, workedBefore] = [performance.now(), cpuNanos()]
    if (!isAtOnce(call, () => {})) seen.waited += 1
    return [(performance.now() - startedAt) * 1000, (cpuNanos() - workedBefore) / 1000]
  }
  /** Both, in random order, so that neither always pays for what the other left behind. */
  const both = (): void => {
    if (Math.random() < 0.5) {
      seen.shared.push(measured(timed))
      seen.unshared.push(measured(unshared))
    } else {
      seen.unshared.push(measured(unshared))
      seen.shared.push(measured(timed))
    }
  }

  const reach = (sharing: Sharing) =>
    Effect.suspend(() => {
      tell({ _tag: "Reached", sharing, at: now() })
      const fails = outage !== undefined && now() >= outage
      // Long enough for other probes to be out at the same time.
      return Effect.delay(fails ? Effect.fail("down") : Effect.void, "50 millis")
    })
  const calls = {
    local: Local.protect(reach("local")),
    inline: Inline.protect(reach("inline")),
    alone: Alone.protect(reach("alone"))
  }
  const callPartner = (sharing: Sharing): void => {
    const startedAt = performance.now()
    running.add(startedAt)
    Runtime.runFork(runtime)(calls[sharing]).addObserver(() => running.delete(startedAt))
  }
  const asking = Asking.protect(Effect.void)
  const ask = (): void => {
    const startedAt = performance.now()
    running.add(startedAt)
    Runtime.runFork(runtime)(asking).addObserver(() => {
      running.delete(startedAt)
      seen.inline.push((performance.now() - startedAt) * 1000)
    })
  }
  const limited = Limited.protect(Effect.void)

  let nextTimed = 0
  let nextPartner = 0
  let owed = 0
  let dueAt = performance.now() + tickMillis
  const tick = (): void => {
    const at = performance.now()
    const late = at - dueAt
    seen.late = Math.max(seen.late, late)
    dueAt = at + tickMillis
    setTimeout(tick, tickMillis)
    if (traffic.timed > 0 && at >= nextTimed) {
      nextTimed = at + traffic.timed
      both()
    }
    if (traffic.partner > 0 && at >= nextPartner) {
      nextPartner = at + traffic.partner * (0.5 + Math.random())
      for (const sharing of traffic.through) callPartner(sharing)
      if (traffic.timed > 0 && traffic.through.includes("inline")) ask()
    }
    owed = Math.min(traffic.limited, owed + ((late + tickMillis) / 1000) * traffic.limited)
    for (; owed >= 1; owed--) {
      seen.offered += 1
      if (!isAtOnce(limited, () => seen.admitted.push(now()))) seen.asked += 1
    }
  }
  tick()

  const collect = async (): Promise<Collected> => {
    const collected = seen
    seen = fresh()
    return {
      ...collected,
      hung: [...running].filter((startedAt) => performance.now() - startedAt > 5000).length,
      instances: await managed.runPromise(shared.instances)
    }
  }
  process.on("message", (order: Order) => {
    if (order._tag === "Traffic") traffic = order.traffic
    else if (order._tag === "Outage") outage = order.from
    else void collect().then((collected) => tell({ _tag: "Collected", ...collected }))
  })
  process.on("disconnect", () => void managed.dispose().then(() => process.exit(0)))
  tell({ _tag: "Ready" })
}
