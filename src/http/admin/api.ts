/** What an `HttpApi` of a user has to do with a group of this library, in types. */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import type * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"

type AnyGroup = HttpApiGroup.HttpApiGroup.Any

type NameOf<E extends HttpApiEndpoint.HttpApiEndpoint.Any> = HttpApiEndpoint.HttpApiEndpoint.Name<E>

/** An api in which there is the group with its endpoints, or else a message for the compiler to show. */
export type WithGroup<Groups extends AnyGroup, Group extends AnyGroup, Message extends string> = [
  NameOf<HttpApiGroup.HttpApiGroup.Endpoints<Group>>
] extends [NameOf<HttpApiGroup.HttpApiGroup.EndpointsWithName<Groups, HttpApiGroup.HttpApiGroup.Name<Group>>>]
  ? unknown
  : Message

/** What the middlewares of an api and of its group of a name provide. */
export type ProvidedIn<Groups extends AnyGroup, ApiR, Name extends string> =
  | HttpApiMiddleware.HttpApiMiddleware.ExtractProvides<ApiR>
  | HttpApiGroup.HttpApiGroup.Provides<HttpApiGroup.HttpApiGroup.WithName<Groups, Name>>
