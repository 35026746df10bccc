/** Waiting for what a server has seen, and finding what is left over. */
import { Effect, Supervisor } from "effect"
import { until } from "../../support/until.js"
import type { Seen, Sockets, TestServer } from "./servers.js"

/** Waits until the server has seen so many whole requests. */
export const arrived = ({ seen }: TestServer, requests: number): Effect.Effect<unknown> =>
  until(
    Effect.sync(() => seen.filter(({ whole }) => whole).length),
    (count) => count >= requests
  )

/** Waits until these are the outcomes of the requests that a server has seen, in their order. */
export const outcomes = (
  { seen }: TestServer,
  ...wanted: ReadonlyArray<Seen["outcome"]>
): Effect.Effect<unknown> =>
  until(
    Effect.sync(() => seen.map(({ outcome }) => outcome).join()),
    (now) => now === wanted.join()
  )

/** The sockets of a server when nothing is busy any more and their number has stopped changing. */
export const settled = ({ sockets }: TestServer): Effect.Effect<Sockets> => {
  let before: Sockets = { accepted: -1, open: -1, busy: -1 }
  let same = 0
  return until(sockets, (now) => {
    same = now.busy === 0 && now.open === before.open && now.accepted === before.accepted ? same + 1 : 0
    before = now
    return same >= 5
  })
}

/** Sees every fiber that is started inside `watch`, daemons and those of callbacks included. */
export const watchFibers = Effect.map(Supervisor.track, (supervisor) => ({
  watch: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.supervised(self, supervisor),
  /** The ids of those that have not ended. */
  alive: Effect.map(supervisor.value, (fibers) => fibers.map((fiber) => fiber.id().id))
}))
