/** What the dashboard of a server sends a page that connects. */
import { HttpServer } from "@effect/platform"
import { Effect } from "effect"
import { type Full, parser } from "../../../src/http/dashboard/protocol.js"

/** The first full state in an answer, whose connection then ends. */
export const fullIn = async ({ body }: Response): Promise<Full> => {
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
  let full: Full | undefined
  const read = parser((event, data) => {
    if (event === "full") full = JSON.parse(data) as Full
  })
  while (full === undefined) read((await reader.read()).value ?? "")
  await reader.cancel()
  return full
}

/** The policies that a page is sent first, from `/dashboard` of the server. */
export const views = Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
  Effect.promise(async (signal) => {
    const port = address._tag === "TcpAddress" ? address.port : NaN
    const { views } = await fullIn(await fetch(`http://127.0.0.1:${port}/dashboard/events`, { signal }))
    return views
  })
)
