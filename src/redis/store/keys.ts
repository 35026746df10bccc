/**
 * The keys of the store. The part in braces decides the slot of a Redis Cluster: one for all keys of an exchange, and one for each
 * rate and each value.
 */
import { createHash } from "node:crypto"

/** The layout of the data. Releases with different layouts run side by side without meeting. */
const layout = "v1"

export interface Place {
  readonly prefix: string
  readonly environment: string
}

export class Keys {
  /** What all keys and channels begin with, after the brace of a key. */
  readonly start: string
  /** The living processes. */
  readonly living: string
  private readonly exchange: string

  constructor({ environment, prefix }: Place, version = layout) {
    this.start = `${prefix}:${environment}:${version}`
    this.exchange = `{${this.start}}`
    this.living = `${this.exchange}:living`
  }

  /** The last sequence of a process. */
  sequence(instance: string): string {
    return `${this.exchange}:sequence:${encoded(instance)}`
  }

  /** A breaker, the processes that fail, the probes that are out. */
  breaker(id: string): ReadonlyArray<string> {
    const name = encoded(id)
    return ["breaker", "failing", "probes"].map((kind) => `${this.exchange}:${kind}:${name}`)
  }

  rate(id: string): string {
    return `{${this.start}:rate:${encoded(id)}}`
  }

  value(key: string): string {
    return `{${this.start}:value:${encoded(key)}}`
  }

  /** Announcements pass between databases, so each has a channel of its own. */
  channel(database: number): string {
    return `${this.start}:announcements:${database}`
  }
}

/** A name as a part of a key: a plain one as it is, any other as its plain characters and a digest. */
export const encoded = (name: string): string => {
  if (/^[\w.-]{1,64}$/.test(name)) return name
  const digest = createHash("sha256").update(name, "utf16le").digest("hex")
  return `${name.slice(0, 32).replace(/[^\w.-]+/g, "_")}~${digest.slice(0, 32)}`
}
