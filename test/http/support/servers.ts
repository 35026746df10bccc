/**
 * Servers on loopback that answer well or badly, as a test says, and that remember every request they really saw, what
 * became of it, and which sockets are open. They are gone with the scope, and every socket with them.
 */
import { Effect, type Scope } from "effect"
import * as Crypto from "node:crypto"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import type * as Stream from "node:stream"

/** A request as it arrives. It changes until its outcome is known. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  /** The number of the connection it came in on, from 1. */
  readonly connection: number
  /** The body as far as it has arrived, one character for each byte. */
  body: string
  /** The body has arrived to its end. */
  whole: boolean
  /** The answer was sent to its end, the client left first, or the server broke the connection itself. */
  outcome: "open" | "answered" | "aborted" | "broken"
}

export interface Sockets {
  /** How many were ever accepted. */
  readonly accepted: number
  readonly open: number
  /** Open connections with an unfinished response. */
  readonly busy: number
}

export interface Exchange {
  readonly seen: Seen
  readonly response: Http.ServerResponse
  readonly socket: Net.Socket
  /** Runs when the test says `tell`. */
  readonly whenTold: (what: () => void) => void
  /** Breaks the connection, with an RST or in good order. */
  readonly breakOff: (how: "reset" | "close") => void
  /** Stops listening, and breaks every connection once this answer is on its way. */
  readonly die: () => void
}

/** What to do with a request when all of it has arrived, or its headers have. */
export interface Answer {
  (exchange: Exchange): void
  readonly atHeaders?: boolean
}

export interface TestServer {
  readonly url: string
  /** The requests in the order in which their headers arrived. */
  readonly seen: ReadonlyArray<Seen>
  readonly sockets: Effect.Effect<Sockets>
  /** How often bytes arrived that are not HTTP, such as the beginning of a TLS handshake. */
  readonly malformed: Effect.Effect<number>
  /** Releases every answer that is held back, and those of later requests. */
  readonly tell: Effect.Effect<void>
  /** Stops listening and breaks every connection: from now on connections are refused. */
  readonly down: Effect.Effect<void>
  /** Listens again, at the same port. */
  readonly up: Effect.Effect<void>
}

// ------------------------------------------------------------------------------------------------------------ answers

export interface Content {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Answers with a status, and an empty body if none is given. */
export const status =
  (code: number, { body = "", headers = {} }: Content = {}): Answer =>
  ({ response }) => {
    response.writeHead(code, headers)
    response.end(body)
  }

/** Resets the connection instead of answering. */
export const reset: Answer = ({ breakOff }) => breakOff("reset")

/** Closes the connection in good order instead of answering. */
export const hangUp: Answer = ({ breakOff }) => breakOff("close")

/** Sends the headers and some of the body that they promise, then breaks the connection. */
export const cutShort =
  (code: number, how: "reset" | "close", headers: Content["headers"] = {}): Answer =>
  ({ breakOff, response }) => {
    response.writeHead(code, { ...headers, "content-length": 1000 })
    response.write("the beginning", () => breakOff(how))
  }

/** The same, but breaks the connection only when the test says so. */
export const cutShortWhenTold =
  (code: number): Answer =>
  ({ breakOff, response, whenTold }) => {
    response.writeHead(code, { "content-length": 1000 })
    response.write("the beginning")
    whenTold(() => breakOff("reset"))
  }

/** Sends nothing until told. */
export const slowHeaders =
  (then: Answer): Answer =>
  (exchange) =>
    exchange.whenTold(() => then(exchange))

/** Sends the headers and a part of the body at once, and the rest when told. */
export const slowBody =
  (code: number, headers: Content["headers"] = {}): Answer =>
  ({ response, whenTold }) => {
    response.writeHead(code, headers)
    response.write("first,")
    whenTold(() => response.end("last"))
  }

/** Answers after so many milliseconds, if the client is still there. */
export const after =
  (millis: number, then: Answer): Answer =>
  (exchange) => {
    const timer = setTimeout(() => then(exchange), millis)
    exchange.response.on("close", () => clearTimeout(timer))
  }

/** Sends the headers and a part of the body at once, and the rest after so many milliseconds. */
export const lateBody =
  (code: number, millis: number, headers: Content["headers"] = {}): Answer =>
  ({ response }) => {
    response.writeHead(code, headers)
    response.write("first,")
    const timer = setTimeout(() => response.end("last"), millis)
    response.on("close", () => clearTimeout(timer))
  }

/** Answers as soon as the headers are there, and reads no body. */
export const early = (then: Answer): Answer =>
  Object.assign((exchange: Exchange) => then(exchange), { atHeaders: true })

/** Never answers. */
export const hang: Answer = () => {}

/** Sends bytes that are not HTTP, and closes. */
export const garbage: Answer = ({ breakOff, socket }) => {
  socket.write("this is not the protocol you are looking for\r\n\r\n", () => breakOff("close"))
}

/** A body of so many bytes, as fast as the client reads it. `Infinity` never ends. */
export const bigBody =
  (code: number, bytes: number): Answer =>
  ({ response }) => {
    const chunk = Buffer.alloc(65536, "x")
    let left = bytes
    response.writeHead(code, Number.isFinite(bytes) ? { "content-length": bytes } : {})
    const fill = () => {
      while (left > 0 && !response.destroyed) {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk
        left -= part.length
        if (!response.write(part)) return
      }
      if (!response.destroyed) response.end()
    }
    response.on("drain", fill)
    fill()
  }

/** Answers, and goes down: later connections are refused until the test brings the server up again. */
export const lastWords =
  (code: number, content: Content = {}): Answer =>
  ({ die, response }) => {
    response.writeHead(code, { ...content.headers, connection: "close" })
    response.on("close", die)
    response.end(content.body ?? "")
  }

/** For many calls at a time: the first request for each path gets the first answer, and so on, the later ones the last. */
export const eachPath = (...answers: readonly [Answer, ...Array<Answer>]): Answer => {
  const requests = new Map<string, number>()
  return (exchange) => {
    const { path } = exchange.seen
    const before = requests.get(path) ?? 0
    requests.set(path, before + 1)
    nth(answers, before)(exchange)
  }
}

// ------------------------------------------------------------------------------------------------------------ servers

/** Answers the first request like the first answer, and so on, and every later one like the last. */
export const server = (
  ...answers: readonly [Answer, ...Array<Answer>]
): Effect.Effect<TestServer, never, Scope.Scope> =>
  listening((handle) => Http.createServer(patient, handle), answers)

/**
 * A server behind TLS whose handshakes fail: its certificate is signed by nobody who is trusted, or it has none at all,
 * or it closes the connection without a word.
 */
export const untrusted = (
  how: "self-signed" | "no certificate" | "hangs up"
): Effect.Effect<TestServer, never, Scope.Scope> =>
  listening(
    (handle) => {
      const secure = Https.createServer(
        { ...patient, ...(how === "self-signed" ? selfSigned() : {}) },
        handle
      )
      // In front of the listener that would begin the handshake.
      if (how === "hangs up") secure.prependListener("connection", (socket) => socket.destroy())
      return secure
    },
    [status(200)]
  )

/**
 * A port at which connections are refused. It is the near end of a connection that stays open: the port is taken, so
 * that nobody else can be given it meanwhile, and nobody listens there.
 */
export const refused: Effect.Effect<{ readonly url: string }, never, Scope.Scope> = Effect.gen(function* () {
  const listener = yield* Effect.acquireRelease(
    Effect.async<Net.Server>((resume) => {
      const server = Net.createServer()
      server.listen(0, host, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  const socket = yield* Effect.acquireRelease(
    Effect.async<Net.Socket>((resume) => {
      const socket = Net.connect(portOf(listener), host, () => resume(Effect.succeed(socket)))
      listener.on("connection", (accepted) => {
        accepted.on("error", () => {})
        socket.on("close", () => accepted.destroy())
      })
    }),
    (socket) => Effect.sync(() => socket.resetAndDestroy())
  )
  return { url: `http://${host}:${socket.localPort}` }
})

// ----------------------------------------------------------------------------------------------------- implementation

const host = "127.0.0.1"

/** None of the server's own limits, which are timers: a connection ends when a client or a test ends it. */
const patient = {
  keepAliveTimeout: 0,
  requestTimeout: 0,
  headersTimeout: 0,
  connectionsCheckingInterval: 2 ** 30
}

const portOf = (server: Net.Server): number => {
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The server does not listen on a port")
  return address.port
}

const nth = (answers: readonly [Answer, ...Array<Answer>], index: number): Answer =>
  answers[Math.min(index, answers.length - 1)] ?? answers[0]

const listening = (
  create: (handle: Http.RequestListener) => Http.Server | Https.Server,
  answers: readonly [Answer, ...Array<Answer>]
): Effect.Effect<TestServer, never, Scope.Scope> => {
  const seen: Array<Seen> = []
  const open = new Map<Net.Socket, number>()
  const busy = new Map<Http.ServerResponse, Net.Socket>()
  let held: Array<() => void> = []
  let told = false
  let accepted = 0
  let malformed = 0
  let port = 0

  const handle: Http.RequestListener = (request, response) => {
    const { socket } = request
    const one: Seen = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      connection: open.get(socket) ?? 0,
      body: "",
      whole: false,
      outcome: "open"
    }
    const answer = nth(answers, seen.length)
    seen.push(one)
    busy.set(response, socket)
    response.on("close", () => {
      busy.delete(response)
      if (one.outcome === "open") one.outcome = response.writableFinished ? "answered" : "aborted"
    })
    const exchange: Exchange = {
      seen: one,
      response,
      socket,
      whenTold: (what) => {
        const unlessGone = () => {
          if (!response.destroyed) what()
        }
        if (told) unlessGone()
        else held.push(unlessGone)
      },
      breakOff: (how) => {
        one.outcome = "broken"
        if (how === "reset") socket.resetAndDestroy()
        else socket.destroy()
      },
      die: stop
    }
    // Its end is seen at the response.
    request.on("error", () => {})
    if (answer.atHeaders === true) return answer(exchange)
    request.setEncoding("latin1")
    request.on("data", (text: string) => void (one.body += text))
    request.on("end", () => {
      one.whole = true
      answer(exchange)
    })
  }

  const running = create(handle)
  running.on("connection", (socket: Net.Socket) => {
    accepted += 1
    open.set(socket, accepted)
    socket.on("close", () => open.delete(socket))
    // Many tests reset the connection on purpose.
    socket.on("error", () => {})
  })
  running.on("clientError", (_: Error, socket: Stream.Duplex) => {
    malformed += 1
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
  })
  running.on("tlsClientError", (_: Error, socket: Stream.Duplex) => socket.destroy())

  const start = Effect.async<void>((resume) => {
    running.listen(port, host, () => {
      port = portOf(running)
      resume(Effect.void)
    })
  })
  const stop = () => {
    running.close()
    for (const socket of open.keys()) socket.destroy()
  }
  const stopped = Effect.promise(() => {
    const closed = (what: NodeJS.EventEmitter) =>
      new Promise<void>((resolve) => void what.once("close", resolve))
    const gone = Promise.all([...(running.listening ? [running] : []), ...open.keys()].map(closed))
    stop()
    return gone
  })

  return Effect.acquireRelease(start, () => stopped).pipe(
    Effect.map(() => ({
      url: `${running instanceof Https.Server ? "https" : "http"}://${host}:${port}`,
      seen,
      sockets: Effect.sync(() => ({ accepted, open: open.size, busy: new Set(busy.values()).size })),
      malformed: Effect.sync(() => malformed),
      tell: Effect.sync(() => {
        told = true
        const now = held
        held = []
        for (const go of now) go()
      }),
      down: stopped,
      up: start
    }))
  )
}

/** A server behind TLS with this certificate, for clients that may trust it. */
export const secure = (certificate: Certificate): Effect.Effect<TestServer, never, Scope.Scope> =>
  listening((handle) => Https.createServer({ ...patient, ...certificate }, handle), [status(200)])

export interface Certificate {
  readonly key: string
  readonly cert: string
}

/**
 * A key and a certificate that it signed itself (RFC 5280), made anew so that no private key is kept in the tree. It names the
 * host as its subject only, which clients do not read.
 */
export const selfSigned = (until = "491231235959Z"): Certificate => {
  const { privateKey, publicKey } = Crypto.generateKeyPairSync("ec", { namedCurve: "P-256" })
  const sequence = (...parts: ReadonlyArray<Buffer>) => der(0x30, ...parts)
  const ecdsaWithSha256 = sequence(der(0x06, Buffer.from("2a8648ce3d040302", "hex")))
  const commonName = sequence(der(0x06, Buffer.from("550403", "hex")), der(0x0c, Buffer.from(host)))
  const name = sequence(der(0x31, commonName))
  const validity = sequence(der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from(until)))
  const serial = der(0x02, Buffer.from([1]))
  const toBeSigned = sequence(
    serial,
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: "spki", format: "der" })
  )
  const signature = Crypto.sign("sha256", toBeSigned, privateKey)
  const certificate = sequence(toBeSigned, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64")}\n-----END CERTIFICATE-----\n`
  }
}

/** A value in the encoding of X.690: its tag, its length, its content. */
const der = (tag: number, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const prefix = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...prefix]), content])
}
