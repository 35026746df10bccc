/** The policies that alerts and dashboards are made for: those of a registry, or of a list in which there may be pipelines. */
import * as Effect from "effect/Effect"
import { InvalidOption, isList } from "../core/options.js"
import { partsOf } from "../policy/describe.js"
import type * as Policy from "../policy/Policy.js"
import * as Registry from "./Registry.js"

export interface Present {
  readonly kind: string
  /** What the label `policy` says. */
  readonly name: string
}

/** A policy, a pipeline, or anything else that has the kind and name of one. */
export interface Source extends Present {
  readonly settings?: Policy.Settings | undefined
}

/** The policies in a list, each kind and name once. The parts of a pipeline take its place. */
export const listed = (caller: string, policies: ReadonlyArray<Source>): ReadonlyArray<Present> => {
  if (!isList(policies)) throw new InvalidOption(caller, "policies", policies, "a list of policies")
  const found = new Map<string, Present>()
  const left: Array<Source> = policies.slice().reverse()
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { kind, name, settings = {} } = Object(next) as Partial<Source>
    if (typeof kind !== "string" || typeof name !== "string")
      throw new InvalidOption(caller, "policies", next, "a list of policies, each with a kind and a name")
    const parts = partsOf({ kind, name, settings })
    if (parts !== undefined) left.push(...parts.slice().reverse())
    else found.set(JSON.stringify([kind, name]), { kind, name })
  }
  return [...found.values()]
}

/** The policies in the registry. The instances of a keyed policy are one. */
export const registered = (caller: string): Effect.Effect<ReadonlyArray<Present>, never, Registry.Registry> =>
  Effect.flatMap(Registry.Registry, ({ all }) =>
    Effect.map(all, (entries) => {
      const policies = entries.map(({ family, kind }) => ({ kind, name: family }))
      return listed(caller, policies)
    })
  )
