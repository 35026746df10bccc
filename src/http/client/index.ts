/**
 * The client half of `effect-resilience/http`, for programs that serve nothing, such as those in a browser.
 *
 * @since 0.1.0
 */
export * as HttpFields from "../problem/HttpFields.js"
export * as HttpResilience from "./HttpResilience.js"
