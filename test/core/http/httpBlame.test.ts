import { describe, expect, it } from "@effect/vitest"
import { consequences } from "../../../src/core/http/httpBlame.js"
import { isExhausted, isUntrusted } from "../../../src/core/http/httpSemantics.js"

const coded = (code: string) => Object.assign(new Error(code), { code })

describe("the blame for a fault", () => {
  it.each([
    ["caller", ["invalid", "body-failed", "body-stalled", "cancelled"]],
    ["process", ["exhausted", "own-stall"]],
    ["nobody", ["untrusted", "unusable", "led-away"]],
    ["other side", ["not-sent", "lost", "timed-out"]]
  ])("is that of the %s for %j", (blamed, faults) => {
    const blamedFor = Object.entries(consequences).filter(([, { blame }]) => blame === blamed)
    expect(blamedFor.map(([fault]) => fault)).toEqual(faults)
  })

  it("counts for a breaker when it is the other side's, and not otherwise", () => {
    for (const { blame, counted } of Object.values(consequences)) expect(counted).toBe(blame === "other side")
  })

  it("forbids to repeat what a caller did, what is not trusted and what cannot be used", () => {
    const repeated = Object.entries(consequences).filter(([, { repeated }]) => repeated)
    expect(repeated.map(([fault]) => fault)).toEqual([
      "body-stalled",
      "exhausted",
      "own-stall",
      "led-away",
      "not-sent",
      "lost",
      "timed-out"
    ])
  })
})

describe("isUntrusted", () => {
  it.each([
    ["a certificate that nobody signed", "DEPTH_ZERO_SELF_SIGNED_CERT", true],
    ["a certificate for another host", "ERR_TLS_CERT_ALTNAME_INVALID", true],
    ["a client that shows no certificate", "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", true],
    ["a client whose issuer is unknown", "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", true],
    ["a handshake that failed", "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", false],
    ["a refused connection", "ECONNREFUSED", false]
  ])("%s", (_, code, expected) => {
    expect(isUntrusted(coded(code))).toBe(expected)
    expect(isUntrusted(new TypeError("fetch failed", { cause: coded(code) }))).toBe(expected)
  })
})

describe("isExhausted", () => {
  it.each([
    ["no descriptor left", "EMFILE", true],
    ["no port left", "EADDRNOTAVAIL", true],
    ["a refused connection", "ECONNREFUSED", false]
  ])("%s", (_, code, expected) => {
    expect(isExhausted(new AggregateError([coded(code), coded(code)]))).toBe(expected)
    expect(isExhausted(new AggregateError([coded(code), coded("ECONNRESET")]))).toBe(false)
  })
})
