/** The notification of a timeout, shared with a limit on what follows the call. */
import type { Told } from "../internal/listeners.js"
import { ofCall } from "../policy/events.js"
import type * as Timeout from "./Timeout.js"

const emitter = /*#__PURE__*/ ofCall<Timeout.Event>({ Timeout: "heard" })

export const telling = <E, R>(
  name: string,
  listeners: Pick<Timeout.Options<never, never, E, R>, "onTimeout">
): ((error: Timeout.TimeoutExceeded) => Told<E, R>) => {
  const emit = emitter({ kind: "timeout", name }, listeners)
  return (error) => {
    const { elapsed, limit, stalled } = error
    const fields = { limit, elapsed, ...(stalled === undefined ? {} : { stalled }) }
    return emit.Timeout?.({ ...fields, error }) as Told<E, R>
  }
}
