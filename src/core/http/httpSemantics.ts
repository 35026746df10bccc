/** What methods, statuses and transport errors say about sending a request again (RFC 9110, RFC 6585, RFC 8470, RFC 10008). */

/** Methods that mean the same however often a request arrives: RFC 9110, section 9.2.2, and QUERY of RFC 10008. */
const idempotent = /^(GET|HEAD|OPTIONS|TRACE|PUT|DELETE|QUERY)$/

export const isIdempotent = (method: string): boolean => idempotent.test(method.toUpperCase())

/** Statuses that pass by themselves. A 500 may have been half done, like all of these: it takes a request that may be repeated. */
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

export const isTransient = (status: number): boolean => transientStatuses.has(status)

/** Statuses with which a server asks to be left alone for a while. */
export const asksForPatience = (status: number): boolean => status === 429 || status === 503

/** What a status says about the health of the server that answered. */
export type Health = "well" | "ill" | "unknown"

/** A server that answers 501 or 505 works and cannot do this. A 429 speaks of the caller's quota, not of the server's health. */
export const healthOf = (status: number): Health => {
  if (status === 429) return "unknown"
  if (status === 408) return "ill"
  return status >= 500 && status !== 501 && status !== 505 ? "ill" : "well"
}

/** Codes, separated by spaces. */
export const codes = (...lines: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(lines.flatMap((line) => line.split(" ")))

/** Codes of errors before a request is sent: no connection, no address, no secure connection (the handshake). */
const beforeSending = /*#__PURE__*/ codes(
  "ECONNREFUSED ERR_SOCKET_CONNECTION_TIMEOUT UND_ERR_CONNECT_TIMEOUT ConnectionRefused",
  "ENOTFOUND EAI_AGAIN EAI_FAIL EAI_NODATA EAI_NONAME EDNS",
  "ERR_TLS_HANDSHAKE_TIMEOUT ERR_SSL_WRONG_VERSION_NUMBER ERR_SSL_UNSUPPORTED_PROTOCOL",
  "ERR_SSL_NO_PROTOCOLS_AVAILABLE ERR_SSL_PACKET_LENGTH_TOO_LONG ERR_SSL_HTTP_REQUEST",
  "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION ERR_SSL_TLSV1_UNRECOGNIZED_NAME"
)

/** Codes of certificates that are not accepted. */
const untrusted = /*#__PURE__*/ codes(
  "UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_ISSUER_CERT_LOCALLY UNABLE_TO_GET_CRL",
  "UNABLE_TO_DECRYPT_CERT_SIGNATURE UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE CERT_NOT_YET_VALID CERT_HAS_EXPIRED CERT_CHAIN_TOO_LONG CERT_REVOKED",
  "CERT_UNTRUSTED CERT_REJECTED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN",
  "INVALID_CA INVALID_PURPOSE PATH_LENGTH_EXCEEDED HOSTNAME_MISMATCH ERR_TLS_CERT_ALTNAME_INVALID"
)

/** Alerts by which the other side does not accept the client's certificate. With TLS 1.3 they can come after the request. */
const rejectedByPeer =
  /^ERR_SSL_(SSLV3|TLSV1|TLSV13)_ALERT_(.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)$/

/** Codes of what this process has too little of. */
const scarce = /*#__PURE__*/ codes("EMFILE ENFILE ENOBUFS ENOMEM EADDRNOTAVAIL")

/** Codes that say so only of an attempt to connect: a connection that stands can be lost with them, too. */
const inConnecting = /*#__PURE__*/ codes("EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ETIMEDOUT")

/** Handshakes that failed under a code that says less than the message. */
const handshake =
  /before secure TLS connection was established|wrong version number|handshake failure|unsupported protocol|packet length too long/i

/** Codes of connections that ended before a response was whole. */
const cutShort = /*#__PURE__*/ codes(
  "ECONNRESET ECONNABORTED EPIPE ETIMEDOUT ERR_STREAM_PREMATURE_CLOSE",
  "UND_ERR_SOCKET UND_ERR_BODY_TIMEOUT UND_ERR_RES_CONTENT_LENGTH_MISMATCH"
)

/** How deep errors are looked into. Deeper ones are not made by any client. */
const maxDepth = 8

export interface Target {
  readonly hostname: string
  readonly port: number
}

/** Whether a request was certainly not sent. An error that names another place than the target comes after a redirect. */
export const wasNeverSent = (error: unknown, target?: Target): boolean =>
  says(error, ({ code, hostname, message, port, syscall }) => {
    if (target !== undefined) {
      if (typeof port === "number" && port !== target.port) return false
      if (typeof hostname === "string" && hostname !== target.hostname) return false
    }
    if (beforeSending.has(code) || untrusted.has(code)) return true
    if (inConnecting.has(code) || scarce.has(code)) return syscall === "connect"
    return (code === "ECONNRESET" || code === "EPROTO") && handshake.test(message)
  })

/** Whether one side does not accept the certificate of the other. */
export const isUntrusted = (error: unknown): boolean =>
  says(error, ({ code }) => untrusted.has(code) || rejectedByPeer.test(code))

/** Whether this process had no descriptor, port or memory left for a connection. */
export const isExhausted = (error: unknown): boolean => says(error, ({ code }) => scarce.has(code))

/** Whether an error in reading a response is one of the connection, and not of what was read. */
export const wasCutShort = (error: unknown): boolean =>
  says(error, ({ code }) => cutShort.has(code) || code.startsWith("HPE_"))

/** An error of the system or of a client. */
export interface Coded {
  readonly code: string
  readonly message: string
  readonly syscall: unknown
  readonly hostname: unknown
  readonly port: unknown
}

/** Whether this holds for a coded error in a chain of causes, and for every one of several errors side by side. */
export const says = (error: unknown, holds: (coded: Coded) => boolean, depth: number = 0): boolean => {
  if (typeof error !== "object" || error === null || depth === maxDepth) return false
  if ("errors" in error && Array.isArray(error.errors) && error.errors.length > 0) {
    return error.errors.every((each) => says(each, holds, depth + 1))
  }
  if ("code" in error && typeof error.code === "string") {
    const coded = {
      code: error.code,
      message: "message" in error && typeof error.message === "string" ? error.message : "",
      syscall: "syscall" in error ? error.syscall : undefined,
      hostname: "hostname" in error ? error.hostname : undefined,
      port: "port" in error ? error.port : undefined
    }
    if (holds(coded)) return true
  }
  return "cause" in error && says(error.cause, holds, depth + 1)
}
