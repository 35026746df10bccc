// The partner: a server that fails at times. Of 30 requests, it answers every fifth with 503, and then the last 7.
import { Effect } from "effect"
import { createServer } from "node:http"
import { listening } from "./listening.js"

const isWell = (request: number): boolean => {
  const place = request % 30
  return place < 23 && place % 5 !== 4
}

/** Starts a partner on a free port, and returns its URL. */
export const start = Effect.suspend(() => {
  let received = 0
  const server = createServer((_, response) => {
    const body = isWell(received++) ? "Hot offer" : ""
    response.writeHead(body === "" ? 503 : 200, { "content-type": "text/plain" }).end(body)
  })
  return listening(server, 0)
})
