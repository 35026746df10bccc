/** The routes for probes as a description, from which server, client and documentation are made. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import type * as HttpHealth from "./HttpHealth.js"

const Reason = Schema.Struct({
  kind: Schema.String,
  name: Schema.String,
  state: Schema.String,
  health: Schema.Literal("degraded", "down"),
  reason: Schema.String
})

const fields = {
  status: Schema.Literal("up", "degraded", "down"),
  reasons: Schema.Array(Reason),
  /** How many reasons were left out. */
  more: Schema.optional(Schema.NonNegativeInt)
}

export const Report: Schema.Schema<HttpHealth.Report> = Schema.Struct(fields)

/**
 * The program is down, or its server is draining. Status 503.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotReady extends Schema.TaggedError<NotReady>("effect-resilience/HttpHealth/NotReady")(
  "NotReady",
  fields,
  HttpApiSchema.annotations({ status: 503, description: "The program should get no requests" })
) {
  override get message(): string {
    const [first] = this.reasons
    return first === undefined ? "not ready" : `not ready: ${first.kind} is ${first.state}`
  }
}

export const group = HttpApiGroup.make("health")
  .add(HttpApiEndpoint.get("health", "/health").addSuccess(Report))
  .add(HttpApiEndpoint.get("ready", "/ready").addSuccess(Report).addError(NotReady))
