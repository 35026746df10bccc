/** Runs a call of a client with what the observer of the program has around it, such as a span. */
import * as Effect from "effect/Effect"
import type * as Observer from "../../policy/Observer.js"
import { type Answer, type Call, responseOf } from "./call.js"
import { shown } from "./observedRequest.js"
import { knownIn, type Prepared, senderOf } from "./send.js"

export const runObserved = (
  observer: Observer.Service | undefined,
  call: Call,
  prepared: Prepared,
  run: (prepared: Prepared) => Answer
): Answer => {
  if (observer?.unsafeHttpCall === undefined) return call.run(run(prepared))
  const known = knownIn(prepared)
  // What is behind another client of ours is part of its call.
  if (known !== undefined && senderOf(known)?.isOver === false) return call.run(run(prepared))
  let request = known && shown(known)
  const operation = observer.unsafeHttpCall(request)
  if (operation === undefined) return call.run(run(prepared))
  const noted =
    known === undefined
      ? Effect.map(prepared, (ready) => {
          request = shown(ready)
          return ready
        })
      : prepared
  return call.run(operation.around(run(noted)), (exit) =>
    operation.unsafeEnded({ request, status: responseOf(exit)?.status, exit })
  )
}
