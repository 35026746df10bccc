// The minute and the second of now, so that one offer can be told from the next.
import { DateTime, Effect } from "effect"

export const minuteAndSecond = Effect.map(DateTime.now, (now) => DateTime.formatIso(now).slice(14, 19))
