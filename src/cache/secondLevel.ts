/**
 * The second level on the side of the cache: what it takes from another process, which calls it serves with that, and what it
 * publishes.
 * Only a `share` loads it.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Core from "../core/cache.js"
import type { Body } from "../internal/erased.js"
import { both, type Told } from "../internal/listeners.js"
import * as Time from "../internal/time.js"
import * as Wait from "../internal/wait.js"
import type { Flight } from "./flight.js"
import type { Brought, Engine, Link } from "./sharing.js"

type AnyLink = Pick<Link<unknown, unknown>, "find"> & { readonly counts: { fromStore: number } }

/** How long it may take until a value that was looked up stands in the store. */
const writtenWithin = 1000

/** What a lookup in flight comes to in a cache that is shared. */
export const search = (
  link: AnyLink,
  engine: Engine,
  flight: Flight,
  lookup: (key: unknown) => Body,
  clock: Clock.Clock
): Body => {
  const { key } = flight
  const { bounds, freshFor, softTimeout, timeToLive } = engine.parts
  const now = () => Time.monotonicMillis(clock)
  let isLookedUp = false
  let told: Told
  engine.lookups -= 1
  const sought = {
    key,
    lookup: Effect.suspend(() => {
      isLookedUp = true
      engine.lookups += 1
      return lookup(key)
    }),
    freshFor,
    newerThan: newerThan(engine, flight),
    isFresh: (value: unknown, age: number) => {
      const { millis } = engine.compute("timeToLive", () => timeToLive(Exit.succeed(value), key))
      return age < Math.min(millis, bounds.maxAge)
    },
    offer: (value: unknown, age: number, took: number) => {
      told = both(told, take(engine, flight, value, age, took, now()))
    }
  }
  const found = Effect.flatMap(link.find(sought), (brought) => {
    flight.age = brought.age
    flight.took = brought.took
    flight.finish = (exit, toldLast) => {
      const all = both(told, toldLast)
      const published = publish(engine, flight, brought, exit)
      return all === undefined ? published : Effect.zipRight(published, Effect.interruptible(all))
    }
    if (Exit.isSuccess(brought.exit) && !isLookedUp) link.counts.fromStore += 1
    return brought.exit
  })
  return Wait.withAlarm(found, softTimeout, () => dismiss(engine, flight, now()))
}

/** What is asked for is newer than the question; what is refreshed early, newer than what is there. */
const newerThan = ({ entries }: Engine, { key, reason, startedAt }: Flight): number => {
  if (reason === "asked") return startedAt
  const life = entries.get(key)?.stored?.life
  const isEarly = life !== undefined && Core.freshness(life, startedAt) === "fresh"
  return isEarly ? life.storedAt + writtenWithin : -Infinity
}

/** Takes an older value of another process while the lookup goes on. */
const take = (
  engine: Engine,
  flight: Flight,
  value: unknown,
  age: number,
  took: number,
  now: number
): Told => {
  const { key } = flight
  const { bounds, softTimeout, timeToLive } = engine.parts
  const exit = Exit.succeed(value) as Exit.Success<unknown, never>
  const found = engine.entries.get(key)
  const isNewer = found?.stored === undefined || found.stored.life.storedAt < now - age
  if (engine.flights.get(key) !== flight || !isNewer) return undefined
  const computed = engine.compute("timeToLive", () => timeToLive(exit, key))
  const life = Core.lifetime(bounds, computed.millis, took, now - age)
  if (Core.freshness(life, now) === "gone") return computed.told
  const { entry, told } = engine.entryOf(key, found)
  engine.put(entry, { exit, life }, now)
  if (now < life.revalidateUntil || now >= flight.startedAt + softTimeout) dismiss(engine, flight, now)
  return both(computed.told, told)
}

/** Ends the wait of callers that take what is stored. */
const dismiss = (engine: Engine, flight: Flight, now: number): void => {
  const stored = engine.entries.get(flight.key)?.stored
  if (stored === undefined || Core.freshness(stored.life, now) === "gone") return
  for (const waiter of [...flight.waiters]) if (!waiter.forced) engine.tire(flight, waiter)
}

/** Tells the other processes what was found, and forgets what was outdated by then. */
const publish = (
  { entries }: Engine,
  { current, key }: Flight,
  { publish }: Brought<unknown, unknown>,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> => {
  const stored = entries.get(key)?.stored
  const keptFor = stored?.exit === exit ? stored.life.keptUntil - stored.life.storedAt : 0
  return Effect.map(publish(current && Exit.isSuccess(exit) ? keptFor : undefined), (isNewest) => {
    const entry = entries.get(key)
    if (!isNewest && entry?.stored?.exit === exit) entries.remove(entry)
  })
}
