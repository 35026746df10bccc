/** Reads a policy as explanations take it. */
import * as Effect from "effect/Effect"
import * as Stateful from "../policy/stateful.js"
import type * as Explain from "./Explain.js"

/** A policy with its snapshot under a name, if it has a state of its own. */
export const shownOf = (
  instance: Explain.Explained["instance"],
  name = instance?.name
): Effect.Effect<Explain.Shown> | undefined => {
  const stateful = Stateful.kindOf(instance)
  if (instance === undefined || stateful === undefined) return undefined
  const { kind, snapshot } = instance
  // The kind says which snapshot and which states belong to it.
  return Effect.map(
    snapshot,
    (snapshot) => ({ kind, name, state: stateful.status(snapshot as never), snapshot }) as Explain.Shown
  )
}
