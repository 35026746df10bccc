/** The messages on their way to a fiber, which Effect keeps private; none where they cannot be read. */
import type * as Fiber from "effect/Fiber"

/** Whether something waits for the next step of a fiber that runs, such as its interruption. */
export const hasMessages = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean => {
  const { _queue } = fiber as { readonly _queue?: ReadonlyArray<unknown> }
  return _queue !== undefined && _queue.length > 0
}
