// The example over real sockets: what the partner does, and what clients of the service get.
import { assert, describe, it } from "@effect/vitest"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { appOf } from "./app.js"
import { partnerAt } from "./partner.js"

const listening = (server: Server): Promise<string> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  })

interface Settings {
  readonly atOnce?: number
  readonly limit?: Parameters<typeof partnerAt>[1]
}

/** A service whose partner answers like this, for as long as a test runs. */
const withService = async (
  partner: RequestListener,
  test: (url: string) => Promise<void>,
  { atOnce, limit }: Settings = {}
): Promise<void> => {
  const upstream = createServer(partner)
  const service = createServer(appOf(partnerAt(await listening(upstream), limit), atOnce))
  try {
    await test(await listening(service))
  } finally {
    for (const server of [service, upstream]) {
      server.closeAllConnections()
      server.close()
    }
  }
}

const get = async (url: string) => {
  const response = await fetch(url)
  const retryAfter = response.headers.get("retry-after")
  const body = await response.json()
  return { status: response.status, body, ...(retryAfter !== null && { retryAfter }) }
}

describe("the service", () => {
  it("passes the partner's offer on", () =>
    withService(
      (request, response) => response.end(JSON.stringify({ id: request.url, price: 3 })),
      async (url) => {
        assert.deepStrictEqual(await get(`${url}/offers/a%2Fb`), {
          status: 200,
          body: { id: "/offers/a%2Fb", price: 3 }
        })
        assert.deepStrictEqual(await get(`${url}/circuit`), { status: 200, body: { circuit: "closed" } })
      }
    ))

  it("answers 404 for an offer that the partner does not have, and asks once", () => {
    let asked = 0
    return withService(
      (_, response) => {
        asked++
        response.writeHead(404).end()
      },
      async (url) => {
        assert.deepStrictEqual(await get(`${url}/offers/1`), {
          status: 404,
          body: { error: "no such offer" }
        })
        assert.strictEqual(asked, 1)
      }
    )
  })

  it("tries again once, and opens the circuit of a partner that fails", () => {
    let asked = 0
    return withService(
      (_, response) => {
        asked++
        response.writeHead(500).end()
      },
      async (url) => {
        const failed = { status: 502, body: { error: "the partner answered 500" } }
        assert.deepStrictEqual(await get(`${url}/offers/1`), failed)
        assert.strictEqual(asked, 2)
        assert.deepStrictEqual(await get(`${url}/offers/2`), failed)
        const rejected = await get(`${url}/offers/3`)
        assert.strictEqual(rejected.status, 503)
        assert.match(rejected.retryAfter ?? "", /^1[0-5]$/)
        assert.strictEqual(asked, 4)
        assert.deepStrictEqual((await get(`${url}/circuit`)).body, { circuit: "open" })
      }
    )
  })

  it("answers 502 when the partner hangs up", () =>
    withService(
      (request) => request.destroy(),
      async (url) =>
        assert.deepStrictEqual(await get(`${url}/offers/1`), {
          status: 502,
          body: { error: "the partner could not be reached" }
        })
    ))

  it("answers 504 when the partner does not answer in time", () =>
    withService(
      () => {},
      async (url) => assert.strictEqual((await get(`${url}/offers/1`)).status, 504),
      { limit: "20 millis" }
    ))

  it("leaves other errors to Express", () =>
    withService(
      () => {},
      async (url) => assert.strictEqual((await fetch(`${url}/offers/%zz`)).status, 400)
    ))

  it("ends its call of the partner when the client leaves", async () => {
    let arrived = () => {}
    let left = () => {}
    const hasArrived = new Promise<void>((resolve) => (arrived = resolve))
    const hasLeft = new Promise<void>((resolve) => (left = resolve))
    await withService(
      (_, response) => {
        response.once("close", left)
        arrived()
      },
      async (url) => {
        const controller = new AbortController()
        const answer = fetch(`${url}/offers/1`, { signal: controller.signal }).catch(
          (error: Error) => error.name
        )
        await hasArrived
        controller.abort()
        assert.strictEqual(await answer, "AbortError")
        await hasLeft
        assert.deepStrictEqual((await get(`${url}/circuit`)).body, { circuit: "closed" })
      }
    )
  })

  it("turns a client away when too many ask at once", async () => {
    let arrived = () => {}
    const hasArrived = new Promise<void>((resolve) => (arrived = resolve))
    let release = () => {}
    await withService(
      (_, response) => {
        release = () => response.end(JSON.stringify({ id: "1", price: 1 }))
        arrived()
      },
      async (url) => {
        const first = get(`${url}/offers/1`)
        await hasArrived
        const rejected = await get(`${url}/offers/2`)
        assert.strictEqual(rejected.status, 503)
        assert.isUndefined(rejected.retryAfter)
        release()
        assert.strictEqual((await first).status, 200)
      },
      { atOnce: 1 }
    )
  })
})
