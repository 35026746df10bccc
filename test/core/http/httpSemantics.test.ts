import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import {
  asksForPatience,
  healthOf,
  isExhausted,
  isIdempotent,
  isTransient,
  isUntrusted,
  says,
  wasCutShort,
  wasNeverSent
} from "../../../src/core/http/httpSemantics.js"

const coded = (code: string, message = code) => Object.assign(new Error(message), { code })
const connecting = (code: string) => Object.assign(new Error(code), { code, syscall: "connect" })

describe("the semantics of HTTP", () => {
  it("know the idempotent methods of RFC 9110, however they are written", () => {
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

  it("know the seven statuses that pass by themselves", () => {
    const statuses = Array.from({ length: 600 }, (_, status) => status)
    expect(statuses.filter(isTransient)).toEqual([408, 425, 429, 500, 502, 503, 504])
    expect(statuses.filter(asksForPatience)).toEqual([429, 503])
  })

  it("know what a status says about the health of a server", () => {
    const statuses = Array.from({ length: 600 }, (_, status) => status)
    expect(statuses.filter((status) => healthOf(status) === "unknown")).toEqual([429])
    const ill = statuses.filter((status) => healthOf(status) === "ill")
    expect(ill).toEqual([
      408,
      ...statuses.filter((status) => status >= 500 && status !== 501 && status !== 505)
    ])
    const well = statuses.filter((status) => healthOf(status) === "well")
    expect(well).toEqual(statuses.filter((status) => status !== 429 && !ill.includes(status)))
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

  it("stops at an error that is its own cause", () => {
    const error: { cause?: unknown; errors?: Array<unknown> } = {}
    error.cause = error
    expect(wasNeverSent(error)).toBe(false)
    const several: { errors: Array<unknown> } = { errors: [] }
    several.errors = [several]
    expect(wasNeverSent(several)).toBe(false)
  })

  it("does not throw, whatever it is given", () => {
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

/** What a code says by itself, and what it says when the system gives it for an attempt to connect. */
const meaningOf = (code: string): string =>
  [
    wasNeverSent(coded(code)) ? "not sent" : wasNeverSent(connecting(code)) ? "not sent if connecting" : "",
    isUntrusted(coded(code)) ? "untrusted" : "",
    isExhausted(coded(code)) ? "exhausted" : "",
    wasCutShort(coded(code)) ? "cut short" : ""
  ]
    .filter((meaning) => meaning !== "")
    .join(", ")

describe("the code of an error", () => {
  it.each([
    [
      "not sent",
      "ECONNREFUSED ERR_SOCKET_CONNECTION_TIMEOUT UND_ERR_CONNECT_TIMEOUT ConnectionRefused ENOTFOUND EAI_AGAIN EAI_FAIL EAI_NODATA EAI_NONAME EDNS ERR_TLS_HANDSHAKE_TIMEOUT ERR_SSL_WRONG_VERSION_NUMBER ERR_SSL_UNSUPPORTED_PROTOCOL ERR_SSL_NO_PROTOCOLS_AVAILABLE ERR_SSL_PACKET_LENGTH_TOO_LONG ERR_SSL_HTTP_REQUEST ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION ERR_SSL_TLSV1_UNRECOGNIZED_NAME"
    ],
    [
      "not sent, untrusted",
      "UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_ISSUER_CERT_LOCALLY UNABLE_TO_GET_CRL UNABLE_TO_DECRYPT_CERT_SIGNATURE UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_SIGNATURE_FAILURE CERT_NOT_YET_VALID CERT_HAS_EXPIRED CERT_CHAIN_TOO_LONG CERT_REVOKED CERT_UNTRUSTED CERT_REJECTED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN INVALID_CA INVALID_PURPOSE PATH_LENGTH_EXCEEDED HOSTNAME_MISMATCH ERR_TLS_CERT_ALTNAME_INVALID"
    ],
    [
      "untrusted",
      "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE ERR_SSL_TLSV1_ALERT_UNKNOWN_CA ERR_SSL_TLSV1_ALERT_ACCESS_DENIED ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"
    ],
    ["not sent if connecting, exhausted", "EMFILE ENFILE ENOBUFS ENOMEM EADDRNOTAVAIL"],
    ["not sent if connecting", "EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN"],
    ["not sent if connecting, cut short", "ETIMEDOUT"],
    [
      "cut short",
      "ECONNRESET ECONNABORTED EPIPE ERR_STREAM_PREMATURE_CLOSE UND_ERR_SOCKET UND_ERR_BODY_TIMEOUT UND_ERR_RES_CONTENT_LENGTH_MISMATCH HPE_INVALID_CHUNK_SIZE"
    ],
    [
      "",
      "EPROTO E2BIG INVALID_HPE_ X_ERR_SSL_TLSV1_ALERT_UNKNOWN_CA ERR_SSL_TLSV1_ALERT_UNKNOWN_CA_X ERR_SSL_TLSV1_ALERT_CLOSE_NOTIFY"
    ]
  ])("means %j", (meaning, codes) => {
    for (const code of codes.split(" ")) expect(`${code} ${meaningOf(code)}`).toBe(`${code} ${meaning}`)
  })

  it.each([
    "before secure TLS connection was established",
    "Wrong Version Number",
    "handshake failure",
    "unsupported protocol",
    "packet length too long"
  ])("that says too little is read with its message: %s", (message) => {
    for (const code of ["ECONNRESET", "EPROTO"]) {
      expect(wasNeverSent(coded(code, `SSL routines: ${message}`))).toBe(true)
      expect(wasNeverSent({ code })).toBe(false)
    }
    expect(wasNeverSent(coded("EPIPE", message))).toBe(false)
  })
})

describe("a request to a.example:443", () => {
  const target = { hostname: "a.example", port: 443 }

  it.each([
    [{ hostname: "a.example", port: 443 }, true],
    [{ hostname: "a.example" }, true],
    [{ port: 443 }, true],
    [{}, true],
    [{ hostname: undefined, port: "8443" }, true],
    [{ hostname: "b.example" }, false],
    [{ port: 8443 }, false],
    [{ hostname: "a.example", port: 80 }, false],
    [{ hostname: "b.example", port: 443 }, false]
  ])("was never sent where there was no connection to %j: %s", (place, expected) => {
    expect(wasNeverSent(Object.assign(coded("ECONNREFUSED"), place), target)).toBe(expected)
    expect(wasNeverSent(Object.assign(coded("ECONNREFUSED"), place))).toBe(true)
  })
})

describe("errors within errors", () => {
  /** The codes that are looked at, in order, when none of them says anything. */
  const lookedAt = (error: unknown) => {
    const codes: Array<string> = []
    expect(says(error, ({ code }) => codes.push(code) < 0)).toBe(false)
    return codes
  }
  /** A chain of causes, the first of them deepest. */
  const chain = (length: number) =>
    Array.from({ length }, (_, index) => ({ code: String(length - 1 - index) })).reduce<object | undefined>(
      (cause, error) => ({ ...error, cause }),
      undefined
    )

  it("are read with all that a code comes with, and nothing that has another type", () => {
    const whole = { code: "A", message: "b", syscall: "c", hostname: "d", port: 1 }
    const bare = { code: "A", message: "", syscall: undefined, hostname: undefined, port: undefined }
    for (const [error, expected] of [
      [whole, whole],
      [{ code: "A" }, bare],
      [{ code: "A", message: 5 }, bare]
    ]) {
      says(error, (coded) => {
        expect(coded).toEqual(expected)
        return true
      })
    }
  })

  it.each<[string, unknown, ReadonlyArray<string>]>([
    ["are looked into eight deep", chain(9), ["0", "1", "2", "3", "4", "5", "6", "7"]],
    ["have codes that are strings", { code: 5, cause: { code: "A" } }, ["A"]],
    ["have codes of their own before their cause's", { code: "A", cause: { code: "B" } }, ["A", "B"]],
    ["hold for several only together", { code: "A", errors: [{ code: "B" }, { code: "C" }] }, ["B"]],
    ["are themselves where several are none", { code: "A", errors: [] }, ["A"]],
    ["are themselves where several are no list", { code: "A", errors: "B" }, ["A"]],
    ["are none of what is not an object", "A", []],
    ["are none of a function", Object.assign(() => {}, { code: "A" }), []]
  ])("%s", (_, error, codes) => {
    expect(lookedAt(error)).toEqual(codes)
  })

  it("are looked into as deep when they stand side by side", () => {
    const nested = (depth: number): unknown => (depth === 0 ? { code: "A" } : { errors: [nested(depth - 1)] })
    expect([lookedAt(nested(7)), lookedAt(nested(8))]).toEqual([["A"], []])
  })
})
