/** Every kind of policy. */
export const kinds = [
  "circuit-breaker",
  "retry",
  "hedge",
  "retry-budget",
  "bulkhead",
  "rate-limiter",
  "timeout",
  "fallback",
  "cache"
]
