/** The attribute `error.type`: what failed, in a word that has few values. Source: OpenTelemetry semantic conventions, `error.type`. */
import type * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type * as FailureCondition from "../policy/FailureCondition.js"
import { failed } from "../policy/condition.js"

/** For an error without a name. */
const other = "_OTHER"

const nameOf = (error: unknown): string => {
  if (Predicate.hasProperty(error, "_tag") && typeof error._tag === "string") return error._tag
  return error instanceof Error ? error.name : other
}

/** A status of HTTP from 400 on is an error for a client. */
export const ofStatus = (status: unknown): string | undefined =>
  typeof status === "number" && status >= 400 ? String(status) : undefined

/** Of a failure. A result is known by its status, if it has one. */
export const ofFailure = (
  failure: FailureCondition.Failed<unknown, unknown> | undefined
): string | undefined => {
  switch (failure?._tag) {
    case undefined:
      return undefined
    case "Error":
      return nameOf(failure.error)
    case "Defect":
      return nameOf(failure.defect)
    case "Result":
      return Predicate.hasProperty(failure.result, "status") ? ofStatus(failure.result.status) : undefined
  }
}

/** Of an exit: `Interrupted` for an interruption, nothing for a success. */
export const ofExit = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  exit._tag === "Success" ? undefined : (ofFailure(failed(exit)) ?? "Interrupted")
