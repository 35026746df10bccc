/** The clients of the platform over real sockets, each to be provided to one test, with a pool of its own. */
import { FetchHttpClient, HttpClient } from "@effect/platform"
import { NodeHttpClient, Undici } from "@effect/platform-node"
import { Effect, Layer, Option, Tracer } from "effect"

export interface TestClient {
  readonly name: string
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** Reuses a connection whose last answer was read to its end. */
  readonly keepsAlive: boolean
  /** An empty form that the client can send. */
  readonly makeForm: () => FormData
}

const makeForm = (): FormData => new FormData()

/** undici sends forms of its own class alone. */
const makeUndiciForm = (): FormData => new Undici.FormData() as FormData

/** The clients with their default pools. */
export const clients: ReadonlyArray<TestClient> = [
  { name: "fetch", layer: FetchHttpClient.layer, keepsAlive: true, makeForm },
  { name: "undici", layer: NodeHttpClient.layerUndici, keepsAlive: true, makeForm: makeUndiciForm },
  { name: "node:http", layer: NodeHttpClient.layer, keepsAlive: false, makeForm }
]

export interface PooledClient extends TestClient {
  /** Has no more than `poolSize` connections. */
  readonly bounded: boolean
}

/** How many connections the pools have. */
export const poolSize = 32

/**
 * The same with pools of a size, as far as they can be given one. A connection that is held for good is missed then by the
 * calls that come after.
 */
export const pools: ReadonlyArray<PooledClient> = [
  { name: "fetch", layer: FetchHttpClient.layer, keepsAlive: true, bounded: false, makeForm },
  {
    name: "a pool of undici",
    layer: Layer.provide(
      NodeHttpClient.layerUndiciWithoutDispatcher,
      Layer.scoped(
        NodeHttpClient.Dispatcher,
        Effect.acquireRelease(
          Effect.sync(() => new Undici.Agent({ connections: poolSize })),
          (agent) => Effect.promise(() => agent.destroy())
        )
      )
    ),
    keepsAlive: true,
    bounded: true,
    makeForm: makeUndiciForm
  },
  {
    name: "a pool of node:http",
    layer: Layer.provide(
      NodeHttpClient.layerWithoutAgent,
      NodeHttpClient.makeAgentLayer({ keepAlive: true, maxSockets: poolSize })
    ),
    keepsAlive: true,
    bounded: true,
    makeForm
  }
]

/** The same for TLS, where they trust this certificate. */
export const secureClients = (trust: {
  readonly ca: string
}): Readonly<Record<string, Layer.Layer<HttpClient.HttpClient>>> => {
  const agent = Effect.acquireRelease(
    Effect.sync(() => new Undici.Agent({ connect: trust })),
    (agent) => Effect.promise(() => agent.destroy())
  )
  const dispatcher = Layer.scoped(NodeHttpClient.Dispatcher, agent)
  return {
    fetch: Layer.provide(
      FetchHttpClient.layer,
      Layer.scoped(
        FetchHttpClient.Fetch,
        Effect.map(agent, (dispatcher): typeof fetch => (url, init) => {
          const withDispatcher: RequestInit & { dispatcher: unknown } = { ...init, dispatcher }
          return fetch(url, withDispatcher)
        })
      )
    ),
    undici: Layer.provide(NodeHttpClient.layerUndiciWithoutDispatcher, dispatcher),
    "node:http": Layer.provide(NodeHttpClient.layerWithoutAgent, NodeHttpClient.makeAgentLayer(trust))
  }
}

/** Counts the attempts that reach the client, including those that reach no server. */
export const counted = <E, R>(client: HttpClient.HttpClient.With<E, R>) => {
  let attempts = 0
  return {
    client: HttpClient.transform(client, (attempt) =>
      Effect.suspend(() => {
        attempts += 1
        return attempt
      })
    ),
    attempts: () => attempts
  }
}

/** A tracer that keeps what it is told, in the order in which the spans began. */
export const spans = () => {
  const all: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const ownLinks = [...links]
      let status: Tracer.SpanStatus = { _tag: "Started", startTime }
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        spanId: String(all.length + 1).padStart(16, "0"),
        traceId: Option.match(parent, { onNone: () => "1".padStart(32, "0"), onSome: (_) => _.traceId }),
        parent,
        context,
        get status() {
          return status
        },
        attributes,
        links: ownLinks,
        sampled: true,
        kind,
        end: (endTime, exit) => {
          status = { _tag: "Ended", startTime, endTime, exit }
        },
        attribute: (key, value) => void attributes.set(key, value),
        event: () => {},
        addLinks: (more) => void ownLinks.push(...more)
      }
      all.push(span)
      return span
    },
    context: (run) => run()
  })
  return {
    collect: Effect.withTracer(tracer),
    /** An attribute of each span that a client made, which is one for each attempt. */
    ofAttempts: (attribute: string) =>
      all.filter(({ kind }) => kind === "client").map(({ attributes }) => attributes.get(attribute))
  }
}
