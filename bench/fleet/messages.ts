/** What the run tells a process of the fleet, and what the process tells the run. Times are milliseconds since the epoch. */

/** Two breakers that learn from the same calls and differ in how they are shared, and one that is not. */
export type Sharing = "local" | "inline" | "alone"

export interface Setup {
  readonly name: string
  readonly url: string
}

/** What a process calls from now on. */
export interface Traffic {
  /** Milliseconds between two calls on the breakers that are timed; 0 for none. */
  readonly timed: number
  /** Milliseconds between two calls to the partner, on the average; 0 for none. */
  readonly partner: number
  /** The breakers that guard the calls to the partner. */
  readonly through: ReadonlyArray<Sharing>
  /** Calls a second on the shared limiter. */
  readonly limited: number
}

export type Order =
  | { readonly _tag: "Traffic"; readonly traffic: Traffic }
  /** The partner fails from then on, or never. */
  | { readonly _tag: "Outage"; readonly from: number | undefined }
  | { readonly _tag: "Collect" }

export type News =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Health"; readonly health: "Degraded" | "Recovered"; readonly at: number }
  | { readonly _tag: "Changed"; readonly sharing: Sharing; readonly to: string; readonly at: number }
  /** A call reached the partner. */
  | { readonly _tag: "Reached"; readonly sharing: Sharing; readonly at: number }
  | ({ readonly _tag: "Collected" } & Collected)

/** Microseconds from begin to end, and of the processor's time, which no other process makes longer. */
export type Timed = readonly [passed: number, worked: number]

/** What a process saw since it was last asked. */
export interface Collected {
  /** Calls on a shared breaker, and on an unshared one in between. */
  readonly shared: ReadonlyArray<Timed>
  readonly unshared: ReadonlyArray<Timed>
  /** Calls to the partner that ask the store, in microseconds. */
  readonly inline: ReadonlyArray<number>
  /** Calls on the shared breaker that did not end in the step in which they began. */
  readonly waited: number
  /** Calls of any kind that began more than five seconds ago and have not ended. */
  readonly hung: number
  /** Calls on the shared limiter, and those of them that waited for an answer of the store. */
  readonly offered: number
  readonly asked: number
  /** When the limiter admitted a call. */
  readonly admitted: ReadonlyArray<number>
  /** The longest that a timer was late: how much the machine itself delays everything. */
  readonly late: number
  /** The living processes, as this one knows them. */
  readonly instances: number
}
