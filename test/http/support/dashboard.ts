/** The dashboard on a real server, and Chromium to look at it. */
import { HttpRouter, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import type { Registry } from "effect-resilience/observability"
import { createServer } from "node:http"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import * as HttpDashboard from "../../../src/http/dashboard/HttpDashboard.js"

let browser: Promise<Browser> | undefined

/** One browser for all tests of a worker. */
const launched = (): Promise<Browser> =>
  (browser ??= chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    // A container has neither user namespaces nor much shared memory.
    args: ["--no-sandbox", "--disable-dev-shm-usage"]
  }))

export const closeBrowser = async (): Promise<void> => {
  const running = await browser
  browser = undefined
  await running?.close()
}

/** Serves the dashboard at `/ops/dashboard` until the scope ends. Returns the port. */
export const serve = (
  options: HttpDashboard.Options = {},
  port = 0
): Effect.Effect<number, never, Registry.Registry | Scope.Scope> =>
  Effect.gen(function* () {
    const server = Context.get(
      yield* Layer.build(Layer.orDie(NodeHttpServer.layer(createServer, { port }))),
      HttpServer.HttpServer
    )
    const dashboard = yield* HttpDashboard.router(options)
    const routes = HttpRouter.mount(HttpRouter.empty, "/ops", dashboard)
    yield* Effect.provideService(HttpServer.serveEffect(routes), HttpServer.HttpServer, server)
    assert(server.address._tag === "TcpAddress")
    return server.address.port
  })

/** A step in the browser. */
export const step = <A>(run: () => Promise<A>): Effect.Effect<A> => Effect.promise(run)

/** A page that shows the dashboard. Whatever the browser reports as an error fails the test, such as a violation of the policy. */
export const open = (
  port: number,
  options: BrowserContextOptions = {},
  hash = ""
): Effect.Effect<Page, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.acquireRelease(
      step(async () => (await launched()).newContext({ viewport: { width: 1280, height: 900 }, ...options })),
      (context) => step(() => context.close())
    )
    const page = yield* step(() => context.newPage())
    const errors: Array<string> = []
    page.on("pageerror", (error) => errors.push(String(error)))
    page.on("console", (message) => {
      // That a server is away is shown by the page, and reported by the browser besides.
      if (message.type() === "error" && !message.text().includes("Failed to load resource"))
        errors.push(message.text())
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => assert.deepStrictEqual(errors, [])))
    yield* step(() => page.goto(`http://localhost:${port}/ops/dashboard${hash}`))
    return page
  })

/** {@link serve} and {@link open}. */
export const shown = (options?: HttpDashboard.Options, context?: BrowserContextOptions) =>
  Effect.flatMap(serve(options), (port) => open(port, context))
