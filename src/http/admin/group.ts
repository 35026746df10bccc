/** The routes as a description, from which server, client and documentation are made. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Schema from "effect/Schema"
import type * as HttpAdmin from "./HttpAdmin.js"
import { AnyEntry } from "./entries.js"
import {
  ActionNotSupported,
  PolicyAmbiguous,
  PolicyNotFound,
  ReadingDenied,
  SteeringDenied
} from "./errors.js"
import { Action, Kind, PathName } from "./names.js"

export const Entry: Schema.Schema<HttpAdmin.Entry, typeof AnyEntry.Encoded> = AnyEntry

const Which = Schema.Struct({ kind: Schema.optional(Kind) })

export const group = HttpApiGroup.make("resilience")
  .add(HttpApiEndpoint.get("list", "/resilience").addSuccess(Schema.Array(Entry)).addError(ReadingDenied))
  .add(
    HttpApiEndpoint.get("get", "/resilience/:name")
      .setPath(Schema.Struct({ name: PathName }))
      .setUrlParams(Which)
      .addSuccess(Entry)
      .addError(ReadingDenied)
      .addError(PolicyNotFound)
      .addError(PolicyAmbiguous)
  )
  .add(
    HttpApiEndpoint.post("steer", "/resilience/:name/:action")
      .setPath(Schema.Struct({ name: PathName, action: Action }))
      .setUrlParams(Which)
      .addSuccess(Entry)
      .addError(SteeringDenied)
      .addError(PolicyNotFound)
      .addError(PolicyAmbiguous)
      .addError(ActionNotSupported)
  )
