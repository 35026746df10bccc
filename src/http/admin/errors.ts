/** The errors of the admin routes, each with its status, typed for the client. */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { quoted } from "../../internal/quoted.js"
import { Action, Kind } from "./names.js"

/**
 * No policy has this name (and this kind, where one was asked for). Status 404.
 *
 * @since 0.1.0
 * @category errors
 */
export class PolicyNotFound extends Schema.TaggedError<PolicyNotFound>(
  "effect-resilience/HttpAdmin/PolicyNotFound"
)(
  "PolicyNotFound",
  { name: Schema.String, kind: Schema.optional(Kind) },
  HttpApiSchema.annotations({ status: 404, description: "No policy has this name" })
) {
  override get message(): string {
    return `no ${this.kind ?? "policy"} is called ${quoted(this.name)}`
  }
}

/**
 * Several policies have this name. A `kind` tells policies of different kinds apart. Status 409.
 *
 * @since 0.1.0
 * @category errors
 */
export class PolicyAmbiguous extends Schema.TaggedError<PolicyAmbiguous>(
  "effect-resilience/HttpAdmin/PolicyAmbiguous"
)(
  "PolicyAmbiguous",
  {
    name: Schema.String,
    /** The kind of each policy of this name. */
    kinds: Schema.Array(Kind)
  },
  HttpApiSchema.annotations({ status: 409, description: "Several policies have this name" })
) {
  override get message(): string {
    return `several policies are called ${quoted(this.name)}: ${this.kinds.join(", ")}`
  }
}

/**
 * Steering is off (`disabled`), a browser sent the request for a page of another origin (`cross-site`), or the hook did not allow the
 * action (`unauthorized`). Nothing was done. Status 403.
 *
 * @since 0.1.0
 * @category errors
 */
export class SteeringDenied extends Schema.TaggedError<SteeringDenied>(
  "effect-resilience/HttpAdmin/SteeringDenied"
)(
  "SteeringDenied",
  { name: Schema.String, action: Action, reason: Schema.Literal("disabled", "cross-site", "unauthorized") },
  HttpApiSchema.annotations({ status: 403, description: "The action is not allowed" })
) {
  override get message(): string {
    const what = `"${this.action}" of ${quoted(this.name)}`
    switch (this.reason) {
      case "disabled":
        return `policies cannot be steered here, so ${what} was not done`
      case "cross-site":
        return `a page of another origin asked for ${what}, so it was not done`
      case "unauthorized":
        return `${what} is not allowed`
    }
  }
}

/**
 * The hook did not allow reading. Status 403.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReadingDenied extends Schema.TaggedError<ReadingDenied>(
  "effect-resilience/HttpAdmin/ReadingDenied"
)("ReadingDenied", {}, HttpApiSchema.annotations({ status: 403, description: "Policies may not be read" })) {
  override get message(): string {
    return "policies may not be read"
  }
}

/**
 * The policy cannot do this. Status 409.
 *
 * @since 0.1.0
 * @category errors
 */
export class ActionNotSupported extends Schema.TaggedError<ActionNotSupported>(
  "effect-resilience/HttpAdmin/ActionNotSupported"
)(
  "ActionNotSupported",
  {
    name: Schema.String,
    kind: Kind,
    action: Action,
    /** What the policy can do. */
    supported: Schema.Array(Action)
  },
  HttpApiSchema.annotations({ status: 409, description: "The policy cannot do this" })
) {
  override get message(): string {
    return `a ${this.kind} such as ${quoted(this.name)} has no "${this.action}"`
  }
}
