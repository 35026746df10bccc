/** The operations of the store as calls of its scripts: their keys, arguments and answers. */
import * as Effect from "effect/Effect"
import { isState } from "../../core/circuit.js"
import {
  type Announcement,
  type Answer,
  type Found,
  longestMillis,
  type News,
  type Report,
  type Taken,
  type View
} from "../../core/fleet/table.js"
import type { Adapter } from "../../fleet/SharedStore.js"
import { type Connection, follow } from "./connection.js"
import { encoded, type Keys } from "./keys.js"
import * as scripts from "./scripts.js"

export const adapterOf = (connection: Connection, keys: Keys, channel: string): Adapter => {
  const run = <A>(
    script: scripts.Script,
    key: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>,
    read: (reply: Reply) => A
  ) => Effect.map(connection.run(script, key, args.map(String)), (reply) => read(listOf(reply)))

  return {
    exchange: (news) =>
      run(scripts.exchange, exchangeKeys(keys, news), exchangeArguments(news, channel), (reply) =>
        answerOf(news, reply)
      ),
    take: ({ atLeast, burst, id, limit, per, permits, receipt = "", spent }) =>
      run(scripts.take, [keys.rate(id)], [limit, per, burst, permits, atLeast, spent, receipt], takenOf),
    read: ({ holder, key, staleAfter, timeToLive }) =>
      run(
        scripts.read,
        [keys.value(key)],
        [staleAfter, Math.min(timeToLive, longestMillis), packed(holder)],
        foundOf
      ),
    write: ({ key, lease = "", timeToLive, value }) =>
      run(
        scripts.write,
        [keys.value(key)],
        [lease, value === undefined ? "" : packed(value), Math.min(timeToLive, longestMillis)],
        ([stored]) => stored === 1
      ),
    release: (key, holder) => run(scripts.release, [keys.value(key)], [packed(holder)], () => undefined),
    follow: (listener, again) =>
      Effect.suspend(() => {
        connection.again = again
        return follow(connection, channel, (message) => {
          const announcement = announcementOf(message)
          if (announcement !== undefined) listener(announcement)
        })
      })
  }
}

// ----------------------------------------------------------------------------------------------------------- arguments

const exchangeKeys = (keys: Keys, { instance, reports }: News): ReadonlyArray<string> => [
  keys.living,
  keys.sequence(instance),
  ...reports.flatMap(({ id }) => keys.breaker(id))
]

const exchangeArguments = (news: News, channel: string): ReadonlyArray<string | number> => [
  encoded(news.instance),
  news.incarnation,
  news.sequence,
  news.timeToLive,
  channel,
  ...news.reports.flatMap(reportArguments)
]

/** Which parts a report has, as letters, and then those in this order. */
const reportArguments = (report: Report): ReadonlyArray<string | number> => {
  const { change, failures, id, probe, settings, settled = [], slow, successes, window } = report
  let letters = ""
  const parts: Array<string | number> = []
  if (successes > 0 || failures > 0 || slow > 0) {
    letters += "e"
    parts.push(successes, failures, slow, window)
  }
  if (settled.length > 0) {
    letters += "d"
    parts.push(settled.length)
    for (const { generation, lease, outcome } of settled) parts.push(generation, lease, outcome)
  }
  if (settings !== undefined || change !== undefined) parts.push(packed(id))
  if (settings !== undefined) {
    letters += "s"
    parts.push(packed(settings))
  }
  if (change !== undefined) {
    letters += "c"
    parts.push(change.state, change.remaining, change.expected ?? "")
  }
  if (probe !== undefined) {
    letters += "p"
    parts.push(probe.generation, probe.permits, probe.timeToLive)
  }
  return [letters, ...parts]
}

// Redis gets UTF-8, which has no half of a surrogate pair: a text with one is sent as JSON.
const packed = (text: string): string =>
  /\p{Surrogate}/u.test(text) ? `j${JSON.stringify(text)}` : `=${text}`

const unpacked = (value: unknown): string => {
  const text = String(value)
  return text.startsWith("j") ? String(JSON.parse(text.slice(1))) : text.slice(1)
}

// ------------------------------------------------------------------------------------------------------------- answers

type Reply = ReadonlyArray<unknown>

const listOf = (reply: unknown): Reply => (Array.isArray(reply) ? reply : [reply])

const maybe = <A>(value: unknown, read: (value: unknown) => A): A | undefined =>
  value === null || value === undefined || value === "" ? undefined : read(value)

const answerOf = ({ reports }: News, [instances, ...views]: Reply): Answer => ({
  instances: Number(instances),
  views: reports.map(({ id }, index) => viewOf(id, listOf(views[index])))
})

const viewOf = (id: string, reply: Reply): View => {
  const [epoch, successes, failures, slow, failing, generation, state, remaining, settings, version] = reply
  const [lease, worked, failed, run] = reply.slice(10)
  if (!isState(state)) throw new Error(`the store knows a state that this release does not: ${String(state)}`)
  return {
    id,
    epoch: Number(epoch),
    successes: Number(successes),
    failures: Number(failures),
    slow: Number(slow),
    failing: Number(failing),
    run: Number(run),
    generation: Number(generation),
    state,
    remaining: Number(remaining),
    settings: maybe(settings, unpacked),
    settingsVersion: Number(version),
    lease: maybe(lease, Number),
    probes: { successes: Number(worked), failures: Number(failed) }
  }
}

/** Any client may publish on a channel, so a message may be anything. */
const announcementOf = (message: string): Announcement | undefined => {
  try {
    const [label, generation, state, remaining, settings, version] = listOf(JSON.parse(message))
    if (typeof label !== "string" || !isState(state)) return undefined
    const announcement = {
      id: unpacked(label),
      generation: Number(generation),
      state,
      remaining: Number(remaining),
      settings: maybe(settings, unpacked),
      settingsVersion: Number(version)
    }
    return isSound(announcement) ? announcement : undefined
  } catch {
    return undefined
  }
}

const isSound = ({ generation, remaining, settingsVersion }: Announcement): boolean =>
  Number.isSafeInteger(generation) && Number.isSafeInteger(settingsVersion) && remaining >= 0

const takenOf = ([granted, remaining, retryAfter, resetAfter, receipt]: Reply): Taken => ({
  granted: Number(granted),
  remaining: Number(remaining),
  retryAfter: Number(retryAfter),
  resetAfter: Number(resetAfter),
  receipt: String(receipt)
})

const foundOf = ([value, age, lease, busyFor]: Reply): Found => ({
  found: maybe(value, (text) => ({ value: unpacked(text), age: Number(age) })),
  lease: maybe(lease, Number),
  busyFor: Number(busyFor)
})
