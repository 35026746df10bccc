import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import {
  asksForPatience,
  healthOf,
  isIdempotent,
  isTransient,
  wasCutShort,
  wasNeverSent
} from "../../../src/core/http/httpSemantics.js"

const coded = (code: string, message = code) => Object.assign(new Error(message), { code })
const connecting = (code: string) => Object.assign(new Error(code), { code, syscall: "connect" })

describe("methods and statuses", () => {
  it("methods are idempotent as RFC 9110 has it, however they are written", () => {
    const methods = [
      "GET",
      "HEAD",
      "OPTIONS",
      "TRACE",
      "PUT",
      "DELETE",
      "QUERY",
      "POST",
      "PATCH",
      "CONNECT",
      "LOCK",
      "get",
      "post"
    ]
    expect(methods.filter(isIdempotent)).toEqual([
      "GET",
      "HEAD",
      "OPTIONS",
      "TRACE",
      "PUT",
      "DELETE",
      "QUERY",
      "get"
    ])
  })

  it("of all statuses, these seven pass by themselves", () => {
    const statuses = Array.from({ length: 600 }, (_, status) => status)
    expect(statuses.filter(isTransient)).toEqual([408, 425, 429, 500, 502, 503, 504])
    expect(statuses.filter(asksForPatience)).toEqual([429, 503])
  })

  it("a status says that a server is well, ill, or nothing of it", () => {
    const statuses = Array.from({ length: 600 }, (_, status) => status)
    expect(statuses.filter((status) => healthOf(status) === "unknown")).toEqual([429])
    const ill = statuses.filter((status) => healthOf(status) === "ill")
    expect(ill).toEqual([
      408,
      ...statuses.filter((status) => status >= 500 && status !== 501 && status !== 505)
    ])
  })
})

describe("wasNeverSent", () => {
  it.each([
    ["a refused connection", coded("ECONNREFUSED"), true],
    ["a name that does not resolve", coded("ENOTFOUND"), true],
    ["a certificate that is not trusted", coded("DEPTH_ZERO_SELF_SIGNED_CERT"), true],
    [
      "a connection lost in the handshake",
      coded("ECONNRESET", "Client network socket disconnected before secure TLS connection was established"),
      true
    ],
    [
      "a server that does not speak TLS",
      coded("EPROTO", "write EPROTO: SSL routines::wrong version number"),
      true
    ],
    ["a network that cannot be reached to connect", connecting("ENETUNREACH"), true],
    ["a connection that could not be made in time", connecting("ETIMEDOUT"), true],
    ["a network that is gone while reading", Object.assign(coded("ENETUNREACH"), { syscall: "read" }), false],
    ["a connection lost later", coded("ECONNRESET", "read ECONNRESET"), false],
    ["a connection that ended", coded("UND_ERR_SOCKET", "other side closed"), false],
    [
      "what fetch makes of a refused connection",
      new TypeError("fetch failed", { cause: coded("ECONNREFUSED") }),
      true
    ],
    [
      "what fetch makes of a lost connection",
      new TypeError("fetch failed", { cause: coded("ECONNRESET") }),
      false
    ],
    [
      "several addresses that all refuse",
      new AggregateError([coded("ECONNREFUSED"), connecting("EHOSTUNREACH")]),
      true
    ],
    [
      "several addresses, one of which did answer",
      new AggregateError([coded("ECONNREFUSED"), coded("EPIPE")]),
      false
    ],
    ["no address at all", new AggregateError([]), false],
    ["an error without a code", new Error("ECONNREFUSED"), false],
    ["no error", undefined, false]
  ])("%s", (_, error, expected) => {
    expect(wasNeverSent(error)).toBe(expected)
  })

  it("an error that is its own cause is looked at for a while only", () => {
    const error: { cause?: unknown; errors?: Array<unknown> } = {}
    error.cause = error
    expect(wasNeverSent(error)).toBe(false)
    const several: { errors: Array<unknown> } = { errors: [] }
    several.errors = [several]
    expect(wasNeverSent(several)).toBe(false)
  })

  it("nothing that can be thrown makes it throw", () => {
    fc.assert(fc.property(fc.anything(), (error) => void wasNeverSent(error)))
    fc.assert(fc.property(fc.anything(), (error) => void wasCutShort(error)))
  })
})

describe("wasCutShort", () => {
  it.each([
    ["a connection that was lost", coded("ECONNRESET", "aborted"), true],
    ["what fetch makes of it", new TypeError("terminated", { cause: coded("UND_ERR_SOCKET") }), true],
    ["bytes that are no HTTP", coded("HPE_INVALID_CHUNK_SIZE"), true],
    ["text that is no JSON", new SyntaxError("Unexpected token"), false],
    ["a body that is used up", new TypeError("Body is unusable"), false]
  ])("%s", (_, error, expected) => {
    expect(wasCutShort(error)).toBe(expected)
  })
})
